//! Measures, on samples with exact answers, how much of an index has to be looked at.

use super::Hit;
use super::compact::{COMPARISON, Compact, REACH_MOST, Route};
use super::parallel::fill_rows;
use super::planner::{Bearing, Effort, Efforts, Leaning, Plan, Recall};
use super::random::Random;
use super::top::Top;
use super::trace::{RERANKS, Trace};
use super::{Bitset, Search};
use crate::kernels::Kernels;

/// Photos that are looked for, and as many words, half of them of either kind.
const QUERIES: usize = 256;
/// Neighbours that count.
pub(super) const K: usize = 10;
/// The shares of the neighbours that are promised for [`Recall::Fast`] and [`Recall::High`].
const FAST: f32 = 0.95;
const HIGH: f32 = 0.99;
/// The part of the misses that is kept in hand: samples are small.
const MARGIN: f32 = 0.25;
/// Where the recall cannot be reached, so much less than the best is good enough: the last of it costs most.
const NEARLY: f32 = 0.002;
/// By how much a list's cosine may be below a row's, in steps.
const GAP_STEP: f32 = 0.002;
const GAPS: std::ops::Range<i32> = -100..250;
/// The part of a pseudo-word's direction that it shares with a photo; CLIP's captions have rather more.
const SHARED: f32 = 0.3;
/// The part that words of the second kind share with the mean of all photos; CLIP's have rather less.
const LEAN: f32 = 0.4;
/// Means further apart than this tell two kinds of words from each other.
const APART: f32 = 0.02;
/// Values of `ef_search` that are tried.
const EFS: [u32; 10] = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384];
/// A comparison on a walk through the graph takes as long as scanning so many rows: its row is seldom in
/// a cache.
const WALKED: usize = 16;
/// Rows compared with all queries at a time.
const BLOCK: usize = 64;

/// Queries with their exact answers.
struct Sample {
    /// `[n, dim]`
    queries: Vec<f32>,
    /// The ten nearest of each.
    truth: Vec<Vec<u32>>,
    /// The row that a query is, to be left out of its answers.
    own: Vec<Option<u32>>,
    /// Rows beyond those that are looked for.
    spare: usize,
    /// How each is led.
    traces: Vec<Trace>,
}

/// What a number of lists for each query, and a depth of re-ranking for all, come to.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    rerank: u32,
    recall: f32,
    /// Rows that are scanned, for a query.
    cost: usize,
}

/// Fills a row's vector in.
pub(super) type Fill<'a> = &'a (dyn Fn(usize, &mut [f32]) + Sync);

/// Makes a query of a direction and the row that it was made of, or of a row twice.
type Make<'a> = &'a (dyn Fn(&[f32], &[f32]) -> Vec<f32> + Sync);

/// How an index will be asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// What makes the queries.
    pub query: Make<'a>,
    /// Rows beyond those wanted that are compared again, by more than their codes.
    pub spare: usize,
}

impl Asked<'_> {
    /// By vectors like the rows.
    pub const LIKE_ROWS: Self = Self {
        query: &|vector, _| vector.to_vec(),
        spare: 0,
    };
}

