//! Vectors under ids of their own, without photos: added, removed, searched, made compact.
//!
//! ```text
//! sealed   compact, what the last `compact` put together     ┐
//! growing  flat, what was added since                        ┴▶ best of both, by score
//! ```

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
        if !vectors.len().is_multiple_of(self.dim) {
            return Err(Error::Dimension {
                expected: self.dim,
                found: vectors.len() % self.dim,
            });
        }
        let rows = vectors.chunks_exact(self.dim);
        let units: Vec<_> = rows
            .map(|row| normalise(row.to_vec()))
            .collect::<Result<_>>()?;
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
        if query.len() != self.dim {
            return Err(Error::Dimension {
                expected: self.dim,
                found: query.len(),
            });
        }
        let query = normalise(query.to_vec())?;
        let mut hits = Vec::new();
        for part in self.parts.iter().filter(|part| part.len() > 0) {
            let hidden = &part.hidden(allowed);
            let search = Search {
                query: &query,
                k: k.min(part.len()),
                hidden,
                recall,
            };
            let (found, _) = part.vectors.search(&search, kernels);
            hits.extend(found.into_iter().map(|hit| Hit {
                id: part.ids[hit.id as usize],
                ..hit
            }));
        }
        hits.sort_by(Hit::order);
        hits.truncate(k);
        Ok(hits)
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
        assert!(Collection::new(0).is_err());
    }
}
