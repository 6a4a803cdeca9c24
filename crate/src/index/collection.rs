//! Vectors under ids of their own, without photos: added, removed, searched, made compact.
//!
//! ```text
//! sealed   compact, what the last `compact` put together     ┐
//! growing  flat, what was added since                        ┴▶ best of both, by score
//! ```

use super::parallel::each;
use super::{Bitset, Hit, Recall, Search, Vectors, normalise};
use crate::error::{Error, Result};
use crate::kernels::Kernels;

/// Unit vectors of one length, each under the number that it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    dim: usize,
    next: u32,
    parts: Vec<Part>,
}

/// Some of a [`Collection`]'s rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The rows.
    pub vectors: Vectors,
    /// The id of each row `[rows]`.
    pub ids: Vec<u32>,
    /// Rows that were removed.
    pub removed: Bitset,
}

impl Part {
    fn growing(dim: usize) -> Self {
        Self {
            vectors: Vectors::new(dim),
            ids: Vec::new(),
            removed: Bitset::default(),
        }
    }

    fn len(&self) -> usize {
        self.ids.len() - self.removed.count()
    }

    /// Hits on rows, as hits on their ids.
    fn by_id(&self, hits: Vec<Hit>) -> impl Iterator<Item = Hit> {
        hits.into_iter().map(|hit| Hit {
            id: self.ids[hit.id as usize],
            ..hit
        })
    }

    /// Rows that take no part when only the ids in `allowed` do.
    fn hidden(&self, allowed: Option<&Bitset>) -> Bitset {
        let mut hidden = self.removed.clone();
        if let Some(allowed) = allowed {
            for (row, id) in self.ids.iter().enumerate() {
                if !allowed.contains(*id as usize) {
                    hidden.insert(row);
                }
            }
        }
        hidden
    }
}

impl Collection {
    /// An empty collection of vectors with `dim` axes.
    ///
    /// # Errors
    /// [`Error::Dimension`] when `dim` is 0.
    pub fn new(dim: usize) -> Result<Self> {
        Self::from_parts(dim, 0, Vec::new()).ok_or(Error::Dimension {
            expected: 1,
            found: dim,
        })
    }

    /// From stored parts; `None` when they do not fit together: an id twice, or one from `next` on.
    pub fn from_parts(dim: usize, next: u32, parts: Vec<Part>) -> Option<Self> {
        let mut seen = Bitset::new(next as usize);
        let whole = |part: &Part| {
            let rows = part.ids.len();
            part.vectors.len() == rows && part.removed.len() == rows && part.vectors.dim() == dim
        };
        let mut fresh = |id: &u32| *id < next && seen.insert(*id as usize);
        let fits = dim > 0
            && parts.iter().all(whole)
            && parts.iter().flat_map(|part| &part.ids).all(&mut fresh);
        fits.then_some(Self { dim, next, parts })
    }

    /// The parts, to be stored.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        self.dim
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

    /// Adds vectors `[n, dim]`, of any length but zero; they are kept at length one. The first one gets
    /// the id [`Collection::next`]. All are added, or none.
    ///
    /// # Errors
    /// [`Error::Dimension`] when there is no whole number of them; [`Error::NoDirection`] for one that is
    /// zero or not finite.
    pub fn add(&mut self, vectors: &[f32]) -> Result<()> {
        let units = self.units(vectors)?;
        if !matches!(self.parts.last(), Some(part) if matches!(part.vectors, Vectors::Flat(_))) {
            self.parts.push(Part::growing(self.dim));
        }
        let part = self.parts.last_mut().expect("one was pushed");
        for unit in units {
            part.vectors.push(&unit);
            part.ids.push(self.next);
            part.removed.push();
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
        (!part.removed.contains(row)).then(|| part.vectors.vector(row))
    }

    /// The part and the row of an id, whether it was removed or not.
    fn place(&self, id: u32) -> Option<(usize, usize)> {
        let mut parts = self.parts.iter().enumerate();
        parts.find_map(|(at, part)| Some((at, part.ids.iter().position(|of| *of == id)?)))
    }

    /// The `k` vectors nearest to `query` `[dim]` whose ids are in `allowed`, best first; a hit's `id` is
    /// the vector's, its score the cosine.
    ///
    /// # Errors
    /// [`Error::Dimension`] or [`Error::NoDirection`] for a query that cannot be compared.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        allowed: Option<&Bitset>,
        recall: Recall,
        kernels: &Kernels,
    ) -> Result<Vec<Hit>> {
        let query = self.unit(query)?;
        Ok(self.nearest(&query, k, &self.shown(allowed), (recall, kernels)))
    }

