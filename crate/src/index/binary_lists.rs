//! Rows of bits in lists around centroids of bits.
//!
//! ```text
//! centroids  [nlist, dim]   as k_majority learns them
//! starts     list l holds the rows starts[l] … starts[l+1]-1, those with fewer bits first
//! bounds     [nlist, dim]   what all rows of a list have together, or in common: derived
//! ```
//! A query that is to be a substructure of a row must be one of the union of its list's rows, one that is to
//! be a superstructure must be one of their intersection; neither needs more than one comparison a list, and
//! neither misses a row.

use super::binary_part::Ask;
use super::binary_rows::{BinaryRows, Bits};
use super::k_majority::{assign, centroids, clustered_by, ordered, starts};
use super::parallel::each;
use super::random::Random;
use super::top::Top;
use super::{BinaryMetric, Bitset, Hit, Lists, Recall};
use crate::kernels::Kernels;

/// Rows to learn from, a list.
const SAMPLES_PER_LIST: usize = 32;
/// Lists that are looked into before it is known how near rows are.
const FIRST: usize = 2;
/// Rows that are looked for to measure recall.
const QUERIES: usize = 256;
/// Neighbours that count.
const K: usize = 10;
/// The part of the misses that is kept in hand: samples are small.
const MARGIN: f64 = 0.5;

/// By how much a list's centroid may be further from a query than the last of the nearest so far for the list
/// to be looked into; measured at building.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryPlan {
    /// For 95 % of the ten nearest: [`Recall::Fast`].
    pub fast: f32,
    /// For 99 %: [`Recall::High`].
    pub high: f32,
}

impl BinaryPlan {
    /// Every list is looked into.
    const ALL: Self = Self {
        fast: f32::MAX,
        high: f32::MAX,
    };
}

/// Which rows belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryLists {
    /// The lists' middles.
    pub centroids: BinaryRows,
    /// `[nlist + 1]`, ascending from 0 to the number of rows.
    pub starts: Vec<u32>,
    /// Which lists to look into.
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

    /// Whether the arrays fit together, and `rows`.
    pub fn is_whole(&self, rows: &BinaryRows) -> bool {
        let last = self.starts.last().map(|last| *last as usize);
        let in_order = |list: usize| rows.counts()[self.rows(list)].is_sorted();
        self.centroids.dim() == rows.dim()
            && !self.centroids.is_empty()
            && self.starts.len() == self.centroids.len() + 1
            && self.starts.first() == Some(&0)
            && last == Some(rows.len())
            && self.starts.is_sorted()
            && (0..self.len()).all(in_order)
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
        let centroids = centroids(&rows.ordered(&sample), count, by, &mut random);
        let nearest = assign(&centroids, rows, by);
        let by_count = ordered(0..rows.len() as u32, rows.counts(), rows.dim() + 1);
        let order = ordered(by_count.into_iter(), &nearest, count);
        let starts = starts(&nearest, count);
        *rows = rows.ordered(&order);
        let mut lists = Self::new(centroids, starts, BinaryPlan::ALL);
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

    /// Scans the rows that may be among the best; `scan` tells the distance of the last of the nearest so far,
    /// which is infinite until there are enough.
    pub(super) fn search(
        &self,
        ask: &Ask<'_>,
        rows: &BinaryRows,
        mut scan: impl FnMut(std::ops::Range<usize>) -> f32,
    ) {
        if !ask.metric.is_ranked() {
            for list in (0..self.len()).filter(|list| self.may_match(*list, ask)) {
                scan(self.window(list, ask, rows));
            }
            return;
        }
        let gap = match ask.recall {
            Recall::Fast => self.plan.fast,
            Recall::High => self.plan.high,
            Recall::Exact => f32::MAX,
        };
        let mut most = f32::INFINITY;
        let ranked = self.ranked(ask.query, ask.metric, ask.kernels);
        for (at, list) in ranked.iter().enumerate() {
            if at >= FIRST && -list.score > most {
                break;
            }
            let last = scan(self.rows(list.id as usize));
            most = as_clustered(ask.metric, last) + gap;
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

    /// All lists with their distances, below zero, the nearest first.
    fn ranked(&self, query: &Bits, metric: BinaryMetric, kernels: &Kernels) -> Vec<Hit> {
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
        lists
    }

    /// What the gaps have to be for most of the ten rows nearest to others.
    fn measured(&self, metric: BinaryMetric, rows: &BinaryRows, random: &mut Random) -> BinaryPlan {
        let sample = random.sample(rows.len(), QUERIES);
        let mut gaps = each(sample.len(), |at| self.gaps(metric, rows, sample[at])).concat();
        gaps.sort_unstable_by(f32::total_cmp);
        let gap = |asked: f64| {
            let share = asked + MARGIN * (1.0 - asked);
            let last = (share * gaps.len() as f64).ceil() as usize;
            gaps.get(last.saturating_sub(1))
                .copied()
                .unwrap_or(f32::MAX)
        };
        BinaryPlan {
            fast: gap(0.95),
            high: gap(0.99),
        }
    }

    /// Of ten rows that are no further from a row than its ten nearest, those in the nearest lists: how much
    /// further than the tenth nearest their lists' centroids are. Of equally near rows any will do.
    fn gaps(&self, metric: BinaryMetric, rows: &BinaryRows, own: usize) -> Vec<f32> {
        let (query, kernels) = (Bits::of_words(rows.row(own).to_vec()), Kernels::best());
        let (mut distances, nothing) = (vec![f32::MAX; rows.len()], Bitset::default());
        let by = (&query, clustered_by(metric));
        let mut top = Top::new(K);
        rows.scan(0..rows.len(), by, &nothing, kernels, |row, distance| {
            if row != own {
                distances[row] = distance;
                let (id, score) = (row as u32, -distance);
                top.offer(Hit { id, score });
            }
        });
        let most = top.worst().map_or(f32::MAX, |worst| -worst.score);
        let near = |list: u32| {
            let rows = self.rows(list as usize);
            rows.filter(|row| *row != own && distances[*row] <= most)
                .count()
        };
        let ranked = self.ranked(&query, metric, kernels);
        let gaps = ranked.iter().flat_map(|list| {
            let gap = -list.score - most;
            std::iter::repeat_n(gap, near(list.id))
        });
        gaps.take(K).collect()
    }
}

/// A distance by the metric that made the lists.
fn as_clustered(metric: BinaryMetric, distance: f32) -> f32 {
    match metric {
        BinaryMetric::Tanimoto => 1.0 - (-distance).exp2(),
        _ => distance,
    }
}
