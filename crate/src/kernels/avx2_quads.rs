//! AVX2, four input rows at a time: exact with AVX-VNNI (`vpdpbusd`); without it activations of 7 bits, so that
//! `vpmaddubsw`'s sums of two products fit 16 bits. All else is AVX2's.

use core::arch::x86_64::*;

use super::attention::{self, AttentionShape};
use super::avx2::{self, NR};
use super::packed::{AttentionScratch, Layout, PackedI8, Rows};
use super::portable::{RowAt, store_row};
use super::transformer::Transformer;
use super::{Kernels, Norm, Then, Tiles, rows};

/// Rows of a tile: 6 × 2 sums, two weights and a broadcast fit sixteen registers.
const MR: usize = 6;

const QUADS: Layout = Layout::Quads { nr: NR };
const SEVENS: Layout = Layout::Sevens { nr: NR };

pub(super) static VNNI: Kernels = Kernels {
    name: "avxvnni",
    tiles: Tiles {
        i8: QUADS,
        f32_nr: NR,
    },
    quantise: quantise_quads,
    multiply: multiply_quads,
    transformer: Some(Transformer {
        attention: attention_vnni,
        ..avx2::TRANSFORMER
    }),
    ..avx2::TABLE
};

pub(super) static TABLE_OF_SEVENS: Kernels = Kernels {
    name: "avx2-7bit",
    tiles: Tiles {
        i8: SEVENS,
        f32_nr: NR,
    },
    quantise: quantise_sevens,
    multiply: multiply_sevens,
    ..avx2::TABLE
};

#[target_feature(enable = "avx2,fma")]
fn quantise_quads(a: &[f32], k: usize, norm: Option<Norm>, q: &mut Rows) {
    rows::quantise(a, k, norm, QUADS, q);
}

#[target_feature(enable = "avx2,fma")]
fn quantise_sevens(a: &[f32], k: usize, norm: Option<Norm>, q: &mut Rows) {
    rows::quantise(a, k, norm, SEVENS, q);
}

/// A product of quads: `$multiply` goes over panels and tiles, `$tile` sums up one tile by `$dot(sums, weights,
/// activations)`, and takes away from each row's sums what `$offsets(weights, activations, row, panel)` says.
macro_rules! quads {
    ($features:literal, $multiply:ident, $tile:ident, $dot:expr, $offsets:expr) => {
        #[target_feature(enable = $features)]
        fn $multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
            let m = a.scale.len();
            for panel in 0..w.n.div_ceil(NR) {
                for row in (0..m).step_by(MR) {
                    match m - row {
                        1 => $tile::<1>(row, panel, w, a, then, out),
                        2 => $tile::<2>(row, panel, w, a, then, out),
                        3 => $tile::<3>(row, panel, w, a, then, out),
                        4 => $tile::<4>(row, panel, w, a, then, out),
                        5 => $tile::<5>(row, panel, w, a, then, out),
                        _ => $tile::<MR>(row, panel, w, a, then, out),
                    }
                }
            }
        }

        #[target_feature(enable = $features)]
        fn $tile<const ROWS: usize>(
            row: usize,
            panel: usize,
            w: &PackedI8,
            q: &Rows,
            then: Then,
            out: &mut [f32],
        ) {
            let weights = &w.data[panel * NR * w.kp..][..NR * w.kp];
            let rows: [&[i8]; ROWS] =
                std::array::from_fn(|r| &q.narrow[(row + r) * w.kp..][..w.kp]);
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
                    sums[r][0] = $dot(sums[r][0], b[0], x);
                    sums[r][1] = $dot(sums[r][1], b[1], x);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let mut lanes = [0i32; NR];
                let offsets: [__m256i; 2] = $offsets(w, q, row + r, panel);
                // SAFETY: `lanes` holds the 64 bytes that are written.
                unsafe {
                    let lanes = lanes.as_mut_ptr();
                    _mm256_storeu_si256(lanes.cast(), _mm256_sub_epi32(sums[0], offsets[0]));
                    _mm256_storeu_si256(lanes.add(8).cast(), _mm256_sub_epi32(sums[1], offsets[1]));
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
    };
}

quads!(
    "avx2,avxvnni,fma",
    multiply_quads,
    tile_quads,
    |sums, weights, x| _mm256_dpbusd_avx_epi32(sums, weights, x),
    // Weights were packed with 128 added: Σ (w + 128)·x − 128·Σ x = Σ w·x.
    |_: &PackedI8, q: &Rows, row: usize, _: usize| [_mm256_set1_epi32(128 * q.sum[row]); 2]
);

quads!(
    "avx2,fma",
    multiply_sevens,
    tile_sevens,
    |sums, weights, x| {
        // At most 2 · 127 · 128 in 16 bits.
        let pairs = _mm256_maddubs_epi16(x, weights);
        _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    },
    // Σ w·(x + zero) − zero·Σ w = Σ w·x.
    |w: &PackedI8, q: &Rows, row: usize, panel: usize| {
        let zero = _mm256_set1_epi32(q.zero[row]);
        let columns = &w.sum[panel * NR..][..NR];
        [0, 8].map(|at| {
            // SAFETY: `columns` has the 64 bytes that are read.
            let columns = unsafe { _mm256_loadu_si256(columns.as_ptr().add(at).cast()) };
            _mm256_mullo_epi32(zero, columns)
        })
    }
);

#[target_feature(enable = "avx2,avxvnni,fma")]
fn attention_vnni(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    attention::attention::<MR, NR>(
        qkv,
        shape,
        mask,
        out,
        scratch,
        |a, stride, pairs, panel, out| match out.len() {
            1 => dots::<1>(a, stride, pairs, panel, out),
            2 => dots::<2>(a, stride, pairs, panel, out),
            3 => dots::<3>(a, stride, pairs, panel, out),
            4 => dots::<4>(a, stride, pairs, panel, out),
            5 => dots::<5>(a, stride, pairs, panel, out),
            _ => dots::<MR>(a, stride, pairs, panel, out),
        },
    );
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
    let rows: [&[i16]; ROWS] = std::array::from_fn(|r| &a[r * stride..][..2 * pairs]);
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
