//! wasm relaxed SIMD: int8 through `i32x4.relaxed_dot_i8x16_i7x16_add`, four products a lane.
//!
//! Where a processor has an instruction for it (ARM's dot products, x86's AVX-VNNI), engines use that. On other x86
//! they put it together of five; of the products two by two (`i16x8.relaxed_dot_i8x16_i7x16`) three are enough.
//!
//! One operand of that instruction has 7 bits, or engines may differ. It is the activations, unsigned and
//! with a zero of their own: what a token loses there is its own, while what the weights lose is lost the
//! same way by all tokens, and costs a tower ten times as much of its cosine. All else is as in `simd128`.

use core::arch::wasm32::*;

use super::packed::{Layout, PackedI8, Rows};
use super::portable::{RowAt, store_row};
use super::{Kernels, Then, Tiles, relaxed_index, rows, simd128};

/// Columns of a panel: three registers of four sums.
const NR: usize = 12;
/// Rows of a tile: nine sums, three weights and an activation fit sixteen registers.
const MR: usize = 3;

const LAYOUT: Layout = Layout::Sevens { nr: NR };

/// A constant: the other table begins as this one.
pub(super) const TABLE: Kernels = Kernels {
    name: "relaxed-simd",
    tiles: Tiles {
        i8: LAYOUT,
        ..simd128::TILES
    },
    quantise: |a, k, norm, q| rows::quantise(a, k, norm, LAYOUT, q),
    multiply: multiply::<4>,
    ..relaxed_index::TABLE
};

/// The same, two products at a time.
pub(super) static PAIRS: Kernels = Kernels {
    name: "relaxed-simd-pairs",
    multiply: multiply::<2>,
    ..TABLE
};

/// Whether the engine puts four products together of pairs: those are held in 16 bits then, and are less than they
/// should be if the operand of 7 bits has 8. An instruction for it adds them up in 32 bits, and has other sums.
pub(super) fn is_of_pairs() -> bool {
    let zero = i32x4_splat(std::hint::black_box(0));
    let sums = i32x4_relaxed_dot_i8x16_i7x16_add(i8x16_splat(127), i8x16_splat(-1), zero);
    i32x4_extract_lane::<0>(sums) == 2 * i32::from(i16::MAX)
}

#[target_feature(enable = "relaxed-simd")]
fn multiply<const PRODUCTS: usize>(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    for panel in 0..w.n.div_ceil(NR) {
        for row in (0..m).step_by(MR) {
            match m - row {
                1 => tile::<1, PRODUCTS>(row, panel, w, a, then, out),
                2 => tile::<2, PRODUCTS>(row, panel, w, a, then, out),
                _ => tile::<MR, PRODUCTS>(row, panel, w, a, then, out),
            }
        }
    }
}

#[target_feature(enable = "relaxed-simd")]
fn tile<const ROWS: usize, const PRODUCTS: usize>(
    row: usize,
    panel: usize,
    w: &PackedI8,
    q: &Rows,
    then: Then,
    out: &mut [f32],
) {
    let weights = &w.data[panel * NR * w.kp..][..NR * w.kp];
    let rows: [&[i8]; ROWS] = std::array::from_fn(|r| &q.narrow[(row + r) * w.kp..][..w.kp]);
    let mut sums = [[i32x4_splat(0); 3]; ROWS];
    for (quad, b) in weights.chunks_exact(4 * NR).enumerate() {
        // SAFETY: `b` is 48 bytes: three loads of 16.
        let b: [v128; 3] =
            std::array::from_fn(|v| unsafe { v128_load(b.as_ptr().add(16 * v).cast()) });
        for r in 0..ROWS {
            // SAFETY: a row has kp values, a multiple of 4, and there are kp / 4 quads.
            let x = unsafe { v128_load32_splat(rows[r].as_ptr().add(4 * quad).cast()) };
            for v in 0..3 {
                sums[r][v] = match PRODUCTS {
                    2 => {
                        // Two of 127 · 127 are less than 2¹⁵.
                        let pairs = i16x8_relaxed_dot_i8x16_i7x16(b[v], x);
                        i32x4_add(sums[r][v], i32x4_extadd_pairwise_i16x8(pairs))
                    }
                    _ => i32x4_relaxed_dot_i8x16_i7x16_add(b[v], x, sums[r][v]),
                };
            }
        }
    }
    let columns = &w.sum[panel * NR..][..NR];
    for (r, sums) in sums.iter().enumerate() {
        let mut lanes = [0i32; NR];
        let zero = i32x4_splat(q.zero[row + r]);
        for (v, sums) in sums.iter().enumerate() {
            // SAFETY: `columns` and `lanes` hold the 48 bytes that are read and written.
            unsafe {
                let columns = v128_load(columns.as_ptr().add(4 * v).cast());
                // Σ w·(x + zero) − zero·Σ w = Σ w·x.
                let exact = i32x4_sub(*sums, i32x4_mul(zero, columns));
                v128_store(lanes.as_mut_ptr().add(4 * v).cast(), exact);
            }
        }
        let at = RowAt {
            row: row + r,
            column: panel * NR,
            scale: q.scale[row + r],
            offset: 0,
        };
        store_row(&lanes, at, w, then, out);
    }
}
