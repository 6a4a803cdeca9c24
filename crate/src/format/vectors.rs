//! Vectors in either form ⇄ sections.

use serde::{Deserialize, Serialize};

use super::read::damaged;
use super::{Container, Writer, compact};
use super::{bytes_of_f16, bytes_of_f32, bytes_of_i8, f16_of, f32_of, i8_of};
use crate::error::Result;
use crate::index::{Rows, TwoTier, Vectors};

/// How vectors are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As [`TwoTier`]; the only one of version 1.
    #[default]
    Flat,
    /// As [`Compact`](crate::index::Compact).
    Compact,
}

impl Form {
    /// The form that vectors have.
    pub(super) fn of(vectors: &Vectors) -> Self {
        match vectors {
            Vectors::Flat(_) => Self::Flat,
            Vectors::Compact(_) => Self::Compact,
        }
    }
}

/// Appends the sections of `vectors`.
pub(super) fn write_vectors(writer: Writer, vectors: &Vectors) -> Writer {
    match vectors {
        Vectors::Flat(index) => write_flat(writer, index.rows()),
        Vectors::Compact(index) => compact::write(writer, index),
    }
}

/// The vectors of `dim` axes that the container called `name` holds in this form.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when a section is missing or does not fit the others.
pub(super) fn read_vectors(
    name: &str,
    form: Form,
    dim: usize,
    container: &Container<'_>,
) -> Result<Vectors> {
    Ok(match form {
        Form::Flat => Vectors::Flat(read_flat(name, dim, container)?),
        Form::Compact => Vectors::Compact(Box::new(compact::read(name, dim, container)?)),
    })
}

fn write_flat(writer: Writer, rows: &Rows) -> Writer {
    writer
        .section("codes", bytes_of_i8(&rows.codes))
        .section("scales", bytes_of_f32(&rows.scales))
        .section("offsets", bytes_of_f32(&rows.offsets))
        .section("halves", bytes_of_f16(&rows.halves))
}

fn read_flat(name: &str, dim: usize, container: &Container<'_>) -> Result<TwoTier> {
    let damaged = |reason| damaged(name, reason);
    let arrays = Rows {
        codes: i8_of(container.section("codes")?).ok_or(damaged("its codes"))?,
        scales: f32_of(container.section("scales")?).ok_or(damaged("its scales"))?,
        offsets: f32_of(container.section("offsets")?).ok_or(damaged("its offsets"))?,
        halves: f16_of(container.section("halves")?).ok_or(damaged("its halves"))?,
    };
    TwoTier::from_rows(dim, arrays).ok_or(damaged("its vectors do not fit together"))
}
