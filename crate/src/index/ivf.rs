//! Rows in lists, each around a centroid (Sivic and Zisserman 2003, "Video Google"; Jégou et al. 2011).
//!
//! ```text
//! centroids  Lvq [nlist, dim]
//! starts     list l holds the rows starts[l] … starts[l+1]-1: rows lie in the order of their lists
//! ```

use std::cmp::Ordering;

use super::kmeans::{self, Assigner, mean_of};
use super::lvq::{Dots, Lvq, LvqQuery};
use super::random::Random;
use super::top::best_first;
use crate::kernels::Kernels;

/// Lists a square root of the rows: between what a query spends on centroids and on rows. Of many rows, half as many
/// more: their sketch costs a query little, and shorter lists save it a quarter; learning them takes longer.
const LISTS_PER_ROOT: f64 = 3.0;
const MORE_LISTS: f64 = 1.5;
const MANY_ROWS: f64 = 250_000.0;
/// Rows of a list, at least and on average: a shorter one costs a block of codes all the same.
const ROWS_PER_LIST: usize = 32;
/// Rows to learn from, a list.
const SAMPLES_PER_LIST: usize = 32;
/// The fewest rows to learn from, if there are as many.
const MIN_SAMPLES: usize = 16_384;

/// Which rows belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lists {
    /// The lists' middles.
    pub centroids: Lvq,
    /// `[nlist + 1]`, ascending from 0 to the number of rows.
    pub starts: Vec<u32>,
    /// 1 / |centroid| `[nlist]`.
    inverse_norms: Vec<f32>,
}

/// A list, as a query sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    pub list: u32,
    /// The centroid's inner product with the query.
    pub score: f32,
    /// The centroid's cosine to the query, which tells better where its nearest rows are: around a
    /// shorter centroid rows lie further apart.
    pub cosine: f32,
}

impl Ranked {
    fn order(a: &Self, b: &Self) -> Ordering {
        best_first(a.cosine, a.list).cmp(&best_first(b.cosine, b.list))
    }
}

/// Puts the nearest `count` of `ranked`, or all, in order before the others; gives them.
pub(super) fn nearest(ranked: &mut [Ranked], count: usize) -> &[Ranked] {
    let count = count.min(ranked.len());
    if count > 0 && count < ranked.len() {
        ranked.select_nth_unstable_by(count - 1, Ranked::order);
    }
    ranked[..count].sort_unstable_by(Ranked::order);
    &ranked[..count]
}

/// A sample of rows, and lists made from it.
pub(super) struct Trained {
    pub mean: Vec<f32>,
    /// `[n, dim]`
    pub sample: Vec<f32>,
    pub centroids: Lvq,
    assigner: Assigner,
}

