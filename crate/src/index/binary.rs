//! Vectors of bits under ids: flat as they come, in lists once `compact` has been called.
//!
//! ```text
//! query q ─▶ lists, by their centroids ─▶ rows x of some ─ |q ∩ x| (popcount), |x| known ─▶ distance ─▶ k hits
//!                 binary_lists                              binary_rows
//! ```
//! A vector is the set of its bits that are 1; every metric follows from |q|, |x| and |q ∩ x|. The metrics,
//! also where a quotient is 0/0, are those of Milvus' Knowhere.

use super::binary_part::{Ask, BinaryPart};
use super::binary_rows::Bits;
use super::parallel::each;
use super::{Bitset, Hit, Recall};
use crate::error::{Error, Result};
use crate::kernels::Kernels;

/// How far a vector x is from a query q.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BinaryMetric {
    /// How many bits differ.
    #[default]
    Hamming,
    /// 1 − |q ∩ x| / |q ∪ x|, in [0, 1]; 1 where both are empty.
    Jaccard,
    /// −log₂ (|q ∩ x| / |q ∪ x|); infinite where they share nothing.
    Tanimoto,
    /// 0 where the query is part of the vector, q ⊆ x; no others are found.
    Substructure,
    /// 0 where the vector is part of the query, x ⊆ q; no others are found.
    Superstructure,
}

impl BinaryMetric {
    /// All of them with their names, as they are stored.
    pub const NAMES: [(&str, Self); 5] = [
        ("hamming", Self::Hamming),
        ("jaccard", Self::Jaccard),
        ("tanimoto", Self::Tanimoto),
        ("substructure", Self::Substructure),
        ("superstructure", Self::Superstructure),
    ];

    /// The distance of two vectors with so many bits, of which they share `both`; `None` where one is not
    /// part of the other and had to be.
    pub(super) fn distance(self, query: u32, row: u32, both: u32) -> Option<f32> {
        let shared = || f64::from(both) / f64::from((query + row - both).max(1));
        match self {
            Self::Hamming => Some((query + row - 2 * both) as f32),
            Self::Jaccard => Some((1.0 - shared()) as f32),
            Self::Tanimoto => Some((0.0 - shared().log2()) as f32),
            Self::Substructure => (both == query).then_some(0.0),
            Self::Superstructure => (both == row).then_some(0.0),
        }
    }

    /// Whether what is near to a centroid of a list is near to its rows.
    pub(super) fn is_ranked(self) -> bool {
        !matches!(self, Self::Substructure | Self::Superstructure)
    }
}

/// Vectors of as many bits, each under the number that it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct BinaryCollection {
    dim: usize,
    metric: BinaryMetric,
    next: u32,
    parts: Vec<BinaryPart>,
}

