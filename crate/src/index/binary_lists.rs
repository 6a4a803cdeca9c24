//! Rows of bits in lists around centroids of bits.
//!
//! ```text
//! centroids  [nlist, dim]   k-majority: a centroid has the bits that most of its rows have
//! starts     list l holds the rows starts[l] … starts[l+1]-1, those with fewer bits first
//! bounds     [nlist, dim]   what all rows of a list have together, or in common: derived
//! ```
//! k-majority: Grana, Borghesani, Manfredi and Cucchiara 2013, "A fast approach for integrating ORB
//! descriptors in the bag of words model". By Hamming's distance a bit is set that more than half of the rows
//! have; by Jaccard's, where vectors are sparse and that would leave nothing, as many of the most frequent
//! bits as the rows have on average.
//!
//! A query that is to be a substructure of a row must be one of the union of its list's rows, one that is to
//! be a superstructure must be one of their intersection; neither needs more than one comparison a list, and
//! neither misses a row.

use serde::{Deserialize, Serialize};

use super::binary::Ask;
use super::binary_rows::{BinaryRows, Bits};
use super::parallel::each;
use super::random::Random;
use super::{BinaryMetric, Bitset, Hit, Lists, Recall};
use crate::kernels::Kernels;

/// Rounds of assigning and counting.
const ROUNDS: usize = 8;
/// Rows to learn from, a list.
const SAMPLES_PER_LIST: usize = 32;
/// Rows that are looked for to measure recall.
const QUERIES: usize = 256;
/// Neighbours that count.
const K: usize = 10;
/// The part of the misses that is kept in hand: samples are small.
const MARGIN: f64 = 0.5;

/// How many of the nearest lists hold 95 % and 99 % of a row's ten nearest, measured at building.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryPlan {
    /// For [`Recall::Fast`].
    pub fast: u32,
    /// For [`Recall::High`].
    pub high: u32,
}

/// Which rows belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryLists {
    /// The lists' middles.
    pub centroids: BinaryRows,
    /// `[nlist + 1]`, ascending from 0 to the number of rows.
    pub starts: Vec<u32>,
    /// How many lists to look into.
    pub plan: BinaryPlan,
    bounds: BinaryRows,
}

impl BinaryLists {
    /// Of stored arrays, which need not fit together yet: see [`BinaryLists::is_whole`].
    pub fn new(centroids: BinaryRows, starts: Vec<u32>, plan: BinaryPlan) -> Self {
        Self {
            bounds: BinaryRows::new(centroids.dim()),
            centroids,
            starts,
            plan,
        }
    }

    /// Whether the arrays fit together, for `rows` rows of `dim` bits.
    pub fn is_whole(&self, rows: usize, dim: usize) -> bool {
        let last = self.starts.last().map(|last| *last as usize);
        self.centroids.dim() == dim
            && !self.centroids.is_empty()
            && self.starts.len() == self.centroids.len() + 1
            && self.starts.first() == Some(&0)
            && last == Some(rows)
            && self.starts.is_sorted()
    }

    /// Lists for `rows`, which are put in their order: row `i` becomes what `order[i]` was.
    pub(super) fn build(
        metric: BinaryMetric,
        rows: &mut BinaryRows,
        seed: u64,
    ) -> (Self, Vec<u32>) {
        let by = clustered_by(metric);
        let mut random = Random(seed);
        let count = Lists::count_for(rows.len());
        let sample = random.sample(rows.len(), count * SAMPLES_PER_LIST);
        let sample: Vec<u32> = sample.into_iter().map(|row| row as u32).collect();
        let centroids = k_majority(&rows.ordered(&sample), count, by, &mut random);
        let nearest = assign(&centroids, rows, by);
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let place = |row: &u32| (nearest[*row as usize], rows.counts()[*row as usize]);
        order.sort_by_key(place);
        let starts = starts(&nearest, count);
        *rows = rows.ordered(&order);
        let plan = BinaryPlan {
            fast: count as u32,
            high: count as u32,
        };
        let mut lists = Self::new(centroids, starts, plan);
        lists.bound(metric, rows);
        if metric.is_ranked() {
            lists.plan = lists.measured(metric, rows, &mut random);
        }
        (lists, order)
    }

