//! Vectors under ids of their own, without photos: added, removed, searched, made compact.
//!
//! ```text
//! sealed   compact, what the last `compact` put together     ┐
//! growing  flat, what was added since                        ┴▶ best of both, by score
//! ```

use super::{Bitset, Hit, Metric, Part, Recall, Search, normalise};
use crate::error::{Error, Result};
use crate::kernels::Kernels;

/// The length, as a power of ten, of the longest vectors whose distances and inner products f32 holds.
const LENGTH_MOST: i32 = 18;

/// Vectors of one dimension, each under the number that it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    dim: usize,
    metric: Metric,
    next: u32,
    parts: Vec<Part>,
}

impl Collection {
    /// An empty collection of vectors with `dim` axes, compared by their cosine.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `dim` is 0.
    pub fn new(dim: usize) -> Result<Self> {
        Self::with_metric(dim, Metric::Cosine)
    }

    /// An empty collection of vectors with `dim` axes, compared by `metric`.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `dim` is 0.
    ///
    /// ```
    /// use photorecall::Kernels;
    /// use photorecall::index::{Collection, Metric, Recall};
    ///
    /// # fn main() -> photorecall::Result<()> {
    /// let mut places = Collection::with_metric(2, Metric::L2)?;
    /// places.add(&[0.0, 0.0, 3.0, 4.0])?;
    /// let hits = places.search(&[3.0, 3.0], 1, None, Recall::High, Kernels::best())?;
    /// assert!(hits[0].id == 1 && (hits[0].score - 1.0).abs() < 0.01);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_metric(dim: usize, metric: Metric) -> Result<Self> {
        Self::from_parts(dim, metric, 0, Vec::new()).ok_or(Error::Dimension {
            expected: 1,
            found: dim,
        })
    }

    /// From stored parts; `None` when they do not fit together: an id twice, or one from `next` on.
    pub fn from_parts(dim: usize, metric: Metric, next: u32, parts: Vec<Part>) -> Option<Self> {
        let mut seen = Bitset::new(next as usize);
        let mut fresh = |id: &u32| *id < next && seen.insert(*id as usize);
        let fits = dim > 0
            && parts.iter().all(|part| part.is_whole(metric, dim))
            && parts.iter().flat_map(|part| &part.ids).all(&mut fresh);
        fits.then(|| Self {
            dim,
            metric,
            next,
            parts: parts.into_iter().map(|part| part.ranked(metric)).collect(),
        })
    }

    /// The parts, to be stored.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What they are compared by.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id that the next vector gets: ids are given in turn from 0, and never again.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Adds vectors `[n, dim]`. With [`Metric::Cosine`] they are of any length but zero, and kept at length
    /// one. The first one gets the id [`Collection::next`]. All are added, or none.
    ///
    /// # Errors
    /// [`Error::Dimension`] when there is no whole number of them; [`Error::NoDirection`] for one that is
    /// not finite or, with the cosine, zero; [`Error::TooLong`] for one longer than 10¹⁸.
    pub fn add(&mut self, vectors: &[f32]) -> Result<()> {
        let vectors = self.checked(vectors)?;
        if !self.parts.last().is_some_and(|part| part.takes(&vectors)) {
            let part = Part::growing(self.metric, self.dim, &vectors);
            self.parts.push(part);
        }
        let part = self.parts.last_mut().expect("one was pushed");
        for vector in vectors {
            part.push(self.next, &vector);
            self.next += 1;
        }
        Ok(())
    }

    /// Removes a vector; says whether it was there.
    pub fn remove(&mut self, id: u32) -> bool {
        let place = self.place(id);
        place.is_some_and(|(part, row)| self.parts[part].removed.insert(row))
    }

    /// The vector of an id, as exactly as it is kept.
    pub fn vector(&self, id: u32) -> Option<Vec<f32>> {
        let (part, row) = self.place(id)?;
        let part = &self.parts[part];
        (!part.removed.contains(row)).then(|| part.vector(self.metric, row))
    }

    /// The part and the row of an id, whether it was removed or not.
    fn place(&self, id: u32) -> Option<(usize, usize)> {
        let mut parts = self.parts.iter().enumerate();
        parts.find_map(|(at, part)| Some((at, part.ids.iter().position(|of| *of == id)?)))
    }

    /// The `k` vectors nearest to `query` `[dim]` whose ids are in `allowed`, best first; a hit's `id` is
    /// the vector's, its score what the metric says: the cosine or the inner product, the largest first, or
    /// the squared distance, the smallest first.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NoDirection`] or [`Error::TooLong`] for a query that cannot be compared.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        allowed: Option<&Bitset>,
        recall: Recall,
        kernels: &Kernels,
    ) -> Result<Vec<Hit>> {
        let query = self.query(query)?;
        Ok(self.nearest(&query, k, &self.shown(allowed), (recall, kernels)))
    }

    /// [`Collection::search`] for each of `queries` `[n, dim]`, in their order, to the bit; natively on
    /// every core.
    ///
    /// # Errors
    /// [`Error::Dimension`] when there is no whole number of them; [`Error::NoDirection`] or
    /// [`Error::TooLong`] for one that cannot be compared: then none is answered.
    pub fn search_batch(
        &self,
        queries: &[f32],
        k: usize,
        allowed: Option<&Bitset>,
        recall: Recall,
        kernels: &Kernels,
    ) -> Result<Vec<Vec<Hit>>> {
        let queries = self.checked(queries)?;
        queries.iter().try_for_each(|query| self.directed(query))?;
        let shown = self.shown(allowed);
        let mut answers = vec![Vec::new(); queries.len()];
        for (part, hidden) in &shown {
            let each = queries.iter().map(|query| Search {
                query,
                k,
                hidden,
                recall,
            });
            let searches: Vec<Search<'_>> = each.collect();
            let found = part.nearest_batch(self.metric, &searches, kernels);
            answers
                .iter_mut()
                .zip(found)
                .for_each(|(all, found)| all.extend(found));
        }
        let best = answers.into_iter().map(|hits| self.best(hits, k));
        Ok(best.collect())
    }

    /// All vectors whose ids are in `allowed` and whose score is `limit` or better, best first: a cosine or an
    /// inner product of `limit` or more, a squared distance of `limit` or less to `query` `[dim]`; none when
    /// `limit` is not a number. Exact by the codes: each has the score that [`Collection::search`] gives it,
    /// and none is left out.
    ///
    /// # Errors
    /// As [`Collection::search`].
    pub fn range(
        &self,
        query: &[f32],
        limit: f32,
        allowed: Option<&Bitset>,
        kernels: &Kernels,
    ) -> Result<Vec<Hit>> {
        let query = self.query(query)?;
        let least = self.metric.signed(limit);
        let mut hits = Vec::new();
        for (part, hidden) in self.shown(allowed) {
            hits.extend(part.range(self.metric, (&query, least), &hidden, kernels));
        }
        hits.sort_unstable_by(Hit::order);
        Ok(self.valued(hits))
    }

    /// A query that can be compared.
    fn query(&self, query: &[f32]) -> Result<Vec<f32>> {
        if query.len() != self.dim {
            return Err(Error::Dimension {
                expected: self.dim,
                found: query.len(),
            });
        }
        let mut checked = self.checked(query)?;
        let query = checked.remove(0);
        self.directed(&query)?;
        Ok(query)
    }

    /// Every inner product with zero is zero: nothing is nearest to it.
    fn directed(&self, query: &[f32]) -> Result<()> {
        let tells = self.metric != Metric::Ip || query.iter().any(|x| *x != 0.0);
        tells.then_some(()).ok_or(Error::NoDirection)
    }

    /// Vectors `[n, dim]`, finite; with the cosine at length one.
    fn checked(&self, vectors: &[f32]) -> Result<Vec<Vec<f32>>> {
        if !vectors.len().is_multiple_of(self.dim) {
            return Err(Error::Dimension {
                expected: self.dim,
                found: vectors.len() % self.dim,
            });
        }
        let rows = vectors.chunks_exact(self.dim).map(<[f32]>::to_vec);
        match self.metric {
            Metric::Cosine => rows.map(normalise).collect(),
            Metric::Ip | Metric::L2 => rows.map(of_length).collect(),
        }
    }

    /// The parts that have vectors, and the rows of each that take no part.
    fn shown(&self, allowed: Option<&Bitset>) -> Vec<(&Part, Bitset)> {
        let parts = self.parts.iter().filter(|part| part.len() > 0);
        parts.map(|part| (part, part.hidden(allowed))).collect()
    }

    fn nearest(
        &self,
        query: &[f32],
        k: usize,
        shown: &[(&Part, Bitset)],
        (recall, kernels): (Recall, &Kernels),
    ) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (part, hidden) in shown {
            let search = Search {
                query,
                k,
                hidden,
                recall,
            };
            hits.extend(part.nearest(self.metric, &search, kernels));
        }
        self.best(hits, k)
    }

    /// The best `k` of all parts' hits, with the metric's own values.
    fn best(&self, mut hits: Vec<Hit>, k: usize) -> Vec<Hit> {
        hits.sort_unstable_by(Hit::order);
        hits.truncate(k);
        self.valued(hits)
    }

    /// Hits with the metric's own values.
    fn valued(&self, mut hits: Vec<Hit>) -> Vec<Hit> {
        hits.iter_mut()
            .for_each(|hit| hit.score = self.metric.signed(hit.score));
        hits
    }

    /// Puts all together in the form that is best for so many, and lets go of what was removed. Ids stay.
    pub fn compact(&mut self) {
        let live: Vec<(usize, usize)> = self
            .parts
            .iter()
            .enumerate()
            .flat_map(|(at, part)| (0..part.ids.len()).map(move |row| (at, row)))
            .filter(|(at, row)| !self.parts[*at].removed.contains(*row))
            .collect();
        if live.is_empty() {
            self.parts.clear();
            return;
        }
        let vector = |row: usize, out: &mut [f32]| {
            let (at, row) = live[row];
            out.copy_from_slice(&self.parts[at].vector(self.metric, row));
        };
        let ids: Vec<u32> = live
            .iter()
            .map(|(at, row)| self.parts[*at].ids[*row])
            .collect();
        let mean = self.parts.iter().find_map(|part| part.vectors.mean());
        let sealed = Part::sealed((self.metric, self.dim), mean, &ids, &vector);
        self.parts = vec![sealed];
    }
}

/// A vector whose distances and inner products f32 holds.
fn of_length(vector: Vec<f32>) -> Result<Vec<f32>> {
    let squares = vector.iter().map(|x| f64::from(*x) * f64::from(*x));
    let length = squares.sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err(Error::NoDirection);
    }
    if length > 10f64.powi(LENGTH_MOST) {
        return Err(Error::TooLong {
            found: length.log10() as i32,
            most: LENGTH_MOST,
        });
    }
    Ok(vector)
}

#[cfg(test)]
mod tests;
