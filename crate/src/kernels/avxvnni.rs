//! AVX-VNNI: four products a lane (`vpdpbusd`), exact. All else is AVX2's.

use core::arch::x86_64::*;

use super::attention::{self, AttentionShape};
use super::avx2::{self, NR};
use super::packed::{AttentionScratch, Layout, PackedI8, Rows};
use super::portable::{self, RowAt, store_row};
use super::transformer::Transformer;
use super::{Before, Kernels, Then, Tiles, rows};

/// Rows of a tile: 6 × 2 sums, two weights and a broadcast fit sixteen registers.
const MR: usize = 6;

const LAYOUT: Layout = Layout::Quads { nr: NR };

pub(super) static TABLE: Kernels = Kernels {
    name: "avxvnni",
    tiles: Tiles {
        i8: LAYOUT,
        f32_nr: NR,
    },
    quantise,
    multiply,
    transformer: Some(Transformer {
        attention,
        ..avx2::TRANSFORMER
    }),
    ..avx2::TABLE
};

#[target_feature(enable = "avx2,fma")]
fn quantise(a: &[f32], k: usize, before: Before, q: &mut Rows) {
    rows::quantise(a, k, before, LAYOUT, q);
}

#[target_feature(enable = "avx2,avxvnni,fma")]
fn multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    for panel in 0..w.n.div_ceil(NR) {
        for row in (0..m).step_by(MR) {
            by_rows!((m - row).min(MR), tile, (row, panel, w, a, then, out), [1 2 3 4 5 6]);
        }
    }
}

#[target_feature(enable = "avx2,avxvnni,fma")]
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
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    for (quad, b) in weights.chunks_exact(4 * NR).enumerate() {
        // SAFETY: `b` is 64 bytes: two loads of 32.
        let b = unsafe {
            [
                _mm256_loadu_si256(b.as_ptr().cast()),
                _mm256_loadu_si256(b.as_ptr().add(32).cast()),
            ]
        };
        for r in 0..ROWS {
            // SAFETY: a row has kp values, a multiple of 4, and there are kp / 4 quads.
            let x = unsafe {
                rows[r]
                    .as_ptr()
                    .add(4 * quad)
                    .cast::<i32>()
                    .read_unaligned()
            };
            let x = _mm256_set1_epi32(x);
            sums[r][0] = _mm256_dpbusd_avx_epi32(sums[r][0], b[0], x);
            sums[r][1] = _mm256_dpbusd_avx_epi32(sums[r][1], b[1], x);
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let mut lanes = [0i32; NR];
        // SAFETY: `lanes` holds the 64 bytes that are written.
        unsafe {
            _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sums[0]);
            _mm256_storeu_si256(lanes.as_mut_ptr().add(8).cast(), sums[1]);
        }
        let at = RowAt {
            // Weights were packed with 128 added: Σ (w + 128)·x − 128·Σ x = Σ w·x.
            offset: 128 * q.sum[row + r],
            ..RowAt::of(q, row + r, panel * NR)
        };
        store_row(&lanes, at, w, then, out);
    }
}

#[target_feature(enable = "avx2,avxvnni,fma")]
fn attention(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let steps = attention::Panels::<MR, NR, _, _> {
        dots: |a: &[i16], stride, pairs, panel: &[i16], out: &mut [[i32; NR]]| {
            by_rows!(out.len(), dots, (a, stride, pairs, panel, out), [1 2 3 4 5 6]);
        },
        weigh: attention::weights,
    };
    attention::attention(&steps, qkv, shape, mask, out, scratch);
}

/// Σ over pairs of rows of `a` with a panel of 16 bits.
#[target_feature(enable = "avx2,avxvnni,fma")]
fn dots<const ROWS: usize>(
    a: &[i16],
    stride: usize,
    pairs: usize,
    panel: &[i16],
    out: &mut [[i32; NR]],
) {
    let rows: [&[i16]; ROWS] = portable::rows_of(a, stride, 2 * pairs);
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    for (pair, b) in panel.chunks_exact(2 * NR).enumerate().take(pairs) {
        // SAFETY: `b` is 64 bytes: two loads of 32.
        let b = unsafe {
            [
                _mm256_loadu_si256(b.as_ptr().cast()),
                _mm256_loadu_si256(b.as_ptr().add(NR).cast()),
            ]
        };
        for r in 0..ROWS {
            // SAFETY: a row has `pairs` pairs.
            let x = unsafe {
                rows[r]
                    .as_ptr()
                    .add(2 * pair)
                    .cast::<i32>()
                    .read_unaligned()
            };
            let x = _mm256_set1_epi32(x);
            sums[r][0] = _mm256_dpwssd_avx_epi32(sums[r][0], b[0], x);
            sums[r][1] = _mm256_dpwssd_avx_epi32(sums[r][1], b[1], x);
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        // SAFETY: a row of `out` has the 64 bytes that are written.
        unsafe {
            _mm256_storeu_si256(out.as_mut_ptr().cast(), sums[0]);
            _mm256_storeu_si256(out.as_mut_ptr().add(8).cast(), sums[1]);
        }
    }
}