    /// [`Collection::search`] for each of `queries` `[n, dim]`, in their order, to the bit; natively on
    /// every core.
    ///
    /// # Errors
    /// [`Error::Dimension`] when there is no whole number of them; [`Error::NoDirection`] for one that
    /// cannot be compared: then none is answered.
    pub fn search_batch(
        &self,
        queries: &[f32],
        k: usize,
        allowed: Option<&Bitset>,
        recall: Recall,
        kernels: &Kernels,
    ) -> Result<Vec<Vec<Hit>>> {
        let queries = self.units(queries)?;
        let shown = self.shown(allowed);
        let answer = |at: usize| self.nearest(&queries[at], k, &shown, (recall, kernels));
        Ok(each(queries.len(), answer))
    }

    /// All vectors whose cosine to `query` `[dim]` is `least` or more and whose ids are in `allowed`, best
    /// first; none when `least` is not a number. Exact by the codes: each has the score that
    /// [`Collection::search`] gives it, and none is left out.
    ///
    /// # Errors
    /// As [`Collection::search`].
    pub fn range(
        &self,
        query: &[f32],
        least: f32,
        allowed: Option<&Bitset>,
        kernels: &Kernels,
    ) -> Result<Vec<Hit>> {
        let query = self.unit(query)?;
        let mut hits = Vec::new();
        for (part, hidden) in self.shown(allowed) {
            let found = part.vectors.range(&query, least, &hidden, kernels);
            hits.extend(part.by_id(found));
        }
        hits.sort_by(Hit::order);
        Ok(hits)
    }

    fn unit(&self, query: &[f32]) -> Result<Vec<f32>> {
        if query.len() != self.dim {
            return Err(Error::Dimension {
                expected: self.dim,
                found: query.len(),
            });
        }
        normalise(query.to_vec())
    }

