//! One segment in memory: photos, their vectors, and which of them are deleted.

use std::sync::OnceLock;

use super::photos::Photos;
use super::words::Words;
use super::{ModelRef, Photo};
use crate::checksum::crc32;
use crate::error::{Error, Result};
use crate::format::{self, Record, SegmentMeta};
use crate::image;
use crate::index::{Bitset, Vectors};

/// Where the store has a segment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stored {
    /// The segment's name in the store.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// CRC-32 of all its bytes.
    pub crc32: u32,
    /// Rows, the deleted ones counted.
    pub photos: usize,
    /// The file beside it by which single ranges of it can be read, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranges: Option<Beside>,
    /// What belongs to `ranges` and other segments may have too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codebook: Option<Shared>,
}

impl Stored {
    /// The name of the file beside it.
    pub fn ranges_name(&self) -> String {
        let stem = self.name.strip_suffix(".segment").unwrap_or(&self.name);
        format!("{stem}.ranges")
    }
}

/// A file that belongs to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Beside {
    /// Its length in bytes.
    pub bytes: u64,
    /// CRC-32 of all its bytes.
    pub crc32: u32,
}

impl Beside {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            crc32: crc32(bytes),
        }
    }
}

/// A codebook file in a library.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shared {
    /// Its name in the store, by its content.
    pub name: String,
    /// Its length and checksum.
    #[serde(flatten)]
    pub beside: Beside,
}

impl Shared {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::named(&image::digest(bytes), Beside::of(bytes))
    }

    /// Of bytes with this SHA-256, in hex.
    pub fn named(sha256: &str, beside: Beside) -> Self {
        let name = format!("{}.codebook", &sha256[..sha256.len().min(16)]);
        Self { name, beside }
    }
}

/// Rows after which a growing segment is sealed.
pub(super) const GROWING_ROWS: usize = 4096;

/// Photos and vectors, row by row.
#[derive(Debug)]
pub(super) struct Segment {
    pub photos: Photos,
    pub vectors: Vectors,
    pub deleted: Bitset,
    /// Made when names are first looked up.
    words: OnceLock<Words>,
    /// `None` while it has rows that the store does not have.
    pub stored: Option<Stored>,
}

impl Segment {
    pub fn new(dim: usize) -> Self {
        Self {
            photos: Photos::default(),
            vectors: Vectors::new(dim),
            deleted: Bitset::default(),
            words: OnceLock::new(),
            stored: None,
        }
    }

    /// Photos and vectors that are known all at once, row by row.
    pub fn of(photos: Photos, vectors: Vectors) -> Self {
        Self {
            deleted: Bitset::new(photos.len()),
            photos,
            vectors,
            words: OnceLock::new(),
            stored: None,
        }
    }

    /// The words of its photos' names.
    pub fn words(&self) -> &Words {
        let rows = 0..self.photos.len();
        self.words
            .get_or_init(|| Words::of(rows.map(|row| self.photos.record(row))))
    }

    pub fn push(&mut self, photo: Photo, vector: &[f32]) {
        self.vectors.push(vector);
        if let Some(words) = self.words.get_mut() {
            words.add(self.photos.len(), &photo.record());
        }
        self.photos.push(photo);
        self.deleted.push();
        self.stored = None;
    }

    /// Whether further rows belong into another segment.
    pub fn is_full(&self) -> bool {
        self.photos.len() >= GROWING_ROWS || self.vectors.mean().is_some()
    }

    /// Rows that are not deleted.
    pub fn live_rows(&self) -> impl Iterator<Item = usize> {
        (0..self.photos.len()).filter(|row| self.is_live(*row))
    }

    /// Whether a row is not deleted.
    pub fn is_live(&self, row: usize) -> bool {
        !self.deleted.contains(row)
    }

    /// Rows that are not deleted, with what is kept of their photos.
    pub fn records(&self) -> impl Iterator<Item = (usize, Record<'_>)> {
        self.live_rows().map(|row| (row, self.photos.record(row)))
    }

    /// Rows that are not deleted, with their photos.
    pub fn live(&self) -> impl Iterator<Item = (usize, &Photo)> {
        self.live_rows().map(|row| (row, self.photos.get(row)))
    }

    pub fn to_bytes(&self, model: &ModelRef) -> Vec<u8> {
        let meta = SegmentMeta::new(&model.digest, model.dim, self.photos.len());
        format::write_segment(&meta, self.photos.records(), &self.vectors)
    }

    /// Reads what `stored` names; every byte is checked.
    pub fn from_bytes(
        bytes: &[u8],
        stored: &Stored,
        deleted: Bitset,
        model: &ModelRef,
    ) -> Result<Self> {
        let damaged = |reason| Error::Damaged {
            what: stored.name.clone(),
            reason,
        };
        if bytes.len() as u64 != stored.bytes {
            return Err(damaged("another length than the manifest says"));
        }
        let format::Segment {
            meta,
            photos,
            vectors,
            crc32,
        } = format::read_segment(&stored.name, bytes)?;
        if crc32 != stored.crc32 {
            return Err(damaged("another checksum than the manifest says"));
        }
        let photos = Photos::listed(photos).ok_or(damaged("its list of photos"))?;
        if meta.model_digest != model.digest || meta.dim != model.dim {
            return Err(damaged("filled by another model than the manifest says"));
        }
        if photos.len() != meta.rows || stored.photos != meta.rows {
            return Err(damaged("another number of photos than it says"));
        }
        Ok(Self {
            photos,
            vectors,
            deleted,
            words: OnceLock::new(),
            stored: Some(stored.clone()),
        })
    }

    /// Reads what compaction has made; no store has it yet.
    pub fn merged(bytes: &[u8], deleted: Bitset, model: &ModelRef) -> Result<Self> {
        let made = Stored {
            name: "a merged segment".into(),
            bytes: bytes.len() as u64,
            crc32: crc32(bytes),
            photos: deleted.len(),
            ranges: None,
            codebook: None,
        };
        Ok(Self {
            stored: None,
            ..Self::from_bytes(bytes, &made, deleted, model)?
        })
    }

    /// The paths of a damaged segment, if its list of photos is whole.
    pub fn salvage_paths(name: &str, bytes: &[u8]) -> Option<Vec<String>> {
        let photos = Photos::listed(format::salvage_photos(name, bytes)?)?;
        let paths = (0..photos.len()).map(|row| photos.path(row).to_owned());
        Some(paths.collect())
    }
}
