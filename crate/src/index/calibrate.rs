//! Measures, on samples with exact answers, how much of an index has to be looked at.

use super::compact::{Compact, Route, Search, nearness};
use super::lvq::Dots;
use super::planner::{Effort, Efforts, Plan, Recall};
use super::random::Random;
use super::top::Top;
use super::{Bitset, Hit};
use crate::kernels::Kernels;

/// Queries of each kind.
const QUERIES: usize = 128;
/// Neighbours that count.
const K: usize = 10;
/// How much better than asked: samples are small.
const MARGIN: f32 = 0.01;
/// Depths of re-ranking that are tried.
const RERANKS: [u32; 6] = [32, 64, 128, 256, 512, 1024];
/// The part of a pseudo-word's direction that it shares with a photo; CLIP's captions have rather more.
const SHARED: f32 = 0.25;
/// Values of `ef_search` that are tried.
const EFS: [u32; 10] = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384];
/// A comparison on a walk through the graph takes as long as scanning so many rows, one after a
/// re-ranking as many fewer: its row is seldom in a cache.
const WALKED: usize = 16;
const RERANKED: usize = 8;
/// Rows compared with all queries at a time.
const BLOCK: usize = 64;

/// Queries with their exact answers.
struct Sample {
    /// `[QUERIES, dim]`
    queries: Vec<f32>,
    /// The ten nearest of each.
    truth: Vec<Vec<u32>>,
    /// The lists of each, the nearest first.
    ranked: Vec<Vec<Hit>>,
    /// The row that a query is, to be left out of its answers.
    own: Vec<Option<u32>>,
}

/// The plan of an index whose vectors `vector(row, out)` fills in, in the index's own order.
pub(super) fn plan(
    index: &Compact,
    seed: u64,
    vector: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Plan {
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
    let words = pseudo_words(index, &photos, &mut random);
    let photo = Sample::new(
        index,
        photos,
        rows.iter().map(|row| Some(*row as u32)).collect(),
        vector,
    );
    let word = Sample::new(index, words, vec![None; rows.len()], vector);
    Plan {
        boundary: boundary(&photo, &word),
        photo: photo.efforts(index),
        word: word.efforts(index),
    }
}

/// Directions that share a little with photos and are otherwise anything.
fn pseudo_words(index: &Compact, photos: &[f32], random: &mut Random) -> Vec<f32> {
    let mean = &index.parts().fine.mean;
    let unit = |vector: Vec<f32>| {
        let norm = vector
            .iter()
            .map(|x| x * x)
            .sum::<f32>()
            .sqrt()
            .max(f32::MIN_POSITIVE);
        vector.into_iter().map(move |x| x / norm)
    };
    let mut words = Vec::with_capacity(photos.len());
    for photo in photos.chunks_exact(mean.len()) {
        let meaning = unit(photo.iter().zip(mean).map(|(x, mean)| x - mean).collect());
        let other = unit(mean.iter().map(|_| random.normal()).collect());
        words.extend(unit(
            meaning.zip(other).map(|(m, o)| SHARED * m + o).collect(),
        ));
    }
    words
}

/// Nine in ten photos come nearer to a centroid than this, and hardly any words do.
fn boundary(photos: &Sample, words: &Sample) -> f32 {
    let at = |sample: &Sample, percent: usize| {
        let mut all: Vec<f32> = sample.ranked.iter().map(|lists| nearness(lists)).collect();
        all.sort_by(f32::total_cmp);
        all[all.len() * percent / 100]
    };
    at(photos, 10).max(at(words, 98))
}

impl Sample {
    fn new(
        index: &Compact,
        queries: Vec<f32>,
        own: Vec<Option<u32>>,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Self {
        let truth = nearest(index, &queries, &own, vector);
        let ranked = queries.chunks_exact(index.dim()).map(|query| {
            index
                .parts()
                .lists
                .ranked(query, Kernels::best(), &mut Dots::default())
        });
        Self {
            ranked: ranked.collect(),
            queries,
            truth,
            own,
        }
    }

    fn efforts(&self, index: &Compact) -> Efforts {
        let [fast, high] = [0.95, 0.99].map(|recall| self.effort(index, recall));
        Efforts { fast, high }
    }

    /// What costs least of all that reaches the recall; failing that, everything.
    fn effort(&self, index: &Compact, wanted: f32) -> Effort {
        let wanted = (wanted + MARGIN).min(1.0);
        let lists = self.through_lists(index, wanted);
        let rows = index.len() * lists.nprobe as usize / index.parts().lists.len();
        let limit = (rows + lists.rerank as usize * RERANKED) / WALKED;
        for ef in EFS {
            let (recall, compared) = self.recall(index, Route::Graph(ef as usize));
            if compared > limit {
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

    /// The fewest lists, then the fewest rows, that reach the recall.
    fn through_lists(&self, index: &Compact, wanted: f32) -> Effort {
        let count = index.parts().lists.len();
        let deepest = RERANKS[RERANKS.len() - 1];
        let measured = |nprobe: usize, rerank: u32| {
            let (recall, _) = self.recall(index, Route::Lists(nprobe, rerank as usize));
            Effort {
                nprobe: nprobe as u32,
                rerank,
                ef: 0,
                recall,
            }
        };
        let mut nprobe = 1;
        let mut best = measured(nprobe, deepest);
        while best.recall < wanted && nprobe < count {
            nprobe = (nprobe * 5 / 4 + 1).min(count);
            best = measured(nprobe, deepest);
        }
        let enough = best.recall.min(wanted) - 0.001;
        let mut less = RERANKS.iter().map(|rerank| measured(nprobe, *rerank));
        less.find(|effort| effort.recall >= enough).unwrap_or(best)
    }

    /// The recall of a route, and how many rows it compares for a query.
    fn recall(&self, index: &Compact, route: Route) -> (f32, usize) {
        let hidden = Bitset::new(index.len());
        let (mut found, mut wanted, mut compared) = (0, 0, 0);
        let queries = self.queries.chunks_exact(index.dim()).zip(&self.ranked);
        for ((query, ranked), (truth, own)) in queries.zip(self.truth.iter().zip(&self.own)) {
            let search = Search {
                query,
                k: K + 1,
                hidden: &hidden,
                recall: Recall::Fast,
            };
            let (hits, count) = index.follow(route, ranked, &search, Kernels::best());
            let answer = hits.iter().filter(|hit| Some(hit.id) != *own).take(K);
            found += answer.filter(|hit| truth.contains(&hit.id)).count();
            wanted += truth.len();
            compared += count;
        }
        (
            found as f32 / wanted.max(1) as f32,
            compared / self.own.len().max(1),
        )
    }
}

/// The ten rows nearest to each query, from the vectors themselves.
fn nearest(
    index: &Compact,
    queries: &[f32],
    own: &[Option<u32>],
    vector: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Vec<Vec<u32>> {
    let (dim, count) = (index.dim(), own.len());
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
