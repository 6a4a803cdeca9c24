//! AVX2 with activations of 7 bits: `vpmaddubsw`'s sums of two products fit 16 bits, and nearly always so do
//! those of four, which halves what is left to do in 32. All else is AVX2's.

use core::arch::x86_64::*;

use super::avx2::{self, NR};
use super::packed::{Layout, PackedI8, Rows};
use super::portable::{self, RowAt, store_row};
use super::{Before, Kernels, Then, Tiles, rows};

/// Rows of a tile: 3 × 2 sums, four weights and what comes between fit sixteen registers.
const MR: usize = 3;

const LAYOUT: Layout = Layout::Sevens { nr: NR };

pub(super) static TABLE: Kernels = Kernels {
    name: "avx2-7bit",
    tiles: Tiles {
        i8: LAYOUT,
        f32_nr: NR,
    },
    quantise,
    multiply,
    ..avx2::TABLE
};

#[target_feature(enable = "avx2,fma")]
fn quantise(a: &[f32], k: usize, before: Before, q: &mut Rows) {
    rows::quantise(a, k, before, LAYOUT, q);
}

#[target_feature(enable = "avx2,fma")]
fn multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    for panel in 0..w.n.div_ceil(NR) {
        for row in (0..m).step_by(MR) {
            by_rows!((m - row).min(MR), tile, (row, panel, w, a, then, out), [1 2 3]);
        }
    }
}

/// Σ over pairs of lanes, in 32 bits.
#[target_feature(enable = "avx2,fma")]
fn add_pairs(sums: __m256i, products: __m256i) -> __m256i {
    _mm256_add_epi32(sums, _mm256_madd_epi16(products, _mm256_set1_epi16(1)))
}

#[target_feature(enable = "avx2,fma")]
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
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    let steps = weights.chunks_exact(8 * NR).zip(joined);
    for (step, (b, joined)) in steps.enumerate() {
        let b: *const __m256i = b.as_ptr().cast();
        // SAFETY: 128 bytes, as many as are read.
        let b = unsafe {
            [
                _mm256_loadu_si256(b),
                _mm256_loadu_si256(b.add(1)),
                _mm256_loadu_si256(b.add(2)),
                _mm256_loadu_si256(b.add(3)),
            ]
        };
        for r in 0..ROWS {
            // SAFETY: a row has kp values, a multiple of 8, and there are kp / 8 steps.
            let [x, y] = unsafe {
                let quads = rows[r].as_ptr().add(8 * step).cast::<i32>();
                [quads.read_unaligned(), quads.add(1).read_unaligned()]
            };
            let (x, y) = (_mm256_set1_epi32(x), _mm256_set1_epi32(y));
            for c in 0..2 {
                // At most 2 · 127 · 128 in 16 bits, each.
                let (first, second) = (
                    _mm256_maddubs_epi16(x, b[c]),
                    _mm256_maddubs_epi16(y, b[2 + c]),
                );
                sums[r][c] = if *joined {
                    add_pairs(sums[r][c], _mm256_add_epi16(first, second))
                } else {
                    add_pairs(add_pairs(sums[r][c], first), second)
                };
            }
        }
    }
    let columns = &w.sum[panel * NR..][..NR];
    for (r, sums) in sums.iter().enumerate() {
        let mut lanes = [0i32; NR];
        let zero = _mm256_set1_epi32(q.zero[row + r]);
        for (c, sums) in sums.iter().enumerate() {
            // SAFETY: `columns` and `lanes` hold the 64 bytes that are read and written.
            unsafe {
                let columns = _mm256_loadu_si256(columns.as_ptr().add(8 * c).cast());
                // Σ w·(x + zero) − zero·Σ w = Σ w·x.
                let exact = _mm256_sub_epi32(*sums, _mm256_mullo_epi32(zero, columns));
                _mm256_storeu_si256(lanes.as_mut_ptr().add(8 * c).cast(), exact);
            }
        }
        store_row(&lanes, RowAt::of(q, row + r, panel * NR), w, then, out);
    }
}
