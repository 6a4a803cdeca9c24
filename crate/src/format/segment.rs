//! Segments ⇄ bytes.

use serde::{Deserialize, Serialize};

use super::{Container, Kind, Writer, compact};
use super::{bytes_of_f16, bytes_of_f32, bytes_of_i8, f16_of, f32_of, i8_of};
use crate::error::{Error, Result};
use crate::index::{Rows, TwoTier, Vectors};

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
}

/// How a segment's vectors are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As [`TwoTier`]; the only one of version 1.
    #[default]
    Flat,
    /// As [`Compact`](crate::index::Compact).
    Compact,
}

/// A segment's bytes; `photos` is the JSON of its photos, in the order of the rows.
pub fn write_segment(meta: &SegmentMeta, photos: Vec<u8>, vectors: &Vectors) -> Vec<u8> {
    let form = match vectors {
        Vectors::Flat(_) => Form::Flat,
        Vectors::Compact(_) => Form::Compact,
    };
    let meta = SegmentMeta {
        form,
        ..meta.clone()
    };
    let writer = Writer::new(Kind::Segment)
        .section(
            "meta",
            serde_json::to_vec(&meta).expect("numbers and a string are JSON"),
        )
        .section("photos", photos);
    let writer = match vectors {
        Vectors::Flat(index) => write_flat(writer, index.rows()),
        Vectors::Compact(index) => compact::write(writer, index),
    };
    writer.finish()
}

fn write_flat(writer: Writer, rows: &Rows) -> Writer {
    writer
        .section("codes", bytes_of_i8(&rows.codes))
        .section("scales", bytes_of_f32(&rows.scales))
        .section("offsets", bytes_of_f32(&rows.offsets))
        .section("halves", bytes_of_f16(&rows.halves))
}

/// A segment's own account, the JSON of its photos, and its vectors.
///
/// # Errors
/// As [`Container::open`]; also when the arrays do not fit what the segment says of itself.
pub fn read_segment<'a>(
    name: &'a str,
    bytes: &'a [u8],
) -> Result<(SegmentMeta, &'a [u8], Vectors)> {
    let damaged = |reason| Error::Damaged {
        what: name.to_owned(),
        reason,
    };
    let container = Container::open(name, Kind::Segment, bytes)?;
    let meta: SegmentMeta = serde_json::from_slice(container.section("meta")?)
        .map_err(|_| damaged("its account of itself"))?;
    let vectors = match meta.form {
        Form::Flat => Vectors::Flat(read_flat(name, meta.dim, &container)?),
        Form::Compact => Vectors::Compact(Box::new(compact::read(name, meta.dim, &container)?)),
    };
    if vectors.len() != meta.rows {
        return Err(damaged("another number of rows than it says"));
    }
    Ok((meta, container.section("photos")?, vectors))
}

fn read_flat(name: &str, dim: usize, container: &Container<'_>) -> Result<TwoTier> {
    let damaged = |reason| Error::Damaged {
        what: name.to_owned(),
        reason,
    };
    let arrays = Rows {
        codes: i8_of(container.section("codes")?).ok_or(damaged("its codes"))?,
        scales: f32_of(container.section("scales")?).ok_or(damaged("its scales"))?,
        offsets: f32_of(container.section("offsets")?).ok_or(damaged("its offsets"))?,
        halves: f16_of(container.section("halves")?).ok_or(damaged("its halves"))?,
    };
    TwoTier::from_rows(dim, arrays).ok_or(damaged("its vectors do not fit together"))
}

/// The JSON of the photos of a segment that is damaged elsewhere, if that part is whole.
pub fn read_photos_section<'a>(name: &'a str, bytes: &'a [u8]) -> Option<&'a [u8]> {
    Container::salvage(name, Kind::Segment, bytes, "photos")
}
