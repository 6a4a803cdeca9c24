//! wasm relaxed SIMD: int8 through `i32x4.relaxed_dot_i8x16_i7x16_add`, four products a lane.
//!
//! One operand of that instruction has 7 bits, or engines may differ. It is the activations, unsigned and
//! with a zero of their own: what a token loses there is its own, while what the weights lose is lost the
//! same way by all tokens, and costs a tower ten times as much of its cosine. All else is as in `simd128`.

use core::arch::wasm32::*;

use super::packed::{Layout, PackedI8, Rows};
use super::portable::{self, RowAt, store_row};
use super::{Kernels, Then, Tiles, relaxed_index, rows, simd128};

/// Columns of a panel: three registers of four sums.
const NR: usize = 12;
/// Rows of a tile: nine sums, three weights and an activation fit sixteen registers.
const MR: usize = 3;

const LAYOUT: Layout = Layout::Sevens { nr: NR };

pub(super) static TABLE: Kernels = Kernels {
    name: "relaxed-simd",
    tiles: Tiles {
        i8: LAYOUT,
        ..simd128::TILES
    },
    quantise: |a, k, before, q| rows::quantise(a, k, before, LAYOUT, q),
    multiply,
    ..relaxed_index::TABLE
};

/// Whether the CPU has one instruction for it, as VNNI and NEON have. Engines make it of several where it has not, on
/// x86 with `pmaddubsw`, whose sums of two products saturate at 16 bits: that shows with an operand of 8 bits.
pub(super) fn sums_four_at_once() -> bool {
    let (most, all) = (i8x16_splat(i8::MAX), i8x16_splat(std::hint::black_box(-1)));
    let sums = i32x4_relaxed_dot_i8x16_i7x16_add(most, all, i32x4_splat(0));
    i32x4_extract_lane::<0>(sums) != 2 * i32::from(i16::MAX)
}

#[target_feature(enable = "relaxed-simd")]
fn multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    for panel in 0..w.n.div_ceil(NR) {
        for row in (0..m).step_by(MR) {
            by_rows!((m - row).min(MR), tile, (row, panel, w, a, then, out), [1 2 3]);
        }
    }
}

#[target_feature(enable = "relaxed-simd")]
fn tile<const ROWS: usize>(
    row: usize,
    panel: usize,
    w: &PackedI8,
    q: &Rows,
    then: Then,
    out: &mut [f32],
) {
    let weights = &w.data[panel * NR * w.kp..][..NR * w.kp];
    let rows: [&[i8]; ROWS] = portable::rows_of(&q.narrow[row * w.kp..], w.kp, w.kp);
    let mut sums = [[i32x4_splat(0); 3]; ROWS];
    for (quad, b) in weights.chunks_exact(4 * NR).enumerate() {
        // SAFETY: `b` is 48 bytes: three loads of 16.
        let b: [v128; 3] =
            std::array::from_fn(|v| unsafe { v128_load(b.as_ptr().add(16 * v).cast()) });
        for r in 0..ROWS {
            // SAFETY: a row has kp values, a multiple of 4, and there are kp / 4 quads.
            let x = unsafe { v128_load32_splat(rows[r].as_ptr().add(4 * quad).cast()) };
            for v in 0..3 {
                sums[r][v] = i32x4_relaxed_dot_i8x16_i7x16_add(b[v], x, sums[r][v]);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        store::<3, NR>(sums, (row + r, panel), (q, w), then, out);
    }
}

/// Brings the sums of one row of a tile, in `V` registers, back to f32.
#[inline(always)]
pub(super) fn store<const V: usize, const NR: usize>(
    sums: &[v128; V],
    (row, panel): (usize, usize),
    (q, w): (&Rows, &PackedI8),
    then: Then,
    out: &mut [f32],
) {
    let columns = &w.sum[panel * NR..][..4 * V];
    let mut lanes = [0i32; NR];
    let places = lanes.as_chunks_mut::<4>().0;
    let zero = i32x4_splat(q.zero[row]);
    for ((sums, columns), lanes) in sums.iter().zip(columns.as_chunks::<4>().0).zip(places) {
        // SAFETY: both hold the 16 bytes that are read and written.
        unsafe {
            let columns = v128_load(columns.as_ptr().cast());
            // Σ w·(x + zero) − zero·Σ w = Σ w·x.
            let exact = i32x4_sub(*sums, i32x4_mul(zero, columns));
            v128_store(lanes.as_mut_ptr().cast(), exact);
        }
    }
    store_row(&lanes, RowAt::of(q, row, panel * NR), w, then, out);
}
