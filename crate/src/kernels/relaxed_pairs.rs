//! wasm relaxed SIMD where the CPU cannot sum four products at once: `i16x8.relaxed_dot_i8x16_i7x16`, two products a
//! lane. Nearly always those of two steps fit 16 bits as well, which halves what is left to do in 32. All else is
//! as in `simd128`.
//!
//! One operand of that instruction has 7 bits, or sums would saturate. It is the activations, unsigned and
//! with a zero of their own: what a token loses there is its own, while what the weights lose is lost the
//! same way by all tokens, and costs a tower ten times as much of its cosine.

use core::arch::wasm32::*;

use super::packed::{Layout, PackedI8, Rows};
use super::portable::{self, RowAt, store_row};
use super::{Kernels, Then, Tiles, relaxed_index, rows, simd128};

/// Columns of a panel: two registers of four sums.
const NR: usize = 8;
/// Rows of a tile: 3 × 2 sums, four weights and what comes between fit sixteen registers.
const MR: usize = 3;

const LAYOUT: Layout = Layout::Sevens { nr: NR };

pub(super) static TABLE: Kernels = Kernels {
    name: "relaxed-simd-16bit",
    tiles: Tiles {
        i8: LAYOUT,
        ..simd128::TILES
    },
    quantise: |a, k, before, q| rows::quantise(a, k, before, LAYOUT, q),
    multiply,
    ..relaxed_index::TABLE
};

#[target_feature(enable = "relaxed-simd")]
fn multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    for panel in 0..w.n.div_ceil(NR) {
        for row in (0..m).step_by(MR) {
            by_rows!((m - row).min(MR), tile, (row, panel, w, a, then, out), [1 2 3]);
        }
    }
}

/// Σ over pairs of lanes, in 32 bits. Not by `extadd_pairwise`, for which engines fetch their ones anew each time.
#[inline(always)]
fn add_pairs(sums: v128, products: v128, ones: v128) -> v128 {
    i32x4_add(sums, i32x4_dot_i16x8(products, ones))
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
    let joined = &w.joined[panel * (w.kp / 8)..][..w.kp / 8];
    let rows: [&[i8]; ROWS] = portable::rows_of(&q.narrow[row * w.kp..], w.kp, w.kp);
    let mut sums = [[i32x4_splat(0); 2]; ROWS];
    // A constant would be made anew at each use.
    let ones = i16x8_splat(std::hint::black_box(1));
    let steps = weights.chunks_exact(8 * NR).zip(joined);
    for (step, (b, joined)) in steps.enumerate() {
        let b: *const v128 = b.as_ptr().cast();
        // SAFETY: 64 bytes, as many as are read.
        let b = unsafe {
            [
                v128_load(b),
                v128_load(b.add(1)),
                v128_load(b.add(2)),
                v128_load(b.add(3)),
            ]
        };
        // SAFETY: a row has kp values, a multiple of 8, and there are kp / 8 steps.
        let quads = |r: usize| unsafe {
            let quads = rows[r].as_ptr().add(8 * step).cast::<u32>();
            [v128_load32_splat(quads), v128_load32_splat(quads.add(1))]
        };
        if *joined {
            for (r, sums) in sums.iter_mut().enumerate() {
                let [x, y] = quads(r);
                for c in 0..2 {
                    let first = i16x8_relaxed_dot_i8x16_i7x16(b[c], x);
                    let second = i16x8_relaxed_dot_i8x16_i7x16(b[2 + c], y);
                    sums[c] = add_pairs(sums[c], i16x8_add(first, second), ones);
                }
            }
        } else {
            for (r, sums) in sums.iter_mut().enumerate() {
                let [x, y] = quads(r);
                for c in 0..2 {
                    let first = i16x8_relaxed_dot_i8x16_i7x16(b[c], x);
                    let second = i16x8_relaxed_dot_i8x16_i7x16(b[2 + c], y);
                    sums[c] = add_pairs(add_pairs(sums[c], first, ones), second, ones);
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        store(sums, (row + r, panel), (q, w), then, out);
    }
}

/// Brings the sums of one row of a tile back to f32.
#[inline(always)]
fn store(
    sums: &[v128; 2],
    (row, panel): (usize, usize),
    (q, w): (&Rows, &PackedI8),
    then: Then,
    out: &mut [f32],
) {
    let columns = &w.sum[panel * NR..][..NR];
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