impl BinaryCollection {
    /// An empty collection of vectors of `dim` bits, a multiple of eight.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `dim` is not that.
    ///
    /// ```
    /// use photorecall::Kernels;
    /// use photorecall::index::{BinaryCollection, BinaryMetric, Recall};
    ///
    /// # fn main() -> photorecall::Result<()> {
    /// let mut molecules = BinaryCollection::new(16, BinaryMetric::Substructure)?;
    /// molecules.add(&[0b0111, 0, 0b1000, 1])?;
    /// let hits = molecules.search(&[0b0011, 0], 10, None, Recall::High, Kernels::best())?;
    /// assert_eq!((hits.len(), hits[0].id), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(dim: usize, metric: BinaryMetric) -> Result<Self> {
        Self::from_parts(dim, metric, 0, Vec::new()).ok_or(Error::Dimension {
            expected: dim.max(1).checked_next_multiple_of(8).unwrap_or(8),
            found: dim,
        })
    }

    /// From stored parts; `None` when they do not fit together: an id twice, or one from `next` on.
    pub fn from_parts(
        dim: usize,
        metric: BinaryMetric,
        next: u32,
        mut parts: Vec<BinaryPart>,
    ) -> Option<Self> {
        let mut seen = Bitset::new(next as usize);
        let mut fresh = |id: &u32| *id < next && seen.insert(*id as usize);
        let fits = dim > 0
            && dim.is_multiple_of(8)
            && u32::try_from(dim).is_ok()
            && parts.iter().all(|part| part.is_whole(dim))
            && parts.iter().flat_map(|part| &part.ids).all(&mut fresh);
        if !fits {
            return None;
        }
        parts.iter_mut().for_each(|part| part.bound(metric));
        Some(Self {
            dim,
            metric,
            next,
            parts,
        })
    }

    /// The parts, to be stored.
    pub fn parts(&self) -> &[BinaryPart] {
        &self.parts
    }

    /// Bits of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What they are compared by.
    pub fn metric(&self) -> BinaryMetric {
        self.metric
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(BinaryPart::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id that the next vector gets: ids are given in turn from 0, and never again.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Bytes of memory that vectors, lists and ids take.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(BinaryPart::bytes).sum()
    }

    /// Adds vectors `[n, dim / 8]`, eight bits a byte, in the same order for all. The first one gets the id
    /// [`BinaryCollection::next`]. All are added, or none.
    ///
    /// # Errors
    /// [`Error::Dimension`] when there is no whole number of them.
    pub fn add(&mut self, vectors: &[u8]) -> Result<()> {
        self.whole(vectors)?;
        if self.parts.last().is_none_or(|part| part.lists.is_some()) {
            self.parts.push(BinaryPart::growing(self.dim));
        }
        let part = self.parts.last_mut().expect("one was pushed");
        for vector in vectors.chunks_exact(self.dim / 8) {
            part.push(self.next, vector);
            self.next += 1;
        }
        Ok(())
    }

    /// Removes a vector; says whether it was there.
    pub fn remove(&mut self, id: u32) -> bool {
        let place = self.place(id);
        place.is_some_and(|(part, row)| self.parts[part].removed.insert(row))
    }

    /// The vector of an id `[dim / 8]`.
    pub fn vector(&self, id: u32) -> Option<Vec<u8>> {
        let (part, row) = self.place(id)?;
        let part = &self.parts[part];
        (!part.removed.contains(row)).then(|| part.rows.vector(row))
    }

    fn place(&self, id: u32) -> Option<(usize, usize)> {
        let mut parts = self.parts.iter().enumerate();
        parts.find_map(|(at, part)| Some((at, part.ids.iter().position(|of| *of == id)?)))
    }

    /// The `k` vectors nearest to `query` `[dim / 8]` whose ids are in `allowed`, best first, of equally near
    /// ones those with the lower ids; a hit's `id` is the vector's, its score the distance. Fewer, where a
    /// substructure or a superstructure is asked for and no more match: of these none is missed.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a query of another length.
    pub fn search(
        &self,
        query: &[u8],
        k: usize,
        allowed: Option<&Bitset>,
        recall: Recall,
        kernels: &Kernels,
    ) -> Result<Vec<Hit>> {
        self.one(query)?;
        Ok(self.nearest(query, k, &self.shown(allowed), (recall, kernels)))
    }

    /// [`BinaryCollection::search`] for each of `queries` `[n, dim / 8]`, in their order; natively on every
    /// core.
    ///
    /// # Errors
    /// [`Error::Dimension`] when there is no whole number of them.
    pub fn search_batch(
        &self,
        queries: &[u8],
        k: usize,
        allowed: Option<&Bitset>,
        recall: Recall,
        kernels: &Kernels,
    ) -> Result<Vec<Vec<Hit>>> {
        self.whole(queries)?;
        let (shown, len) = (self.shown(allowed), self.dim / 8);
        let answer = |at: usize| {
            let query = &queries[at * len..][..len];
            self.nearest(query, k, &shown, (recall, kernels))
        };
        Ok(each(queries.len() / len, answer))
    }

    /// All vectors whose ids are in `allowed` and whose distance to `query` `[dim / 8]` is `limit` or less,
    /// best first; none when `limit` is not a number. None is left out.
    ///
    /// # Errors
    /// As [`BinaryCollection::search`].
    pub fn range(
        &self,
        query: &[u8],
        limit: f32,
        allowed: Option<&Bitset>,
        kernels: &Kernels,
    ) -> Result<Vec<Hit>> {
        self.one(query)?;
        let ask = Ask {
            query: &Bits::of(query),
            metric: self.metric,
            k: usize::MAX,
            recall: Recall::Exact,
            kernels,
        };
        let parts = self.shown(allowed);
        let hits = parts
            .iter()
            .flat_map(|(part, hidden)| part.range(&ask, limit, hidden));
        Ok(measured(hits.collect()))
    }

    fn nearest(
        &self,
        query: &[u8],
        k: usize,
        shown: &[(&BinaryPart, Bitset)],
        (recall, kernels): (Recall, &Kernels),
    ) -> Vec<Hit> {
        let ask = Ask {
            query: &Bits::of(query),
            metric: self.metric,
            k,
            recall,
            kernels,
        };
        let found = shown
            .iter()
            .flat_map(|(part, hidden)| part.nearest(&ask, hidden));
        let mut hits = measured(found.collect());
        hits.truncate(k);
        hits
    }

    fn shown(&self, allowed: Option<&Bitset>) -> Vec<(&BinaryPart, Bitset)> {
        let parts = self.parts.iter().filter(|part| part.len() > 0);
        parts.map(|part| (part, part.hidden(allowed))).collect()
    }

    fn one(&self, query: &[u8]) -> Result<()> {
        let found = query.len().saturating_mul(8);
        (found == self.dim).then_some(()).ok_or(Error::Dimension {
            expected: self.dim,
            found,
        })
    }

    fn whole(&self, vectors: &[u8]) -> Result<()> {
        let found = vectors.len() % (self.dim / 8) * 8;
        (found == 0).then_some(()).ok_or(Error::Dimension {
            expected: self.dim,
            found,
        })
    }

    /// Puts all together, in lists where there are many, and lets go of what was removed. Ids stay.
    pub fn compact(&mut self) {
        let mut one = BinaryPart::growing(self.dim);
        self.parts.drain(..).for_each(|part| one.take(&part));
        if one.len() > 0 {
            self.parts.push(one.sealed(self.metric));
        }
    }
}

/// Hits in order, with distances in the place of scores.
fn measured(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_unstable_by(Hit::order);
    hits.iter_mut().for_each(|hit| hit.score = -hit.score);
    hits
}

#[cfg(test)]
mod tests;
