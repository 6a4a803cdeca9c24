//! wasm SIMD128: int8 through 16-bit pairs (`i32x4.dot_i16x8_s`), which keeps all 8 bits.

use core::arch::wasm32::*;

use super::attention::{self, AttentionShape};
use super::packed::{AttentionScratch, Layout, PackedF32, PackedI8, Rows};
use super::portable::{self, RowAt, store_row, two_roundings};
use super::transformer::Transformer;
use super::{ENCODES, Kernels, Then, Tiles, rows, simd128_index};

/// Columns of a panel: two registers of four sums.
const NR: usize = 8;
/// Rows of a tile: engines map v128 to sixteen registers at best.
const MR: usize = 4;

const LAYOUT: Layout = Layout::Pairs { nr: NR };

pub(super) const TILES: Tiles = Tiles {
    i8: LAYOUT,
    f32_nr: NR,
};

pub(super) const TABLE: Kernels = Kernels {
    name: "simd128",
    tiles: TILES,
    dot_f32: |a, b| portable::dot_f32(a, b, two_roundings),
    l2_squared_f32: |a, b| portable::l2_squared_f32(a, b, two_roundings),
    dot_i8: simd128_index::dot_i8,
    dot_i8_rows: simd128_index::dot_i8_rows,
    fast_scan: simd128_index::fast_scan,
    at_least: simd128_index::at_least,
    look_ups: simd128_index::look_ups,
    look_up_bytes: simd128_index::look_up_bytes,
    nearest_of_16: simd128_index::nearest_of_16,
    hamming_u64: simd128_index::hamming_u64,
    overlaps_u64: simd128_index::overlaps_u64,
    quantise: |a, k, before, q| rows::quantise(a, k, before, LAYOUT, q),
    multiply,
    gemm_f32,
    transformer: TRANSFORMER,
};

const TRANSFORMER: Option<Transformer> = if ENCODES {
    Some(Transformer {
        layer_norm: rows::layer_norm,
        attention,
        quick_gelu: portable::quick_gelu,
        gelu: portable::gelu,
        softmax_rows: portable::softmax_rows,
    })
} else {
    None
};

fn gemm_f32(a: &[f32], m: usize, w: &PackedF32, out: &mut [f32]) {
    let (k, n) = (w.k, w.n);
    for (panel, weights) in w.data.chunks_exact((k * NR).max(1)).enumerate() {
        let column = panel * NR;
        let columns = (n - column).min(NR);
        let bias: &[f32; NR] = w.bias[column..].first_chunk().unwrap_or(&[0.0; NR]);
        for row in (0..m).step_by(MR) {
            // Where fewer rows are left, the last one takes the others' places.
            let rows = std::array::from_fn(|r| &a[(row + r).min(m - 1) * k..][..k]);
            let sums = tile_f32(rows, weights, bias);
            for (r, sums) in sums.iter().enumerate().take(m - row) {
                let at = (row + r) * n + column;
                out[at..at + columns].copy_from_slice(&sums[..columns]);
            }
        }
    }
}

/// What a row's value adds to its eight sums.
#[inline(always)]
fn add_product(sums: &mut [v128; 2], x: f32, w: [v128; 2]) {
    let x = f32x4_splat(x);
    sums[0] = f32x4_add(f32x4_mul(x, w[0]), sums[0]);
    sums[1] = f32x4_add(f32x4_mul(x, w[1]), sums[1]);
}

/// Four rows by eight columns, spelled out: a build for size does not unroll loops over registers.
fn tile_f32(rows: [&[f32]; MR], weights: &[f32], bias: &[f32; NR]) -> [[f32; NR]; MR] {
    let [a, b, c, d] = rows;
    let bias = halves(bias);
    let (mut p, mut q, mut r, mut s) = (bias, bias, bias, bias);
    let pairs = a.iter().zip(b).zip(c.iter().zip(d));
    for (w, ((&a, &b), (&c, &d))) in weights.as_chunks::<NR>().0.iter().zip(pairs) {
        let w = halves(w);
        add_product(&mut p, a, w);
        add_product(&mut q, b, w);
        add_product(&mut r, c, w);
        add_product(&mut s, d, w);
    }
    [p, q, r, s].map(|sums| {
        let mut out = [0.0; NR];
        // SAFETY: eight floats are two registers; stores need no alignment.
        unsafe {
            v128_store(out.as_mut_ptr().cast(), sums[0]);
            v128_store(out.as_mut_ptr().add(4).cast(), sums[1]);
        }
        out
    })
}

#[inline(always)]
fn halves(eight: &[f32; NR]) -> [v128; 2] {
    let start = eight.as_ptr();
    // SAFETY: eight floats are two registers; loads need no alignment.
    unsafe { [v128_load(start.cast()), v128_load(start.add(4).cast())] }
}

fn attention(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let steps = attention::Panels::<MR, NR, _, _> {
        dots: |a: &[i16], stride, pairs, panel: &[i16], out: &mut [[i32; NR]]| {
            by_rows!(out.len(), dots, (a, stride, pairs, panel, out), [1 2 3 4]);
        },
        weigh: attention::weights,
    };
    attention::attention(&steps, qkv, shape, mask, out, scratch);
}