    /// Derives the bounds that the metric needs.
    pub(super) fn bound(&mut self, metric: BinaryMetric, rows: &BinaryRows) {
        let (empty, join): (u64, fn(u64, u64) -> u64) = match metric {
            BinaryMetric::Substructure => (0, |a, b| a | b),
            BinaryMetric::Superstructure => (u64::MAX, |a, b| a & b),
            _ => return,
        };
        let mut bounds = BinaryRows::new(rows.dim());
        for list in 0..self.len() {
            let mut bound = vec![empty; rows.dim().div_ceil(64)];
            for row in self.rows(list) {
                let pairs = bound.iter_mut().zip(rows.row(row));
                pairs.for_each(|(bound, word)| *bound = join(*bound, *word));
            }
            bounds.push(&bound);
        }
        self.bounds = bounds;
    }

    fn len(&self) -> usize {
        self.centroids.len()
    }

    fn rows(&self, list: usize) -> std::ops::Range<usize> {
        self.starts[list] as usize..self.starts[list + 1] as usize
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.centroids.bytes() + self.bounds.bytes() + 4 * self.starts.len()
    }

    /// Scans the rows that may be among the best of the `left` that take part; `scan` tells how many it found.
    pub(super) fn search(
        &self,
        ask: &Ask<'_>,
        rows: &BinaryRows,
        left: usize,
        mut scan: impl FnMut(std::ops::Range<usize>) -> usize,
    ) {
        if !ask.metric.is_ranked() {
            for list in (0..self.len()).filter(|list| self.may_match(*list, ask)) {
                scan(self.window(list, ask, rows));
            }
            return;
        }
        let lists = self.ranked(ask.query, ask.metric, ask.kernels);
        let larger = (ask.k as f64 / K as f64).max(1.0) * rows.len() as f64 / left.max(1) as f64;
        let nprobe = match ask.recall {
            Recall::Fast => (f64::from(self.plan.fast) * larger) as usize,
            Recall::High => (f64::from(self.plan.high) * larger) as usize,
            Recall::Exact => lists.len(),
        };
        let mut found = 0;
        for (at, list) in lists.into_iter().enumerate() {
            if at >= nprobe.max(1) && found >= ask.k.min(left) {
                break;
            }
            found += scan(self.rows(list as usize));
        }
    }

    /// Whether a row of the list can be what the query is a part of, or the other way about.
    fn may_match(&self, list: usize, ask: &Ask<'_>) -> bool {
        let words = self.bounds.row(list).iter().zip(&ask.query.words);
        let mut missing = words.map(|(bound, query)| match ask.metric {
            BinaryMetric::Substructure => query & !bound,
            _ => bound & !query,
        });
        missing.all(|word| word == 0)
    }

    /// The rows of a list that have bits enough, or few enough.
    fn window(&self, list: usize, ask: &Ask<'_>, rows: &BinaryRows) -> std::ops::Range<usize> {
        let all = self.rows(list);
        let counts = &rows.counts()[all.clone()];
        match ask.metric {
            BinaryMetric::Substructure => {
                let fewer = counts.partition_point(|count| *count < ask.query.count);
                all.start + fewer..all.end
            }
            _ => {
                let enough = counts.partition_point(|count| *count <= ask.query.count);
                all.start..all.start + enough
            }
        }
    }

    /// All lists, the nearest first.
    fn ranked(&self, query: &Bits, metric: BinaryMetric, kernels: &Kernels) -> Vec<u32> {
        let mut lists = Vec::with_capacity(self.len());
        let nothing = Bitset::default();
        let all = 0..self.len();
        let by = (query, clustered_by(metric));
        self.centroids
            .scan(all, by, &nothing, kernels, |list, distance| {
                lists.push(Hit {
                    id: list as u32,
                    score: -distance,
                });
            });
        lists.sort_unstable_by(Hit::order);
        lists.iter().map(|hit| hit.id).collect()
    }

    /// How many lists hold most of the ten rows nearest to others.
    fn measured(&self, metric: BinaryMetric, rows: &BinaryRows, random: &mut Random) -> BinaryPlan {
        let sample = random.sample(rows.len(), QUERIES);
        let places = each(sample.len(), |at| self.places(metric, rows, sample[at]));
        let mut places: Vec<usize> = places.concat();
        places.sort_unstable();
        let lists = |asked: f64| {
            let share = asked + MARGIN * (1.0 - asked);
            let last = (share * places.len() as f64).ceil() as usize;
            places
                .get(last.saturating_sub(1))
                .map_or(1, |place| place + 1) as u32
        };
        BinaryPlan {
            fast: lists(0.95),
            high: lists(0.99),
        }
    }

