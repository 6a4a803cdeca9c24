//! What may be typed after `photorecall plan`.

use std::path::PathBuf;

use clap::Args;

use super::sizes::{FORMULAS, Kind};

#[derive(Args)]
#[command(after_help = FORMULAS)]
pub struct PlanArgs {
    /// How many photos, as 250000 or 1e9
    #[arg(long, value_name = "N", value_parser = count)]
    pub photos: u64,
    /// Axes of a vector
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub dim: u64,
    /// The kind of index (may be given again; default: all)
    #[arg(long, value_enum, value_name = "KIND")]
    pub index: Vec<Kind>,
    /// Photos of a shard, at most
    #[arg(long, value_name = "N", default_value = "1e6", value_parser = count)]
    pub shard_photos: u64,
    /// Bytes that are stored of a photo beside its vector (default: those of a photo that tells everything)
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    pub record_bytes: Option<f64>,
    /// A library whose photos take as much as those to come: records and links are measured there
    #[arg(long, value_name = "LIBRARY", conflicts_with = "record_bytes")]
    pub like: Option<PathBuf>,
    /// Photos of one's own to measure the rate with, in place of drawn ones of 12 megapixels
    #[arg(long, value_name = "FOLDER", conflicts_with = "photos_per_second")]
    pub sample: Option<PathBuf>,
    /// The model to measure with: a folder, or the name of the one that ships
    #[arg(long, value_name = "FOLDER|NAME", conflicts_with = "photos_per_second")]
    pub model: Option<String>,
    /// Photos that a machine embeds in a second (default: measured here)
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub photos_per_second: Option<f64>,
    /// Vectors that a machine indexes in a second, ours (default: measured here)
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub vectors_per_second: Option<f64>,
    /// Vectors that a Milvus index node indexes in a second; without it Milvus's hours are not told
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub milvus_vectors_per_second: Option<f64>,
    /// When the library is to be built, in hours
    #[arg(long, value_name = "HOURS", default_value_t = 24.0, value_parser = rate)]
    pub hours: f64,
    /// Memory of a machine that serves, in GiB
    #[arg(long, value_name = "GIB", default_value_t = 64.0, value_parser = rate)]
    pub machine_memory: f64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// A whole number, also as `1e9` or `1_000_000`.
fn count(text: &str) -> Result<u64, String> {
    let number: f64 = text.replace('_', "").parse().map_err(|_| "not a number")?;
    if !(1.0..=1e12).contains(&number) || number.fract() != 0.0 {
        return Err("a whole number from 1 to 1e12 is wanted".into());
    }
    Ok(number as u64)
}

/// Any number above zero.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("a number above 0 is wanted".into()),
    }
}
