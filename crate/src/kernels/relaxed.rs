//! wasm relaxed SIMD where the CPU sums four products at once, as VNNI and NEON do: int8 through
//! `i32x4.relaxed_dot_i8x16_i7x16_add`, all 8 bits of both operands.
//!
//! What it makes of the second one's highest bit is the engine's choice, the same at each use (`R_idot` of the
//! WebAssembly specification): signed on Arm, unsigned on x86. There is a table for either; one product tells which of
//! them runs here. All else is as in `simd128`.

use core::arch::wasm32::*;

use super::packed::{Layout, PackedI8, Rows};
use super::portable::{self, RowAt, store_row};
use super::{Before, Kernels, Then, Tiles, relaxed_index, rows, simd128};

/// Columns of a panel: three registers of four sums.
const NR: usize = 12;
/// Rows of a tile: nine sums, three weights and an activation fit sixteen registers.
const MR: usize = 3;

pub(super) static UNSIGNED: Kernels = Kernels {
    name: "relaxed-simd-u8",
    multiply: multiply::<128>,
    ..table(Layout::Quads { nr: NR })
};

pub(super) static SIGNED: Kernels = Kernels {
    name: "relaxed-simd-s8",
    multiply: multiply::<0>,
    ..table(Layout::SignedQuads { nr: NR })
};

const fn table(layout: Layout) -> Kernels {
    Kernels {
        tiles: Tiles {
            i8: layout,
            ..simd128::TILES
        },
        quantise,
        ..relaxed_index::TABLE
    }
}

/// The same of both tables: they differ in their weights.
fn quantise(a: &[f32], k: usize, before: Before, q: &mut Rows) {
    rows::quantise(a, k, before, Layout::Quads { nr: NR }, q);
}

/// The table whose weights this engine takes for what they are. There is none where it has no instruction for four
/// products: of two, as x86's `pmaddubsw` makes them, the sum saturates at 16 bits.
pub(super) fn of_this_engine() -> Option<&'static Kernels> {
    const FOUR: i32 = 4 * i8::MIN as i32;
    // Hidden from the compiler, which would compute the product by rules of its own.
    let first = i8x16_splat(std::hint::black_box(i8::MIN));
    let second = u8x16_splat(std::hint::black_box(u8::MAX));
    let sums = i32x4_relaxed_dot_i8x16_i7x16_add(first, second, i32x4_splat(0));
    match i32x4_extract_lane::<0>(sums) / FOUR {
        255 => Some(&UNSIGNED),
        -1 => Some(&SIGNED),
        _ => None,
    }
}

#[target_feature(enable = "relaxed-simd")]
fn multiply<const OFFSET: i32>(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    for panel in 0..w.n.div_ceil(NR) {
        for row in (0..m).step_by(MR) {
            let at = (row, panel, OFFSET);
            by_rows!((m - row).min(MR), tile, (at, w, a, then, out), [1 2 3]);
        }
    }
}

#[target_feature(enable = "relaxed-simd")]
fn tile<const ROWS: usize>(
    (row, panel, offset): (usize, usize, i32),
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
                sums[r][v] = i32x4_relaxed_dot_i8x16_i7x16_add(x, b[v], sums[r][v]);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let mut lanes = [0i32; NR];
        for (lanes, sums) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
            // SAFETY: `lanes` holds the 16 bytes that are written.
            unsafe { v128_store(lanes.as_mut_ptr().cast(), *sums) };
        }
        let at = RowAt {
            // Unsigned weights were packed with 128 added: Σ (w + 128)·x − 128·Σ x = Σ w·x.
            offset: offset * q.sum[row + r],
            ..RowAt::of(q, row + r, panel * NR)
        };
        store_row(&lanes, at, w, then, out);
    }
}