    /// Among the lists that are nearest to a row, the places of the first that hold ten rows no further from it
    /// than its ten nearest: of equally near ones any will do.
    fn places(&self, metric: BinaryMetric, rows: &BinaryRows, own: usize) -> Vec<usize> {
        let query = Bits::of_words(rows.row(own).to_vec());
        let mut distances = vec![f32::INFINITY; rows.len()];
        let all = 0..rows.len();
        rows.scan(
            all,
            (&query, metric),
            &Bitset::default(),
            Kernels::best(),
            |row, distance| distances[row] = distance,
        );
        distances[own] = f32::INFINITY;
        let mut sorted = distances.clone();
        let (_, most, _) = sorted.select_nth_unstable_by(K - 1, f32::total_cmp);
        let ranked = self.ranked(&query, metric, Kernels::best());
        let near = |list: &u32| {
            let rows = self.rows(*list as usize);
            let near = rows.filter(|row| distances[*row] <= *most);
            near.count()
        };
        let lists = ranked.iter().enumerate();
        let places = lists.flat_map(|(place, list)| std::iter::repeat_n(place, near(list)));
        places.take(K).collect()
    }
}

/// The metric that makes lists: parts of one another share much of what they have.
fn clustered_by(metric: BinaryMetric) -> BinaryMetric {
    match metric {
        BinaryMetric::Hamming => BinaryMetric::Hamming,
        _ => BinaryMetric::Jaccard,
    }
}

/// `count` centroids of at least as many rows.
fn k_majority(
    rows: &BinaryRows,
    count: usize,
    by: BinaryMetric,
    random: &mut Random,
) -> BinaryRows {
    let picked = random.sample(rows.len(), count);
    let picked: Vec<u32> = picked.into_iter().map(|row| row as u32).collect();
    let mut centroids = rows.ordered(&picked);
    for _ in 0..ROUNDS {
        let nearest = assign(&centroids, rows, by);
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_by_key(|row| nearest[*row as usize]);
        let starts = starts(&nearest, count);
        let middles = each(count, |list| {
            let own = &order[starts[list] as usize..starts[list + 1] as usize];
            middle(rows, own, by)
        });
        centroids = BinaryRows::new(rows.dim());
        for middle in middles {
            let some = random.below(rows.len());
            centroids.push(middle.as_deref().unwrap_or(rows.row(some)));
        }
    }
    centroids
}

/// The list of each row.
fn assign(centroids: &BinaryRows, rows: &BinaryRows, by: BinaryMetric) -> Vec<u32> {
    let nothing = Bitset::default();
    each(rows.len(), |row| {
        let query = Bits::of_words(rows.row(row).to_vec());
        let (mut best, mut least) = (0, f32::INFINITY);
        let all = 0..centroids.len();
        centroids.scan(
            all,
            (&query, by),
            &nothing,
            Kernels::best(),
            |list, distance| {
                if distance < least {
                    (best, least) = (list as u32, distance);
                }
            },
        );
        best
    })
}

/// Where each of `count` lists begins, and where the last one ends.
fn starts(list_of: &[u32], count: usize) -> Vec<u32> {
    let mut starts = vec![0u32; count + 1];
    list_of
        .iter()
        .for_each(|list| starts[*list as usize + 1] += 1);
    (1..starts.len()).for_each(|at| starts[at] += starts[at - 1]);
    starts
}

/// The words of a centroid of the rows `own`; `None` of none.
fn middle(rows: &BinaryRows, own: &[u32], by: BinaryMetric) -> Option<Vec<u64>> {
    if own.is_empty() {
        return None;
    }
    let mut votes = vec![0u32; rows.dim()];
    for row in own {
        for (at, word) in rows.row(*row as usize).iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                votes[64 * at + left.trailing_zeros() as usize] += 1;
                left &= left - 1;
            }
        }
    }
    let mut words = vec![0u64; rows.dim().div_ceil(64)];
    let mut set = |bit: usize| words[bit / 64] |= 1 << (bit % 64);
    if by == BinaryMetric::Hamming {
        let most = |bit: &usize| 2 * votes[*bit] as usize > own.len();
        (0..votes.len()).filter(most).for_each(&mut set);
    } else {
        let bits: usize = votes.iter().map(|votes| *votes as usize).sum();
        let mut by_votes: Vec<usize> = (0..votes.len()).collect();
        by_votes.sort_by_key(|bit| std::cmp::Reverse(votes[*bit]));
        let mean = (bits + own.len() / 2) / own.len();
        by_votes.into_iter().take(mean).for_each(&mut set);
    }
    Some(words)
}
