//! Rotated codes ⇄ bytes.

use serde::{Deserialize, Serialize};

use super::collection::{json, parsed};
use super::read::damaged;
use super::{Container, Kind, Writer};
use super::{bytes_of_f32, bytes_of_i8, bytes_of_u64, f32_of, i8_of, u64_of};
use crate::error::Result;
use crate::index::{CodeBits, Lvq, RaBitQ, Rotated};

/// What rotated codes say of themselves, in JSON.
#[derive(Serialize, Deserialize)]
struct Meta {
    /// 1, 2 or 4.
    bits: usize,
    /// Of the rotation.
    seed: u64,
}

/// An index's bytes.
pub fn write_rotated(index: &Rotated) -> Vec<u8> {
    let (code, fine) = index.parts();
    let (bits, seed) = code.kind();
    let (planes, factors) = code.arrays();
    let meta = Meta {
        bits: bits.count(),
        seed,
    };
    Writer::new(Kind::Rotated)
        .section("meta", json(&meta))
        .section("mean", bytes_of_f32(&fine.mean))
        .section("planes", bytes_of_u64(planes))
        .section("factors", bytes_of_f32(factors))
        .section("codes", bytes_of_i8(&fine.codes))
        .section("scales", bytes_of_f32(&fine.scales))
        .section("offsets", bytes_of_f32(&fine.offsets))
        .finish()
}

/// The index in `bytes`; `name` is told in errors.
///
/// # Errors
/// As [`Container::open`]; also when the arrays do not fit together.
pub fn read_rotated(name: &str, bytes: &[u8]) -> Result<Rotated> {
    let container = Container::open(name, Kind::Rotated, bytes)?;
    let meta: Meta = parsed(name, container.section("meta")?)?;
    let bits = CodeBits::ALL
        .into_iter()
        .find(|bits| bits.count() == meta.bits);
    let bits = bits.ok_or_else(|| damaged(name, "its bits an axis"))?;
    let f32s =
        |section| f32_of(container.section(section)?).ok_or_else(|| damaged(name, "its numbers"));
    let planes = u64_of(container.section("planes")?);
    let planes = planes.ok_or_else(|| damaged(name, "its planes"))?;
    let codes = i8_of(container.section("codes")?);
    let fine = Lvq {
        mean: f32s("mean")?,
        codes: codes.ok_or_else(|| damaged(name, "its codes"))?,
        scales: f32s("scales")?,
        offsets: f32s("offsets")?,
    };
    RaBitQ::from_stored((bits, meta.seed), &fine.mean, planes, f32s("factors")?)
        .and_then(|code| Rotated::from_parts(code, fine))
        .ok_or_else(|| damaged(name, "its arrays do not fit together"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Bitset;
    use crate::kernels::Kernels;

    fn built(bits: CodeBits) -> Rotated {
        Rotated::build(bits, (50, 20), 7, &|row, out| {
            let value = |at: usize| (((row * 31 + at * 17) % 23) as f32 - 11.0) / 60.0;
            out.iter_mut()
                .enumerate()
                .for_each(|(at, x)| *x = value(at));
        })
    }

    #[test]
    fn what_is_written_is_read() {
        for bits in CodeBits::ALL {
            let index = built(bits);
            let read = read_rotated("r", &write_rotated(&index)).expect("whole");
            assert_eq!(read, index);
            let hidden = Bitset::new(50);
            let find = |of: &Rotated| of.search(&[0.1; 20], (5, 20), &hidden, Kernels::best());
            assert_eq!(find(&read), find(&index));
        }
    }

    /// 60 vectors of 20 axes in codes of two bits that version 5 wrote.
    #[test]
    fn what_version_5_wrote_is_read_and_found() {
        let old = include_bytes!("../../../tests/data/rotated-5");
        let index = read_rotated("r", old).expect("whole");
        assert_eq!((index.len(), index.dim()), (60, 20));
        let value = |row: usize, at: usize| (row * 31 + at * 17 + row * row * at) % 23;
        let query: Vec<f32> = (0..20)
            .map(|at| (value(57, at) as f32 - 11.0) / 60.0)
            .collect();
        let hits = index.search(&query, (5, 20), &Bitset::new(60), Kernels::best());
        let ids: Vec<u32> = hits.iter().map(|hit| hit.id).collect();
        assert_eq!(ids[..3], [11, 34, 57], "they are the same");
        assert!((hits[0].score - 0.3555).abs() < 1e-3 && hits[3].score < 0.03);
        assert_eq!(
            read_rotated("r", &write_rotated(&index)).expect("whole"),
            index
        );
    }

    #[test]
    fn a_flipped_bit_a_cut_or_arrays_that_do_not_fit_are_found() {
        let index = built(CodeBits::Two);
        let bytes = write_rotated(&index);
        for at in (0..bytes.len()).step_by(bytes.len() / 97) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read_rotated("r", &flipped).is_err(), "byte {at}");
            assert!(read_rotated("r", &bytes[..at]).is_err(), "cut at {at}");
        }
        let (code, fine) = index.parts();
        let (planes, factors) = code.arrays();
        let more = RaBitQ::from_stored(
            (CodeBits::Four, 7),
            &fine.mean,
            planes.to_vec(),
            factors.to_vec(),
        );
        assert_eq!(more, None);
        let odd = RaBitQ::from_stored(code.kind(), &[], planes.to_vec(), factors.to_vec());
        assert_eq!(odd, None);
    }
}