/// Σ over pairs of rows of `a` with a panel of 16 bits.
#[inline(always)]
fn dots<const ROWS: usize>(
    a: &[i16],
    stride: usize,
    pairs: usize,
    panel: &[i16],
    out: &mut [[i32; NR]],
) {
    let rows: [&[i16]; ROWS] = portable::rows_of(a, stride, 2 * pairs);
    let mut sums = [[i32x4_splat(0); 2]; ROWS];
    for (pair, b) in panel.chunks_exact(2 * NR).enumerate().take(pairs) {
        // SAFETY: `b` is 32 bytes: two loads of 16.
        let b = unsafe {
            [
                v128_load(b.as_ptr().cast()),
                v128_load(b.as_ptr().add(NR).cast()),
            ]
        };
        for r in 0..ROWS {
            // SAFETY: a row has `pairs` pairs.
            let x = unsafe { v128_load32_splat(rows[r].as_ptr().add(2 * pair).cast()) };
            sums[r][0] = i32x4_add(sums[r][0], i32x4_dot_i16x8(x, b[0]));
            sums[r][1] = i32x4_add(sums[r][1], i32x4_dot_i16x8(x, b[1]));
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        // SAFETY: a row of `out` has the 32 bytes that are written.
        unsafe {
            v128_store(out.as_mut_ptr().cast(), sums[0]);
            v128_store(out.as_mut_ptr().add(4).cast(), sums[1]);
        }
    }
}

fn multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    for panel in 0..w.n.div_ceil(NR) {
        for row in (0..m).step_by(MR) {
            match m - row {
                1 if ENCODES => tile::<1>(row, panel, w, a, then, out),
                2 if ENCODES => tile::<2>(row, panel, w, a, then, out),
                3 if ENCODES => tile::<3>(row, panel, w, a, then, out),
                _ if ENCODES => tile::<MR>(row, panel, w, a, then, out),
                _ => tile_of_four(row, panel, w, a, then, out),
            }
        }
    }
}

/// What a row's pair of values adds to its eight sums.
#[inline(always)]
fn add_pair(sums: &mut [v128; 2], x: &[i16; 2], w: [v128; 2]) {
    // SAFETY: a pair is the four bytes that are read.
    let x = unsafe { v128_load32_splat(x.as_ptr().cast()) };
    sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(x, w[0]));
    sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(x, w[1]));
}

/// Four rows by eight columns, spelled out as [`tile_f32`] is for a build for size, where that is faster; where fewer
/// are left, the last one takes the others' places.
fn tile_of_four(row: usize, panel: usize, w: &PackedI8, q: &Rows, then: Then, out: &mut [f32]) {
    let last = q.scale.len() - 1;
    let pairs = |r: usize| {
        q.wide[(row + r).min(last) * w.kp..][..w.kp]
            .as_chunks::<2>()
            .0
            .iter()
    };
    let zero = [i32x4_splat(0); 2];
    let (mut a, mut b, mut c, mut d) = (zero, zero, zero, zero);
    let rows = pairs(0).zip(pairs(1)).zip(pairs(2).zip(pairs(3)));
    let weights = w.data[panel * NR * w.kp..][..NR * w.kp].as_chunks::<16>().0;
    for (w, ((e, f), (g, h))) in weights.iter().zip(rows) {
        // SAFETY: 16 bytes are two loads of 8.
        let w = unsafe {
            [
                i16x8_load_extend_i8x8(w.as_ptr().cast()),
                i16x8_load_extend_i8x8(w.as_ptr().add(8).cast()),
            ]
        };
        add_pair(&mut a, e, w);
        add_pair(&mut b, f, w);
        add_pair(&mut c, g, w);
        add_pair(&mut d, h, w);
    }
    for (r, sums) in [a, b, c, d].iter().enumerate().take(last + 1 - row) {
        store_sums_i32(sums, (row + r, panel), w, q, then, out);
    }
}

#[inline(always)]
fn tile<const ROWS: usize>(
    row: usize,
    panel: usize,
    w: &PackedI8,
    q: &Rows,
    then: Then,
    out: &mut [f32],
) {
    let weights = &w.data[panel * NR * w.kp..][..NR * w.kp];
    let rows: [&[i16]; ROWS] = portable::rows_of(&q.wide[row * w.kp..], w.kp, w.kp);
    let mut sums = [[i32x4_splat(0); 2]; ROWS];
    for (pair, b) in weights.chunks_exact(2 * NR).enumerate() {
        // SAFETY: `b` is 16 bytes: two loads of 8.
        let b = unsafe {
            [
                i16x8_load_extend_i8x8(b.as_ptr().cast()),
                i16x8_load_extend_i8x8(b.as_ptr().add(8).cast()),
            ]
        };
        for r in 0..ROWS {
            // SAFETY: a row has kp values and there are kp / 2 pairs.
            let x = unsafe { v128_load32_splat(rows[r].as_ptr().add(2 * pair).cast()) };
            sums[r][0] = i32x4_add(sums[r][0], i32x4_dot_i16x8(x, b[0]));
            sums[r][1] = i32x4_add(sums[r][1], i32x4_dot_i16x8(x, b[1]));
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        store_sums_i32(sums, (row + r, panel), w, q, then, out);
    }
}

/// Brings the eight sums of a row back to f32.
fn store_sums_i32(
    sums: &[v128; 2],
    (row, panel): (usize, usize),
    w: &PackedI8,
    q: &Rows,
    then: Then,
    out: &mut [f32],
) {
    let mut lanes = [0i32; NR];
    // SAFETY: `lanes` holds the 32 bytes that are written.
    unsafe {
        v128_store(lanes.as_mut_ptr().cast(), sums[0]);
        v128_store(lanes.as_mut_ptr().add(4).cast(), sums[1]);
    }
    store_row(&lanes, RowAt::of(q, row, panel * NR), w, then, out);
}