/// The plan of an index whose vectors `vector(row, out)` fills in, in the index's own order, that will
/// be `asked` so.
pub(super) fn plan(
    index: &Compact,
    seed: u64,
    vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    asked: Asked<'_>,
) -> Plan {
    let queries = |vectors: &[f32], rows: &mut dyn Iterator<Item = &[f32]>| {
        let pairs = vectors.chunks_exact(index.dim()).zip(rows);
        pairs.flat_map(|(x, row)| (asked.query)(x, row)).collect()
    };
    let mut random = Random(seed ^ 0xCA11);
    let rows = random.sample(index.len(), QUERIES);
    let photos: Vec<f32> = rows
        .iter()
        .flat_map(|row| {
            let mut out = vec![0.0; index.dim()];
            vector(*row, &mut out);
            out
        })
        .collect();
    let mut words = |odd: usize, lean: f32| {
        let mut some = photos.chunks_exact(index.dim()).skip(odd).step_by(2);
        let words = pseudo_words(index, some.clone(), lean, &mut random);
        let count = words.len() / index.dim();
        Sample::new(
            index,
            queries(&words, &mut some),
            vec![None; count],
            (vector, asked.spare),
        )
    };
    let (word, leaning) = (words(0, 0.0), words(1, LEAN));
    let photo = Sample::new(
        index,
        queries(&photos, &mut photos.chunks_exact(index.dim())),
        rows.iter().map(|row| Some(*row as u32)).collect(),
        (vector, asked.spare),
    );
    let (from, to) = (word.mean(), leaning.mean());
    let mut plan = Plan {
        boundary: boundary(&photo, &word),
        photo: photo.efforts(index),
        word: word.efforts(index),
        leaning: (to > from + APART).then(|| Leaning {
            from,
            to,
            efforts: leaning.efforts(index),
        }),
    };
    let short = |sample: &Sample| sample.short(index, &plan);
    let leans = plan.leaning.map(|_| short(&leaning));
    let (photos, words) = (short(&photo), short(&word));
    photo.go_further(index, &mut plan.photo, photos);
    word.go_further(index, &mut plan.word, words);
    if let (Some(of), Some(leans)) = (&mut plan.leaning, leans) {
        leaning.go_further(index, &mut of.efforts, leans);
    }
    plan
}

/// Directions that share a little with photos, `lean` with their mean, and are otherwise anything.
fn pseudo_words<'a>(
    index: &Compact,
    photos: impl Iterator<Item = &'a [f32]>,
    lean: f32,
    random: &mut Random,
) -> Vec<f32> {
    let mean = index.mean();
    let unit = |vector: Vec<f32>| {
        let norm = vector
            .iter()
            .map(|x| x * x)
            .sum::<f32>()
            .sqrt()
            .max(f32::MIN_POSITIVE);
        vector.into_iter().map(move |x| x / norm)
    };
    let common: Vec<f32> = unit(mean.to_vec()).collect();
    let mut words = Vec::new();
    for photo in photos {
        let meaning = unit(photo.iter().zip(mean).map(|(x, mean)| x - mean).collect());
        let other = unit(mean.iter().map(|_| random.normal()).collect());
        let mixed = meaning.zip(other).zip(&common);
        words.extend(unit(
            mixed.map(|((m, o), c)| SHARED * m + o + lean * c).collect(),
        ));
    }
    words
}

/// Nine in ten photos come nearer to a centroid than this, and few words do.
fn boundary(photos: &Sample, words: &Sample) -> f32 {
    let at = |sample: &Sample, percent: usize| {
        let mut all: Vec<f32> = sample.bearings().map(|query| query.nearness).collect();
        all.sort_unstable_by(f32::total_cmp);
        all[all.len() * percent / 100]
    };
    at(photos, 10).max(at(words, 95))
}

