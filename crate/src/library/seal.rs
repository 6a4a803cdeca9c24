//! Segments that are made apart and joined as they are: a shard is one segment.
//!
//! ```text
//! photos, vectors, the shared codebook ─▶ seal ─▶ a segment's bytes     on any machine
//! what was stored of all shards ─▶ joined ─▶ the manifest               nothing is read or encoded again
//! ```

use super::manifest::{Listing, Manifest};
use super::segment::{Beside, Segment, Shared, Stored};
use super::{Commit, Library, ModelRef, Photo};
use crate::error::{Error, Result};
use crate::format::{self, RangesFiles};
use crate::index::{Bitset, Codebook, Compact, Vectors};

impl Library {
    /// A segment of `photos` with their unit vectors `[photos, dim]`, row by row: compact by the shared
    /// codebook; without one, as compaction would make it. The same arguments give the same bytes on one
    /// machine, on any number of threads.
    ///
    /// # Errors
    /// [`Error::Dimension`] when the vectors are not as many as the photos, or the codebook is another
    /// model's; [`Error::NoDirection`] for a vector that is not of about length one.
    pub fn seal(
        model: &ModelRef,
        photos: Vec<Photo>,
        vectors: &[f32],
        codebook: Option<&Codebook>,
        seed: u64,
    ) -> Result<Vec<u8>> {
        let dim = model.dim;
        let fits = |expected, found| match expected == found {
            true => Ok(()),
            false => Err(Error::Dimension { expected, found }),
        };
        fits(photos.len() * dim, vectors.len())?;
        fits(dim, codebook.map_or(dim, |shared| shared.centroids.dim()))?;
        vectors
            .chunks_exact(dim)
            .try_for_each(|vector| model.check(vector))?;
        let rows = photos.len();
        let vector = |row: usize, out: &mut [f32]| {
            out.copy_from_slice(&vectors[row * dim..][..dim]);
        };
        let (index, order) = match codebook {
            Some(shared) if rows > 0 => {
                let (index, order) = Compact::build_with(shared, rows, seed, &vector);
                (Vectors::Compact(Box::new(index)), order)
            }
            _ => Vectors::build(rows, dim, None, &vector),
        };
        let photos = order.iter().map(|at| photos[*at as usize].clone());
        Ok(Segment::of(photos.collect(), index).to_bytes(model))
    }

    /// The manifest of a library of segments that are stored already, in this order.
    pub fn joined(model: &ModelRef, segments: Vec<Stored>) -> Vec<u8> {
        let deleted = segments
            .iter()
            .map(|stored| Bitset::new(stored.photos))
            .collect();
        let listing = Listing {
            generation: 1,
            model: model.clone(),
            segments,
            set_aside: Vec::new(),
        };
        Manifest { listing, deleted }.to_bytes()
    }

    /// What a store has to keep so that single ranges of the library's segments can be read: a file
    /// beside each large one, and their codebooks. `read` gives a segment's bytes, one at a time.
    ///
    /// # Errors
    /// When the manifest or a segment is damaged or too new.
    pub fn ranged(
        manifest: &[u8],
        mut read: impl FnMut(&str) -> Result<Vec<u8>>,
    ) -> Result<Commit> {
        let Manifest {
            mut listing,
            deleted,
        } = Manifest::from_bytes(manifest)?;
        let mut put: Vec<(String, Vec<u8>)> = Vec::new();
        for stored in &mut listing.segments {
            (stored.ranges, stored.codebook) = (None, None);
            let files = format::write_ranges(&stored.name, &read(&stored.name)?)?;
            let Some(RangesFiles { ranges, codebook }) = files else {
                continue;
            };
            let shared = Shared::of(&codebook);
            if put.iter().all(|(name, _)| *name != shared.name) {
                put.push((shared.name.clone(), codebook));
            }
            (stored.ranges, stored.codebook) = (Some(Beside::of(&ranges)), Some(shared));
            put.push((stored.ranges_name(), ranges));
        }
        listing.generation += 1;
        Ok(Commit {
            generation: listing.generation,
            put,
            manifest: Manifest { listing, deleted }.to_bytes(),
            drop: Vec::new(),
        })
    }
}
