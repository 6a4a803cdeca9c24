//! What this machine does in a second: photos embedded, vectors indexed.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use photorecall::encoder::Model;
use photorecall::image::{self, Limits};
use photorecall::index::{Compact, Lists};
use photorecall::library::normalise;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::{photo, scan};

/// Vectors of the indexes that are built.
const ROWS: [usize; 2] = [2048, 8192];
/// Photos of a sample, at most.
const SAMPLE: usize = 64;
/// Drawn photos for each thread.
const DRAWN: usize = 4;

/// The time that an index takes: a + b·L seconds for each vector, with L lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Indexing {
    pub a: f64,
    pub b: f64,
}

impl Indexing {
    /// The same rate for shards of any size.
    pub fn given(per_second: f64) -> Self {
        Self {
            a: 1.0 / per_second,
            b: 0.0,
        }
    }

    /// Builds two indexes of drawn vectors, on all cores.
    pub fn measured(dim: usize) -> anyhow::Result<Self> {
        let mut random = Random(1);
        let centres: Vec<f32> = (0..128 * dim).map(|_| random.next()).collect();
        let mut each = [0.0; 2];
        for (rows, seconds) in ROWS.into_iter().zip(&mut each) {
            let mut vectors = Vec::with_capacity(rows * dim);
            for _ in 0..rows {
                vectors.extend(random.near(&centres, dim)?);
            }
            let vector =
                |row: usize, out: &mut [f32]| out.copy_from_slice(&vectors[row * dim..][..dim]);
            let started = Instant::now();
            Compact::build(rows, dim, 1, None, &vector);
            *seconds = started.elapsed().as_secs_f64() / rows as f64;
        }
        let [small, large] = each;
        let lists = ROWS.map(|rows| Lists::count_for(rows) as f64);
        // A machine that is busy with something else may be slow the first time.
        let b = ((large - small) / (lists[1] - lists[0])).max(0.0);
        Ok(Self {
            a: (large - b * lists[1]).max(0.0),
            b,
        })
    }

    /// Seconds for a vector in shards of `rows`.
    pub fn seconds(&self, rows: f64) -> f64 {
        self.a + self.b * Lists::count_for(rows as usize) as f64
    }
}

/// Photos a second, on all cores: those of a folder, or drawn ones.
pub fn embedding(model: &Model, sample: Option<&Path>) -> anyhow::Result<f64> {
    let photos = match sample {
        Some(folder) => read(folder)?,
        None => vec![drawn()?; DRAWN * rayon::current_num_threads()],
    };
    let one = |bytes: &Vec<u8>| photo::embed_file(model, bytes, false);
    // What is made at the first photo is not counted.
    one(&photos[0])?;
    let started = Instant::now();
    let done: anyhow::Result<Vec<Vec<f32>>> = photos.par_iter().map(one).collect();
    Ok(done?.len() as f64 / started.elapsed().as_secs_f64())
}

/// Photos at even steps through a folder, those that can be decoded.
fn read(folder: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let found = scan::walk(folder, folder, &[], false)?.candidates;
    let step = found.len().div_ceil(SAMPLE).max(1);
    let mut photos = Vec::new();
    for candidate in found.iter().step_by(step) {
        let name = || candidate.file.display().to_string();
        let bytes = std::fs::read(&candidate.file).with_context(name)?;
        if image::decode(&bytes, &Limits::default()).is_ok() {
            photos.push(bytes);
        }
    }
    if photos.is_empty() {
        bail!("no photos in {}", folder.display());
    }
    Ok(photos)
}

/// A JPEG of 12 megapixels with as much detail as a photograph's.
fn drawn() -> anyhow::Result<Vec<u8>> {
    let (width, height) = (4000, 3000);
    let mut random = Random(3);
    let picture = ::image::RgbImage::from_fn(width, height, |x, y| {
        let wave = |period: f32| (127.0 * ((x + y) as f32 / period).sin()) as i32;
        let noise = (random.next() * 6.0) as i32;
        let channel = |value: i32| (128 + value / 2 + noise).clamp(0, 255) as u8;
        ::image::Rgb([wave(97.0), wave(211.0), wave(389.0)].map(channel))
    });
    let mut bytes = Vec::new();
    let mut encoder = ::image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
    encoder.encode_image(&picture)?;
    Ok(bytes)
}

/// SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// About normal: four bytes and more of one word.
    fn next(&mut self) -> f32 {
        let word = self.word();
        let sum: u64 = (0..4).map(|part| word >> (16 * part) & 0xFFFF).sum();
        // The sum of four evenly spread numbers from 0 to 65535 deviates by 37,837.
        (sum as f32 - 131_070.0) / 37_837.0
    }

    /// A unit vector near one of the centres `[n, dim]`.
    fn near(&mut self, centres: &[f32], dim: usize) -> anyhow::Result<Vec<f32>> {
        let at = self.word() as usize % (centres.len() / dim) * dim;
        let raw = centres[at..at + dim].iter().map(|c| c + 1.5 * self.next());
        Ok(normalise(raw.collect())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_rate_is_the_same_for_any_shard() {
        let given = Indexing::given(4.0);
        assert_eq!((given.seconds(1.0), given.seconds(1e9)), (0.25, 0.25));
    }

    #[test]
    fn numbers_are_about_normal() {
        let mut random = Random(7);
        let numbers: Vec<f32> = (0..20_000).map(|_| random.next()).collect();
        let mean = numbers.iter().sum::<f32>() / 20_000.0;
        let square = numbers.iter().map(|x| x * x).sum::<f32>() / 20_000.0;
        assert!(
            mean.abs() < 0.03 && (square - 1.0).abs() < 0.05,
            "{mean} {square}"
        );
    }
}
