//! A perceptual hash: what stays of a photo when it is scaled, compressed again or made brighter.
//!
//! The difference hash (Krawetz 2013, "Kind of Like That"): the luma of 9 × 8 cells, and for each cell
//! but the last of a row whether its right neighbour is brighter. Integers only: every machine finds
//! the same bits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Decoded;

const COLUMNS: usize = 9;
const ROWS: usize = 8;

/// 64 bits, row after row from the lowest one; written as 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PerceptualHash(pub u64);

impl PerceptualHash {
    /// The hash of an upright photo.
    pub fn of(photo: &Decoded) -> Self {
        let cells = lumas(photo);
        let mut bits = 0;
        for (at, pair) in cells.iter().flat_map(|row| row.windows(2)).enumerate() {
            bits |= u64::from(pair[1] > pair[0]) << at;
        }
        Self(bits)
    }

    /// How many bits differ, 0 to 64. Unrelated photos differ in about 32.
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }

    /// Whether it says too little to compare by: the hash of a photo with next to no structure.
    pub fn is_flat(self) -> bool {
        let ones = self.0.count_ones();
        !(6..=58).contains(&ones)
    }
}

/// The mean luma of each cell, in 1/256.
fn lumas(photo: &Decoded) -> [[u64; COLUMNS]; ROWS] {
    let (width, height) = (photo.width as usize, photo.height as usize);
    let mut cells = [[0; COLUMNS]; ROWS];
    if width == 0 || height == 0 {
        return cells;
    }
    // Lines are summed up first, the bytes of each place: one long loop.
    let mut places = vec![0u32; 3 * width];
    for (r, row) in cells.iter_mut().enumerate() {
        let lines = span(r, ROWS, height);
        places.fill(0);
        for line in
            photo.rgb[3 * width * lines.start..][..3 * width * lines.len()].chunks(3 * width)
        {
            for (place, byte) in places.iter_mut().zip(line) {
                *place += u32::from(*byte);
            }
        }
        for (c, cell) in row.iter_mut().enumerate() {
            let columns = span(c, COLUMNS, width);
            let pixels = (lines.len() * columns.len()) as u64;
            *cell = luma_sum(&places[3 * columns.start..3 * columns.end]) / pixels;
        }
    }
    cells
}

/// The pixels of cell `at` of `count` along a side; at least one, though a small photo's cells share it.
fn span(at: usize, count: usize, side: usize) -> std::ops::Range<usize> {
    let start = (at * side / count).min(side - 1);
    start..((at + 1) * side / count).max(start + 1)
}

/// Σ luma of pixels or of sums of them, in 1/256, by the weights of ITU-R BT.601.
fn luma_sum(rgb: &[u32]) -> u64 {
    let (pixels, _) = rgb.as_chunks::<3>();
    pixels
        .iter()
        .map(|&[r, g, b]| 77 * u64::from(r) + 150 * u64::from(g) + 29 * u64::from(b))
        .sum()
}

impl fmt::Display for PerceptualHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for PerceptualHash {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for PerceptualHash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PerceptualHash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Limits, decode, thumbnail_jpeg};

    /// Soft waves, as photos have them, that differ with `seed`.
    fn waves(width: u32, height: u32, seed: f64) -> Decoded {
        let mut rgb = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (u, v) = (
                    f64::from(x) / f64::from(width),
                    f64::from(y) / f64::from(height),
                );
                let wave = (7.0 * u * seed + 3.0 * v).sin() + (5.0 * v * seed - 4.0 * u).cos();
                rgb.extend([(127.0 + 60.0 * wave) as u8; 3]);
            }
        }
        Decoded { width, height, rgb }
    }

    #[test]
    fn scaling_compressing_and_brightening_keep_it() {
        let photo = waves(640, 480, 1.3);
        let hash = PerceptualHash::of(&photo);
        let jpeg = thumbnail_jpeg(&photo, 200).expect("encodes");
        let small = decode(&jpeg, &Limits::default()).expect("decodes");
        assert!(hash.distance(PerceptualHash::of(&small)) <= 4);
        let mut bright = photo.clone();
        bright
            .rgb
            .iter_mut()
            .for_each(|v| *v = v.saturating_add(20));
        assert!(hash.distance(PerceptualHash::of(&bright)) <= 4);
    }

    #[test]
    fn other_photos_are_far() {
        let hash = |seed| PerceptualHash::of(&waves(320, 240, seed));
        assert!(hash(1.0).distance(hash(4.0)) > 10);
    }

    #[test]
    fn any_size_has_a_hash() {
        for (width, height) in [(0, 0), (1, 1), (3, 1000), (9, 8), (1000, 2)] {
            let flat = Decoded {
                width,
                height,
                rgb: vec![9; 3 * (width * height) as usize],
            };
            assert!(PerceptualHash::of(&flat).is_flat());
        }
    }

    #[test]
    fn is_written_as_hex() {
        let hash = PerceptualHash(0x0123_4567_89ab_cdef);
        let json = serde_json::to_string(&hash).expect("a string");
        assert_eq!(json, "\"0123456789abcdef\"");
        assert_eq!(
            serde_json::from_str::<PerceptualHash>(&json).expect("hex"),
            hash
        );
    }
}
