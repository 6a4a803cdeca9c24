//! The vectors of a segment: flat while it grows, compact when it is large.

use super::parallel::each;
use super::planner::Explanation;
use super::{Codebook, Compact, Hit, Search, TwoTier};
use crate::kernels::Kernels;

/// Rows of unit vectors in either form.
#[derive(Debug, Clone, PartialEq)]
pub enum Vectors {
    /// Rows can be added; a search scans them all.
    Flat(TwoTier),
    /// Rows are fixed; a search looks at some of them.
    Compact(Box<Compact>),
}

impl Vectors {
    /// Fewer rows are as fast to scan, and need no room for centroids.
    pub const COMPACT_ROWS: usize = 2048;

    /// No rows yet.
    pub fn new(dim: usize) -> Self {
        Self::Flat(TwoTier::new(dim))
    }

    /// The best form for `rows` vectors that are known all at once, and the order that it has them in:
    /// row `i` is vector `order[i]`. For the arguments see [`Compact::build`].
    ///
    /// # Panics
    /// As [`Compact::build`].
    pub fn build(
        rows: usize,
        dim: usize,
        mean: Option<&[f32]>,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> (Self, Vec<u32>) {
        if rows >= Self::COMPACT_ROWS {
            let (index, order) = Compact::build(rows, dim, 1, mean, vector);
            return (Self::Compact(Box::new(index)), order);
        }
        let (mut flat, mut one) = (TwoTier::new(dim), vec![0.0; dim]);
        for row in 0..rows {
            vector(row, &mut one);
            flat.push(&one);
        }
        (Self::Flat(flat), (0..rows as u32).collect())
    }

    /// As [`Vectors::build`], by what was learnt before.
    ///
    /// # Panics
    /// As [`Compact::build_with`].
    pub fn build_with(
        codebook: &Codebook,
        rows: usize,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> (Self, Vec<u32>) {
        if rows < Self::COMPACT_ROWS {
            return Self::build(rows, codebook.centroids.dim(), None, vector);
        }
        let (index, order) = Compact::build_with(codebook, rows, 1, vector);
        (Self::Compact(Box::new(index)), order)
    }

    /// What a compact form was encoded by, to encode others by it.
    pub fn codebook(&self) -> Option<Codebook> {
        match self {
            Self::Flat(_) => None,
            Self::Compact(index) => Some(Codebook {
                centroids: index.parts().lists.centroids.clone(),
                codebook: index.parts().scan.codebook.clone(),
            }),
        }
    }

    /// The mean of a compact form, to build the next one with.
    pub fn mean(&self) -> Option<&[f32]> {
        match self {
            Self::Flat(_) => None,
            Self::Compact(index) => Some(index.mean()),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Flat(index) => index.len(),
            Self::Compact(index) => index.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        match self {
            Self::Flat(index) => index.dim(),
            Self::Compact(index) => index.dim(),
        }
    }

    /// Fills the vector of a row into `out` `[dim]`, as exactly as it is kept.
    pub fn decode_into(&self, row: usize, out: &mut [f32]) {
        match self {
            Self::Flat(index) => index.decode_into(row, out),
            Self::Compact(index) => index.decode_into(row, out),
        }
    }

    /// The vector of a row.
    pub fn vector(&self, row: usize) -> Vec<f32> {
        match self {
            Self::Flat(index) => index.vector(row),
            Self::Compact(index) => index.vector(row),
        }
    }

    /// Appends a vector; rows that were fixed become flat again.
    ///
    /// # Panics
    /// When its length is not the others'.
    pub fn push(&mut self, vector: &[f32]) {
        if let Self::Compact(index) = self {
            let mut flat = TwoTier::new(vector.len());
            (0..index.len()).for_each(|row| flat.push(&index.vector(row)));
            *self = Self::Flat(flat);
        }
        if let Self::Flat(index) = self {
            index.push(vector);
        }
    }

    /// The rows nearest to the query, best first, and what was done for it. The score is the cosine.
    ///
    /// # Panics
    /// When the query's length is not the vectors'.
    pub fn search(&self, search: &Search<'_>, kernels: &Kernels) -> (Vec<Hit>, Explanation) {
        match self {
            Self::Compact(index) => index.search(search, kernels),
            Self::Flat(index) => (
                index.search(search.query, search.k, search.hidden, kernels),
                Explanation::flat(index.len() - search.hidden.count()),
            ),
        }
    }

    /// [`Vectors::search`] for each of `searches`, in their order, to the bit; natively on every core.
    ///
    /// # Panics
    /// When a query's length is not the vectors'.
    pub fn search_batch(&self, searches: &[Search<'_>], kernels: &Kernels) -> Vec<Vec<Hit>> {
        match self {
            Self::Compact(index) => {
                let found = index.search_batch(searches, kernels);
                found.into_iter().map(|(hits, _)| hits).collect()
            }
            Self::Flat(_) => each(searches.len(), |at| self.search(&searches[at], kernels).0),
        }
    }
}
