//! What shards share ⇄ bytes; and the sections of centroids, which other files have too.

use serde::{Deserialize, Serialize};

use super::read::damaged;
use super::{Container, Kind, Writer, bytes_of_f32, bytes_of_i8, f32_of, i8_of};
use crate::error::Result;
use crate::index::{Codebook, Lvq};

/// What a codebook says of itself, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodebookMeta {
    /// Digest of the model that made the vectors.
    pub model_digest: String,
    /// Axes of a vector.
    pub dim: usize,
    /// Vectors that it was learnt from; 0 where that is not told.
    pub sample: usize,
}

/// A codebook's bytes.
pub fn write_codebook(meta: &CodebookMeta, codebook: &Codebook) -> Vec<u8> {
    let meta = serde_json::to_vec(meta).expect("numbers and a string are JSON");
    write_coarse(
        Writer::new(Kind::Codebook).section("meta", meta),
        &codebook.centroids,
        &codebook.codebook,
    )
    .finish()
}

/// A codebook's own account, and the codebook; `name` is told in errors.
///
/// # Errors
/// As [`Container::open`]; also when the arrays do not fit together.
pub fn read_codebook(name: &str, bytes: &[u8]) -> Result<(CodebookMeta, Codebook)> {
    let damaged = |reason| damaged(name, reason);
    let container = Container::open(name, Kind::Codebook, bytes)?;
    let meta: CodebookMeta = serde_json::from_slice(container.section("meta")?)
        .map_err(|_| damaged("its account of itself"))?;
    let (centroids, codebook) = read_coarse(name, &container)?;
    let codebook = Codebook {
        centroids,
        codebook,
    };
    if !codebook.is_whole(meta.dim) {
        return Err(damaged("its centroids and codes do not fit together"));
    }
    Ok((meta, codebook))
}

/// Appends centroids and a codebook.
pub(super) fn write_coarse(writer: Writer, centroids: &Lvq, codebook: &[f32]) -> Writer {
    write_centroids(writer, centroids).section("codebook", bytes_of_f32(codebook))
}

/// What [`write_coarse`] wrote, not yet asked whether it fits together.
pub(super) fn read_coarse(name: &str, container: &Container<'_>) -> Result<(Lvq, Vec<f32>)> {
    let centroids = read_centroids(name, container)?;
    let codebook = f32_of(container.section("codebook")?);
    Ok((
        centroids,
        codebook.ok_or_else(|| damaged(name, "its numbers"))?,
    ))
}

/// Appends centroids.
pub(super) fn write_centroids(writer: Writer, centroids: &Lvq) -> Writer {
    writer
        .section("mean", bytes_of_f32(&centroids.mean))
        .section("c_codes", bytes_of_i8(&centroids.codes))
        .section("c_scales", bytes_of_f32(&centroids.scales))
        .section("c_offsets", bytes_of_f32(&centroids.offsets))
}

/// What [`write_centroids`] wrote, not yet asked whether it fits together.
pub(super) fn read_centroids(name: &str, container: &Container<'_>) -> Result<Lvq> {
    let damaged = || damaged(name, "its numbers");
    let f32s = |section| f32_of(container.section(section)?).ok_or_else(damaged);
    Ok(Lvq {
        mean: f32s("mean")?,
        codes: i8_of(container.section("c_codes")?).ok_or_else(damaged)?,
        scales: f32s("c_scales")?,
        offsets: f32s("c_offsets")?,
    })
}
