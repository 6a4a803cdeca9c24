//! Segments ⇄ bytes.

use serde::{Deserialize, Serialize};

use super::read::damaged;
use super::vectors::{read_vectors, write_vectors};
use super::{Container, Form, Kind, Records, Writer};
use crate::error::Result;
use crate::index::Vectors;

/// What a segment says of itself, in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Digest of the model that made the vectors.
    pub model_digest: String,
    /// Axes of a vector.
    pub dim: usize,
    /// Photos, and rows of vectors.
    pub rows: usize,
    /// How the vectors are kept.
    #[serde(default)]
    pub form: Form,
    /// How its photos are kept.
    #[serde(default)]
    pub photos: Recorded,
}

impl SegmentMeta {
    /// Of so many rows for a model's vectors.
    pub fn new(model_digest: &str, dim: usize, rows: usize) -> Self {
        Self {
            model_digest: model_digest.to_owned(),
            dim,
            rows,
            form: Form::Flat,
            photos: Recorded::Records,
        }
    }
}

/// How a segment's photos are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    /// As a JSON array; the only way before version 3.
    #[default]
    Json,
    /// As [`Records`].
    Records,
}

impl Recorded {
    /// The section that has them.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Json => "photos",
            Self::Records => "records",
        }
    }
}

/// The photos of a segment, in the order of the rows.
#[derive(Debug, PartialEq, Eq)]
pub enum Listed<'a> {
    /// A JSON array, not yet read.
    Json(&'a [u8]),
    /// Records.
    Records(Records),
}

/// A segment that was read; every byte is checked.
#[derive(Debug)]
pub struct Segment<'a> {
    /// Its account of itself.
    pub meta: SegmentMeta,
    /// Its photos.
    pub photos: Listed<'a>,
    /// Their vectors.
    pub vectors: Vectors,
    /// CRC-32 of all its bytes.
    pub crc32: u32,
}

/// A segment's bytes; `photos` are in the order of the rows.
pub fn write_segment(meta: &SegmentMeta, photos: &Records, vectors: &Vectors) -> Vec<u8> {
    let meta = SegmentMeta {
        form: Form::of(vectors),
        photos: Recorded::Records,
        ..meta.clone()
    };
    let writer = Writer::new(Kind::Segment)
        .section(
            "meta",
            serde_json::to_vec(&meta).expect("numbers and a string are JSON"),
        )
        .section(meta.photos.section(), photos.as_bytes().to_vec());
    write_vectors(writer, vectors).finish()
}

/// Reads a segment; `name` is told in errors.
///
/// # Errors
/// As [`Container::open`]; also when the arrays do not fit what the segment says of itself.
pub fn read_segment<'a>(name: &'a str, bytes: &'a [u8]) -> Result<Segment<'a>> {
    let damaged = |reason| damaged(name, reason);
    let container = Container::open(name, Kind::Segment, bytes)?;
    let meta: SegmentMeta = serde_json::from_slice(container.section("meta")?)
        .map_err(|_| damaged("its account of itself"))?;
    let vectors = read_vectors(name, meta.form, meta.dim, &container)?;
    if vectors.len() != meta.rows {
        return Err(damaged("another number of rows than it says"));
    }
    let section = container.section(meta.photos.section())?;
    let photos = listed(meta.photos, section).ok_or(damaged("its list of photos"))?;
    if matches!(&photos, Listed::Records(records) if records.len() != meta.rows) {
        return Err(damaged("another number of photos than it says"));
    }
    Ok(Segment {
        meta,
        photos,
        vectors,
        crc32: container.crc32(),
    })
}

fn listed(recorded: Recorded, section: &[u8]) -> Option<Listed<'_>> {
    Some(match recorded {
        Recorded::Json => Listed::Json(section),
        Recorded::Records => Listed::Records(Records::from_bytes(section.to_vec())?),
    })
}

/// The photos of a segment that is damaged elsewhere, if that part is whole.
pub fn salvage_photos<'a>(name: &'a str, bytes: &'a [u8]) -> Option<Listed<'a>> {
    let find = |recorded: Recorded| {
        let section = Container::salvage(name, Kind::Segment, bytes, recorded.section())?;
        listed(recorded, section)
    };
    find(Recorded::Records).or_else(|| find(Recorded::Json))
}