    /// Vectors `[n, dim]` at length one.
    fn units(&self, vectors: &[f32]) -> Result<Vec<Vec<f32>>> {
        if !vectors.len().is_multiple_of(self.dim) {
            return Err(Error::Dimension {
                expected: self.dim,
                found: vectors.len() % self.dim,
            });
        }
        let rows = vectors.chunks_exact(self.dim);
        rows.map(|row| normalise(row.to_vec())).collect()
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
                k: k.min(part.len()),
                hidden,
                recall,
            };
            let (found, _) = part.vectors.search(&search, kernels);
            hits.extend(part.by_id(found));
        }
        hits.sort_by(Hit::order);
        hits.truncate(k);
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
            self.parts[at].vectors.decode_into(row, out);
        };
        let mean = self.parts.iter().find_map(|part| part.vectors.mean());
        let (vectors, order) = Vectors::build(live.len(), self.dim, mean, &vector);
        let id = |row: &u32| {
            let (at, row) = live[*row as usize];
            self.parts[at].ids[row]
        };
        let sealed = Part {
            ids: order.iter().map(id).collect(),
            removed: Bitset::new(order.len()),
            vectors,
        };
        self.parts = vec![sealed];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::random::Random;

    const DIM: usize = 32;

    fn filled(rows: usize) -> (Collection, Vec<f32>) {
        let mut random = Random(5);
        let vectors: Vec<f32> = (0..rows * DIM).map(|_| random.normal()).collect();
        let mut collection = Collection::new(DIM).expect("a length");
        collection.add(&vectors).expect("vectors");
        (collection, vectors)
    }

    fn found(collection: &Collection, query: &[f32], allowed: Option<&Bitset>) -> Vec<u32> {
        let hits = collection.search(query, 5, allowed, Recall::Exact, Kernels::best());
        hits.expect("a query").iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn ids_stay_through_removal_growth_and_compaction() {
        let (mut collection, vectors) = filled(3000);
        let of = |id: usize| &vectors[id * DIM..][..DIM];
        assert!(collection.remove(7) && !collection.remove(7) && !collection.remove(9999));
        collection.compact();
        collection.add(of(7)).expect("a vector");
        for id in [0, 1234, 2999] {
            assert_eq!(found(&collection, of(id), None)[0], id as u32);
        }
        assert_eq!(
            found(&collection, of(7), None)[0],
            3000,
            "the one added last"
        );
        assert_eq!((collection.len(), collection.next()), (3000, 3001));
        assert!(collection.remove(1234));
        collection.compact();
        assert_ne!(found(&collection, of(1234), None)[0], 1234);
        assert_eq!(collection.len(), 2999);
        assert_eq!(collection.vector(1234), None);
    }

    #[test]
    fn only_what_is_allowed_is_found() {
        let (mut collection, vectors) = filled(2500);
        collection.compact();
        let mut allowed = Bitset::new(collection.next() as usize);
        for id in [3, 30, 300] {
            allowed.insert(id);
        }
        let mut ids = found(&collection, &vectors[..DIM], Some(&allowed));
        ids.sort_unstable();
        assert_eq!(ids, [3, 30, 300]);
    }

    /// Compact rows, rows beside them, and some of either removed.
    fn mixed() -> (Collection, Vec<f32>) {
        let (mut collection, vectors) = filled(2600);
        collection.compact();
        collection.add(&vectors[..40 * DIM]).expect("vectors");
        for id in [3, 900, 2610] {
            assert!(collection.remove(id));
        }
        (collection, vectors)
    }

    #[test]
    fn a_range_is_all_that_an_exhaustive_search_finds_down_to_its_score() {
        let (collection, vectors) = mixed();
        let mut allowed = Bitset::new(collection.next() as usize);
        (0..2640).filter(|id| id % 3 != 0).for_each(|id| {
            allowed.insert(id);
        });
        for (at, query) in vectors.chunks_exact(DIM).take(5).enumerate() {
            for allowed in [None, Some(&allowed)] {
                let all = collection.len();
                let all = collection.search(query, all, allowed, Recall::Exact, Kernels::best());
                let all = all.expect("a query");
                for least in [all[0].score, all[20].score, 0.3, -2.0, 2.0, f32::NAN] {
                    let found = collection.range(query, least, allowed, Kernels::best());
                    let enough = all.iter().take_while(|hit| hit.score >= least);
                    let enough: Vec<Hit> = enough.copied().collect();
                    assert_eq!(found.expect("a query"), enough, "query {at} from {least}");
                }
            }
        }
    }

    #[test]
    fn a_batch_answers_as_single_searches_do() {
        let (collection, vectors) = mixed();
        let queries = &vectors[..50 * DIM];
        for (k, recall) in [(7, Recall::Fast), (30, Recall::High), (0, Recall::Exact)] {
            let together = collection.search_batch(queries, k, None, recall, Kernels::best());
            let single = |query| collection.search(query, k, None, recall, Kernels::best());
            let singly: Result<Vec<_>> = queries.chunks_exact(DIM).map(single).collect();
            assert_eq!(together.expect("queries"), singly.expect("queries"));
        }
        let none = collection.search_batch(&[], 5, None, Recall::Fast, Kernels::best());
        assert_eq!(none.expect("no queries"), Vec::<Vec<Hit>>::new());
    }

    #[test]
    fn an_empty_collection_has_nothing_in_range() {
        let (mut collection, vectors) = filled(3);
        (0..3).for_each(|id| assert!(collection.remove(id)));
        let found = collection.range(&vectors[..DIM], -2.0, None, Kernels::best());
        assert_eq!(found.expect("a query"), []);
    }

    #[test]
    fn what_cannot_be_compared_is_refused_and_nothing_is_added() {
        let (mut collection, _) = filled(3);
        let mut two = vec![1.0; 2 * DIM];
        two[DIM..].fill(0.0);
        assert!(matches!(collection.add(&two), Err(Error::NoDirection)));
        assert!(matches!(
            collection.add(&[1.0; 40]),
            Err(Error::Dimension {
                expected: DIM,
                found: 8
            })
        ));
        assert_eq!(collection.len(), 3);
        let query = [f32::NAN; DIM];
        let nothing = collection.search(&query, 1, None, Recall::Fast, Kernels::best());
        assert!(matches!(nothing, Err(Error::NoDirection)));
        let nothing = collection.range(&query, 0.0, None, Kernels::best());
        assert!(matches!(nothing, Err(Error::NoDirection)));
        let short = collection.range(&[1.0; 5], 0.0, None, Kernels::best());
        assert!(matches!(short, Err(Error::Dimension { found: 5, .. })));
        let batch = collection.search_batch(&[1.0; 40], 1, None, Recall::Fast, Kernels::best());
        assert!(matches!(batch, Err(Error::Dimension { found: 8, .. })));
        assert!(Collection::new(0).is_err());
    }
}