impl Sample {
    fn new(
        index: &Compact,
        queries: Vec<f32>,
        own: Vec<Option<u32>>,
        (vector, spare): (Fill<'_>, usize),
    ) -> Self {
        let truth = nearest(index, &queries, &own, vector);
        let list_of = index.parts().lists.of_rows();
        let mut traces = vec![Trace::default(); own.len()];
        fill_rows(&mut traces, 1, |at, out| {
            let query = &queries[at * index.dim()..][..index.dim()];
            out[0] = Trace::new(index, query, (&truth[at], spare), own[at], &list_of);
        });
        Self {
            queries,
            truth,
            own,
            spare,
            traces,
        }
    }

    fn bearings(&self) -> impl Iterator<Item = Bearing> {
        self.traces.iter().map(|trace| trace.bearing)
    }

    /// The queries' mean inner product with the centroids; not a number of none.
    fn mean(&self) -> f32 {
        let sum: f32 = self.bearings().map(|query| query.mean).sum();
        sum / self.traces.len() as f32
    }

    fn efforts(&self, index: &Compact) -> Efforts {
        let [fast, high] = [FAST, HIGH].map(|asked| self.effort(index, wanted_of(asked)));
        Efforts { fast, high }
    }

    /// Makes up for what searches stay behind.
    fn go_further(&self, index: &Compact, efforts: &mut Efforts, [fast, high]: [f32; 2]) {
        for (effort, asked, more) in [
            (&mut efforts.fast, FAST, fast),
            (&mut efforts.high, HIGH, high),
        ] {
            if more > 0.0 {
                *effort = self.effort(index, wanted_of(asked) + more);
            }
        }
    }

    /// By how much searches by that plan stay behind what is wanted, where they find less than was asked for: traces
    /// know nothing of the lists' sketch.
    fn short(&self, index: &Compact, plan: &Plan) -> [f32; 2] {
        [(Recall::Fast, FAST), (Recall::High, HIGH)].map(|(recall, asked)| {
            let found = self.searched(index, plan, recall);
            if found < asked {
                wanted_of(asked) - found
            } else {
                0.0
            }
        })
    }

    /// The recall of searches by that plan.
    fn searched(&self, index: &Compact, plan: &Plan, recall: Recall) -> f32 {
        let mut found = vec![0; self.own.len()];
        fill_rows(&mut found, 1, |at, out| {
            let mut hidden = Bitset::new(index.len());
            if let Some(own) = self.own[at] {
                hidden.insert(own as usize);
            }
            let search = Search {
                query: &self.queries[at * index.dim()..][..index.dim()],
                k: K + self.spare,
                hidden: &hidden,
                recall,
            };
            let (hits, _) = index.search_by(plan, &search, Kernels::best());
            let is_true = |hit: &&Hit| self.truth[at].contains(&hit.id);
            out[0] = hits.iter().filter(is_true).count();
        });
        let wanted: usize = self.truth.iter().map(Vec::len).sum();
        found.iter().sum::<usize>() as f32 / wanted.max(1) as f32
    }

    /// What costs least of all that reaches the recall; failing that, comes near to the best.
    fn effort(&self, index: &Compact, wanted: f32) -> Effort {
        let (lists, cost) = self.through_lists(index.parts().lists.len(), wanted);
        if index.parts().graph.is_empty() {
            return lists;
        }
        for ef in EFS {
            let (recall, compared) = self.walked(index, ef as usize);
            if compared > cost / WALKED {
                break;
            }
            if recall >= wanted.min(lists.recall) {
                return Effort {
                    ef,
                    recall,
                    ..lists
                };
            }
        }
        lists
    }

    /// The lists and the depth that cost least, and the cost.
    fn through_lists(&self, count: usize, wanted: f32) -> (Effort, usize) {
        let mut numbers = vec![1];
        while let Some(last) = numbers.last().filter(|last| **last < count) {
            numbers.push((last * 9 / 8 + 1).min(count));
        }
        let alike = |nprobe: usize| (nprobe, self.outcomes(|_| nprobe));
        let (nprobe, alike) = cheapest(numbers.into_iter().map(alike).collect(), wanted);
        let most = (nprobe as f64 * REACH_MOST) as usize;
        let each = |step: i32| {
            let gap = step as f32 * GAP_STEP;
            (gap, self.outcomes(|trace| trace.lists_within(gap, most)))
        };
        let (gap, by_gap) = cheapest(GAPS.map(each).collect(), wanted.min(alike.recall));
        // By a gap even where that costs a little more on the sample: it adapts to other queries.
        let (gap, best) = if by_gap.recall >= wanted.min(alike.recall) {
            (gap, by_gap)
        } else {
            (f32::MAX, alike)
        };
        let effort = Effort {
            nprobe: nprobe as u32,
            gap,
            rerank: best.rerank,
            ef: 0,
            recall: best.recall,
        };
        (effort, best.cost)
    }

    /// What each depth of re-ranking comes to when so many lists are scanned.
    fn outcomes(&self, lists: impl Fn(&Trace) -> usize) -> Vec<Outcome> {
        let (mut found, mut scanned) = ([0; RERANKS.len()], 0);
        for trace in &self.traces {
            let lists = lists(trace);
            trace.count_found(lists, &mut found);
            scanned += trace.scanned(lists);
        }
        let wanted: usize = self.truth.iter().map(Vec::len).sum();
        let outcome = |(rerank, found): (u32, usize)| Outcome {
            rerank,
            recall: found as f32 / wanted.max(1) as f32,
            cost: scanned / self.traces.len().max(1) + rerank as usize * COMPARISON,
        };
        RERANKS.into_iter().zip(found).map(outcome).collect()
    }

    /// The recall of a walk through the graph, and how many rows it compares for a query.
    fn walked(&self, index: &Compact, ef: usize) -> (f32, usize) {
        let hidden = Bitset::new(index.len());
        let (mut found, mut wanted, mut compared) = (0, 0, 0);
        let queries = self.queries.chunks_exact(index.dim());
        for (query, (truth, own)) in queries.zip(self.truth.iter().zip(&self.own)) {
            let search = Search {
                query,
                k: K + 1,
                hidden: &hidden,
                recall: Recall::Fast,
            };
            let mut query = index.parts().prepared(query, Kernels::best());
            let (hits, met) = index.follow(Route::Graph(ef), &mut query, &search, Kernels::best());
            let answer = hits.iter().filter(|hit| Some(hit.id) != *own).take(K);
            found += answer.filter(|hit| truth.contains(&hit.id)).count();
            wanted += truth.len();
            compared += met.compared;
        }
        (
            found as f32 / wanted.max(1) as f32,
            compared / self.own.len().max(1),
        )
    }
}

/// The recall to look for on a sample where a share is asked for.
fn wanted_of(asked: f32) -> f32 {
    asked + MARGIN * (1.0 - asked)
}

/// Of all ways that reach the recall the cheapest, of the others the best.
fn cheapest<T: Copy>(ways: Vec<(T, Vec<Outcome>)>, wanted: f32) -> (T, Outcome) {
    let all = || {
        let each = |(way, outcomes): &(T, Vec<Outcome>)| {
            let way = *way;
            outcomes
                .clone()
                .into_iter()
                .map(move |outcome| (way, outcome))
        };
        ways.iter().flat_map(each)
    };
    let best = all().map(|(_, outcome)| outcome.recall).fold(0.0, f32::max);
    let enough = if best < wanted { best - NEARLY } else { wanted };
    let reaches = all().filter(|(_, outcome)| outcome.recall >= enough);
    reaches
        .min_by_key(|(_, outcome)| outcome.cost)
        .expect("there is a way")
}

/// The ten rows nearest to each query, from the vectors themselves.
fn nearest(
    index: &Compact,
    queries: &[f32],
    own: &[Option<u32>],
    vector: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Vec<Vec<u32>> {
    let (dim, count) = (index.dim(), own.len());
    if count == 0 {
        return Vec::new();
    }
    let column = |axis: usize| (0..count).map(move |query| queries[query * dim + axis]);
    let columns: Vec<f32> = (0..dim).flat_map(column).collect();
    let packed = Kernels::best().pack_f32(&columns, dim, count, None);
    let mut tops: Vec<Top> = own.iter().map(|_| Top::new(K)).collect();
    let mut points = vec![0.0; BLOCK * dim];
    let mut scores = vec![0.0; BLOCK * count];
    for first in (0..index.len()).step_by(BLOCK) {
        let rows = BLOCK.min(index.len() - first);
        for (at, out) in points.chunks_exact_mut(dim).take(rows).enumerate() {
            vector(first + at, out);
        }
        let scores = &mut scores[..rows * count];
        Kernels::best().gemm_f32(&points[..rows * dim], rows, &packed, scores);
        for (at, scores) in scores.chunks_exact(count).enumerate() {
            let id = (first + at) as u32;
            for ((top, &score), own) in tops.iter_mut().zip(scores).zip(own) {
                if *own != Some(id) {
                    top.offer(Hit { id, score });
                }
            }
        }
    }
    let ids = |top: Top| top.into_hits().iter().map(|hit| hit.id).collect();
    tops.into_iter().map(ids).collect()
}
