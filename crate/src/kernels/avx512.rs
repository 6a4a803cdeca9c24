//! AVX-512: int8 through 16-bit pairs, or four at a time where the CPU has VNNI (`vpdpbusd`).

use core::arch::x86_64::*;

use super::attention::{self, AttentionShape};
use super::avx2;
use super::avx512_index::{dot_i8, dot_i8_rows, dot_i8_rows_vnni, fast_scan, hamming_u64};
use super::avx512_math::load;
use super::packed::{AttentionScratch, Layout, PackedF32, PackedI8, Rows};
use super::portable::{self, LANES, RowAt, fused};
use super::transformer::Transformer;
use super::{Before, Kernels, Norm, Then, Tiles, rows};
use super::{avx512_attention, avx512_rows};

/// Columns of a panel: two registers of sixteen sums.
pub(super) const NR: usize = 32;
/// Rows of a tile: 12 × 2 sums, two weights and a broadcast fit 32 registers.
const MR: usize = 12;
const F32_MR: usize = 8;

const PAIRS: Layout = Layout::Pairs { nr: NR };
const QUADS: Layout = Layout::Quads { nr: NR };

pub(super) static TABLE: Kernels = Kernels {
    name: "avx512",
    tiles: Tiles {
        i8: PAIRS,
        f32_nr: NR,
    },
    dot_f32,
    l2_squared_f32,
    dot_i8,
    dot_i8_rows,
    fast_scan,
    at_least: avx2::at_least,
    look_ups: avx2::look_ups,
    look_up_bytes: avx2::look_up_bytes,
    nearest_of_16: avx2::nearest_of_16,
    hamming_u64,
    overlaps_u64: avx2::overlaps_u64,
    quantise: quantise_pairs,
    multiply: multiply_pairs,
    gemm_f32,
    transformer: Some(TRANSFORMER),
};

pub(super) const TRANSFORMER: Transformer = Transformer {
    layer_norm,
    attention,
    quick_gelu,
    gelu,
    softmax_rows,
};

