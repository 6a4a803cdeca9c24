//! Reading a library segment by segment, for one that is larger than memory.

use super::manifest::Manifest;
use super::segment::Segment;
use super::{Library, ModelRef, Photo};
use crate::error::Result;

/// The photos of one segment, read and checked whole.
#[derive(Debug)]
pub struct Rows {
    segment: Segment,
}

impl Rows {
    /// The row numbers and photos that are not deleted.
    pub fn live(&self) -> impl Iterator<Item = (usize, &Photo)> {
        self.segment.live()
    }

    /// The vector of a row, as exactly as it is kept.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn vector(&self, row: usize) -> Vec<f32> {
        self.segment.vectors.vector(row)
    }
}

impl Library {
    /// How many photos a manifest has.
    ///
    /// # Errors
    /// When the manifest is damaged or too new.
    pub fn count(manifest: &[u8]) -> Result<usize> {
        let Manifest { listing, deleted } = Manifest::from_bytes(manifest)?;
        let rows = listing.segments.iter().map(|stored| stored.photos);
        let gone = deleted.iter().map(crate::index::Bitset::count);
        Ok(rows.sum::<usize>().saturating_sub(gone.sum()))
    }

    /// The model of a manifest, and its segments one after the other; `read` gives a segment's bytes.
    ///
    /// # Errors
    /// When the manifest is damaged or too new; an item is an error when its segment is.
    pub fn rows<R>(
        manifest: &[u8],
        mut read: R,
    ) -> Result<(ModelRef, impl Iterator<Item = Result<Rows>> + use<R>)>
    where
        R: FnMut(&str) -> Result<Vec<u8>>,
    {
        let Manifest { listing, deleted } = Manifest::from_bytes(manifest)?;
        let model = listing.model.clone();
        let segments = listing.segments.into_iter().zip(deleted);
        let rows = segments.map(move |(stored, deleted)| {
            let bytes = read(&stored.name)?;
            let segment = Segment::from_bytes(&bytes, &stored, deleted, &listing.model)?;
            Ok(Rows { segment })
        });
        Ok((model, rows))
    }
}