impl Trained {
    /// Learns `nlist` lists from some of `rows` rows; `vector(row, out)` fills a vector `[dim]` in.
    pub fn new(
        (rows, dim): (usize, usize),
        nlist: usize,
        seed: u64,
        mean: Option<&[f32]>,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Self {
        let mut random = Random(seed);
        let count = (nlist * SAMPLES_PER_LIST).max(MIN_SAMPLES);
        let sample = random.vectors((rows, dim), count, vector);
        Self::of_sample(sample, dim, nlist, mean, &mut random)
    }

    /// Learns `nlist` lists from all of `sample` `[n, dim]`.
    pub fn of_sample(
        sample: Vec<f32>,
        dim: usize,
        nlist: usize,
        mean: Option<&[f32]>,
        random: &mut Random,
    ) -> Self {
        let mean = mean.map_or_else(|| mean_of(&sample, dim), <[f32]>::to_vec);
        let centres = kmeans::centres(&sample, dim, nlist, random);
        let centroids = Lvq::encode(mean, nlist, |row, out| {
            out.copy_from_slice(&centres[row * dim..][..dim]);
        });
        Self {
            sample,
            ..Self::of(centroids)
        }
    }

    /// What was learnt before, without the sample.
    pub fn of(centroids: Lvq) -> Self {
        let lists = 0..centroids.len();
        let decoded: Vec<f32> = lists.flat_map(|list| centroids.vector(list)).collect();
        Self {
            mean: centroids.mean.clone(),
            sample: Vec::new(),
            assigner: Assigner::new(&decoded, centroids.dim()),
            centroids,
        }
    }

    /// The sample without its centroids `[n, dim]`.
    pub fn residuals(&self) -> Vec<f32> {
        let dim = self.mean.len();
        let sample = &self.sample;
        let point = |row: usize, out: &mut [f32]| out.copy_from_slice(&sample[row * dim..][..dim]);
        let lists = self.assigner.assign(sample.len() / dim, point);
        let mut residuals = sample.clone();
        for (residual, list) in residuals.chunks_exact_mut(dim).zip(lists) {
            self.centroids.take_from(list as usize, residual);
        }
        residuals
    }

    /// Deals all rows out to the lists: the lists, and which row comes where.
    pub fn deal(
        &self,
        rows: usize,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> (Lists, Vec<u32>) {
        let nearest = self.assigner.assign(rows, vector);
        let mut starts = vec![0u32; self.centroids.len() + 1];
        nearest
            .iter()
            .for_each(|list| starts[*list as usize + 1] += 1);
        (1..starts.len()).for_each(|at| starts[at] += starts[at - 1]);
        let (mut order, mut places) = (vec![0u32; rows], starts.clone());
        for (row, list) in nearest.iter().enumerate() {
            let place = &mut places[*list as usize];
            order[*place as usize] = row as u32;
            *place += 1;
        }
        (Lists::new(self.centroids.clone(), starts), order)
    }
}

/// As [`nearest`], of those alone whose cosine is `least` or more.
pub(super) fn nearest_above(ranked: &mut [Ranked], least: f32, count: usize) -> &[Ranked] {
    let mut near = 0;
    for at in 0..ranked.len() {
        if ranked[at].cosine >= least {
            ranked.swap(near, at);
            near += 1;
        }
    }
    nearest(&mut ranked[..near], count)
}

impl Lists {
    /// Of these centroids and starts, which need not fit together yet: see [`Lists::is_whole`].
    pub fn new(centroids: Lvq, starts: Vec<u32>) -> Self {
        let inverse_norms = centroids
            .norms()
            .map(|norm| 1.0 / norm.max(f32::MIN_POSITIVE))
            .collect();
        Self {
            centroids,
            starts,
            inverse_norms,
        }
    }

    /// How many lists suit so many rows.
    pub fn count_for(rows: usize) -> usize {
        let more = (rows as f64 / MANY_ROWS).powf(0.25).clamp(1.0, MORE_LISTS);
        let by_root = ((rows as f64).sqrt() * LISTS_PER_ROOT * more) as usize;
        by_root.min(rows / ROWS_PER_LIST).max(1)
    }

    /// Whether the arrays fit together, for `rows` rows of `dim` axes, and every number is finite.
    pub fn is_whole(&self, rows: usize, dim: usize) -> bool {
        self.centroids.is_whole(dim)
            && self.starts.len() == self.centroids.len() + 1
            && self.inverse_norms.len() == self.centroids.len()
            && self.starts.first() == Some(&0)
            && self
                .starts
                .last()
                .is_some_and(|last| *last as usize == rows)
            && self.starts.is_sorted()
    }

    /// How many lists there are.
    pub(super) fn len(&self) -> usize {
        self.centroids.len()
    }

    /// The rows of a list.
    pub(super) fn rows(&self, list: u32) -> std::ops::Range<usize> {
        self.starts[list as usize] as usize..self.starts[list as usize + 1] as usize
    }

    /// The list of a row.
    pub(super) fn of(&self, row: usize) -> usize {
        self.starts.partition_point(|start| *start as usize <= row) - 1
    }

    /// The list of each row.
    pub(super) fn of_rows(&self) -> Vec<u32> {
        let lists = 0..self.len() as u32;
        lists
            .flat_map(|list| self.rows(list).map(move |_| list))
            .collect()
    }

    /// The ids of all lists.
    pub(super) fn all(&self) -> Vec<u32> {
        (0..self.len() as u32).collect()
    }

    /// The lists `ids`, in that order.
    pub(super) fn ranked(&self, ids: &[u32], query: &LvqQuery, kernels: &Kernels) -> Vec<Ranked> {
        let mut ranked = Vec::with_capacity(ids.len());
        let keep = |list: u32, score: f32| {
            ranked.push(Ranked {
                list,
                score,
                cosine: score * self.inverse_norms[list as usize],
            });
        };
        let dots = &mut Dots::default();
        self.centroids.scores(query, ids, kernels, dots, keep);
        ranked
    }
}