/// A constant: AMX's table begins as this one.
pub(super) const VNNI: Kernels = Kernels {
    name: "avx512vnni",
    tiles: Tiles {
        i8: QUADS,
        f32_nr: NR,
    },
    dot_f32,
    l2_squared_f32,
    dot_i8,
    dot_i8_rows: dot_i8_rows_vnni,
    fast_scan,
    at_least: avx2::at_least,
    look_ups: avx2::look_ups,
    look_up_bytes: avx2::look_up_bytes,
    nearest_of_16: avx2::nearest_of_16,
    hamming_u64,
    overlaps_u64: avx2::overlaps_u64,
    quantise: quantise_quads,
    multiply: multiply_quads,
    gemm_f32,
    transformer: Some(Transformer {
        attention: attention_vnni,
        ..TRANSFORMER
    }),
};

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    portable::dot_f32(a, b, fused)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn l2_squared_f32(a: &[f32], b: &[f32]) -> f32 {
    portable::l2_squared_f32(a, b, fused)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn gemm_f32(a: &[f32], m: usize, w: &PackedF32, out: &mut [f32]) {
    portable::gemm_f32::<F32_MR, NR>(a, m, w, out, fused);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn quick_gelu(x: &mut [f32]) {
    portable::quick_gelu(x);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn gelu(x: &mut [f32]) {
    portable::gelu(x);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn softmax_rows(x: &mut [f32], columns: usize) {
    portable::softmax_rows(x, columns);
}

/// Rows are dealt out evenly: 197 tokens are 17 tiles of 11 or 12, not 16 of 12 and one of 5.
fn tiles(m: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = m.div_ceil(MR);
    let (base, extra) = (m / count.max(1), m % count.max(1));
    (0..count).scan(0, move |row, tile| {
        let rows = base + usize::from(tile < extra);
        *row += rows;
        Some((*row - rows, rows))
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn attention(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let steps = attention::Panels::<MR, NR, _, _> {
        dots: |a: &[i16], stride, pairs, panel: &[i16], out: &mut [[i32; NR]]| {
            by_rows!(out.len(), dots, (a, stride, pairs, panel, out), [1 2 3 4 5 6 7 8 9 10 11 12]);
        },
        weigh: |block, s: &mut AttentionScratch| avx512_attention::weights(block, s),
    };
    attention::attention(&steps, qkv, shape, mask, out, scratch);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn attention_vnni(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let steps = attention::Panels::<MR, NR, _, _> {
        dots: |a: &[i16], stride, pairs, panel: &[i16], out: &mut [[i32; NR]]| {
            by_rows!(out.len(), dots_vnni, (a, stride, pairs, panel, out), [1 2 3 4 5 6 7 8 9 10 11 12]);
        },
        weigh: |block, s: &mut AttentionScratch| avx512_attention::weights(block, s),
    };
    attention::attention(&steps, qkv, shape, mask, out, scratch);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn layer_norm(x: &[f32], norm: Norm, out: &mut [f32]) {
    rows::layer_norm(x, norm, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn quantise_pairs(a: &[f32], k: usize, before: Before, q: &mut Rows) {
    rows::quantise(a, k, before, PAIRS, q);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn quantise_quads(a: &[f32], k: usize, before: Before, q: &mut Rows) {
    avx512_rows::quantise(a, k, before, QUADS, q);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn multiply_pairs(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    for panel in 0..w.n.div_ceil(NR) {
        for (row, rows) in tiles(a.scale.len()) {
            by_rows!(rows, tile_pairs, (row, panel, w, a, then, out), [1 2 3 4 5 6 7 8 9 10 11 12]);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
pub(super) fn multiply_quads(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    for panel in 0..w.n.div_ceil(NR) {
        for (row, rows) in tiles(a.scale.len()) {
            by_rows!(rows, tile_quads, (row, panel, w, a, then, out), [1 2 3 4 5 6 7 8 9 10 11 12]);
        }
    }
}

/// Σ over pairs of rows of `a` with a panel of 16 bits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn dots<const ROWS: usize>(
    a: &[i16],
    stride: usize,
    pairs: usize,
    panel: &[i16],
    out: &mut [[i32; NR]],
) {
    let rows: [&[i16]; ROWS] = portable::rows_of(a, stride, 2 * pairs);
    let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
    for (pair, b) in panel.chunks_exact(2 * NR).enumerate().take(pairs) {
        // SAFETY: `b` is 128 bytes: two loads of 64.
        let b = unsafe {
            [
                _mm512_loadu_si512(b.as_ptr().cast()),
                _mm512_loadu_si512(b.as_ptr().add(NR).cast()),
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
            let x = _mm512_set1_epi32(x);
            sums[r][0] = _mm512_add_epi32(sums[r][0], _mm512_madd_epi16(b[0], x));
            sums[r][1] = _mm512_add_epi32(sums[r][1], _mm512_madd_epi16(b[1], x));
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        // SAFETY: a row of `out` has the 128 bytes that are written.
        unsafe {
            _mm512_storeu_si512(out.as_mut_ptr().cast(), sums[0]);
            _mm512_storeu_si512(out.as_mut_ptr().add(16).cast(), sums[1]);
        }
    }
}

/// Σ over pairs of rows of `a` with a panel of 16 bits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn dots_vnni<const ROWS: usize>(
    a: &[i16],
    stride: usize,
    pairs: usize,
    panel: &[i16],
    out: &mut [[i32; NR]],
) {
    let rows: [&[i16]; ROWS] = portable::rows_of(a, stride, 2 * pairs);
    let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
    for (pair, b) in panel.chunks_exact(2 * NR).enumerate().take(pairs) {
        // SAFETY: `b` is 128 bytes: two loads of 64.
        let b = unsafe {
            [
                _mm512_loadu_si512(b.as_ptr().cast()),
                _mm512_loadu_si512(b.as_ptr().add(NR).cast()),
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
            let x = _mm512_set1_epi32(x);
            sums[r][0] = _mm512_dpwssd_epi32(sums[r][0], b[0], x);
            sums[r][1] = _mm512_dpwssd_epi32(sums[r][1], b[1], x);
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        // SAFETY: a row of `out` has the 128 bytes that are written.
        unsafe {
            _mm512_storeu_si512(out.as_mut_ptr().cast(), sums[0]);
            _mm512_storeu_si512(out.as_mut_ptr().add(16).cast(), sums[1]);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn tile_pairs<const ROWS: usize>(
    row: usize,
    panel: usize,
    w: &PackedI8,
    q: &Rows,
    then: Then,
    out: &mut [f32],
) {
    let weights = &w.data[panel * NR * w.kp..][..NR * w.kp];
    let rows: [&[i16]; ROWS] = portable::rows_of(&q.wide[row * w.kp..], w.kp, w.kp);
    let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
    for (pair, b) in weights.chunks_exact(2 * NR).enumerate() {
        // SAFETY: `b` is 64 bytes: two loads of 32.
        let b = unsafe {
            [
                _mm512_cvtepi8_epi16(_mm256_loadu_si256(b.as_ptr().cast())),
                _mm512_cvtepi8_epi16(_mm256_loadu_si256(b.as_ptr().add(32).cast())),
            ]
        };
        for r in 0..ROWS {
            // SAFETY: a row has kp values and there are kp / 2 pairs.
            let x = unsafe {
                rows[r]
                    .as_ptr()
                    .add(2 * pair)
                    .cast::<i32>()
                    .read_unaligned()
            };
            let x = _mm512_set1_epi32(x);
            sums[r][0] = _mm512_add_epi32(sums[r][0], _mm512_madd_epi16(b[0], x));
            sums[r][1] = _mm512_add_epi32(sums[r][1], _mm512_madd_epi16(b[1], x));
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        store(sums, RowAt::of(q, row + r, panel * NR), w, then, out);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,fma")]
fn tile_quads<const ROWS: usize>(
    row: usize,
    panel: usize,
    w: &PackedI8,
    q: &Rows,
    then: Then,
    out: &mut [f32],
) {
    let weights = &w.data[panel * NR * w.kp..][..NR * w.kp];
    let rows: [&[i8]; ROWS] = portable::rows_of(&q.narrow[row * w.kp..], w.kp, w.kp);
    let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
    for (quad, b) in weights.chunks_exact(4 * NR).enumerate() {
        // SAFETY: `b` is 128 bytes: two loads of 64.
        let b = unsafe {
            [
                _mm512_loadu_si512(b.as_ptr().cast()),
                _mm512_loadu_si512(b.as_ptr().add(64).cast()),
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
            let x = _mm512_set1_epi32(x);
            sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], b[0], x);
            sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], b[1], x);
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        // Weights were packed with 128 added: Σ (w + 128)·x − 128·Σ x = Σ w·x.
        let at = RowAt {
            offset: 128 * q.sum[row + r],
            ..RowAt::of(q, row + r, panel * NR)
        };
        store(sums, at, w, then, out);
    }
}

/// [`portable::store_row`] of sums in registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn store(sums: [__m512i; 2], at: RowAt, w: &PackedI8, then: Then, out: &mut [f32]) {
    let place = at.column..at.column + NR;
    let scales = w.scale[place.clone()].as_chunks::<LANES>().0;
    let bias = w.bias[place].as_chunks::<LANES>().0;
    let columns = NR.min(w.n - at.column);
    let out = &mut out[at.row * w.n + at.column..][..columns];
    let (row_scale, offset) = (_mm512_set1_ps(at.scale), _mm512_set1_epi32(at.offset));
    for half in 0..2 {
        let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[half], offset));
        let scale = _mm512_mul_ps(row_scale, load(&scales[half]));
        let value = _mm512_add_ps(_mm512_mul_ps(sum, scale), load(&bias[half]));
        let rest = out.get_mut(half * LANES..).unwrap_or_default();
        let real = match rest.len() {
            LANES.. => u16::MAX,
            0 => return,
            some => (1 << some) - 1,
        };
        let to = rest.as_mut_ptr();
        // SAFETY: the lanes that are real are read and written, no others.
        unsafe {
            let value = match then {
                Then::Store => value,
                Then::Add => _mm512_add_ps(_mm512_maskz_loadu_ps(real, to), value),
            };
            _mm512_mask_storeu_ps(to, real, value);
        }
    }
}
