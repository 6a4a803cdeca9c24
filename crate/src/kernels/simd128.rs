//! wasm SIMD128: int8 through 16-bit pairs (`i32x4.dot_i16x8_s`), which keeps all 8 bits.

use core::arch::wasm32::*;

use super::attention::{self, AttentionShape};
use super::packed::{AttentionScratch, Layout, PackedF32, PackedI8, Rows};
use super::portable::{self, RowAt, store_row, two_roundings};
use super::{Kernels, Then, Tiles, rows};

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
    dot_i8,
    dot_i8_rows,
    fast_scan,
    hamming_u64,
    overlaps_u64,
    quantise: |a, k, norm, q| rows::quantise(a, k, norm, LAYOUT, q),
    multiply,
    layer_norm: rows::layer_norm,
    gemm_f32,
    attention,
    quick_gelu: portable::quick_gelu,
    gelu: portable::gelu,
    softmax_rows: portable::softmax_rows,
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
    attention::attention::<MR, NR>(
        qkv,
        shape,
        mask,
        out,
        scratch,
        |a, stride, pairs, panel, out| match out.len() {
            MR => dots::<MR>(a, stride, pairs, panel, out),
            3 => dots::<3>(a, stride, pairs, panel, out),
            2 => dots::<2>(a, stride, pairs, panel, out),
            _ => dots::<1>(a, stride, pairs, panel, out),
        },
    );
}

fn sum_i32(v: v128) -> i32 {
    i32x4_extract_lane::<0>(v)
        + i32x4_extract_lane::<1>(v)
        + i32x4_extract_lane::<2>(v)
        + i32x4_extract_lane::<3>(v)
}

fn hamming_u64(a: &[u64], b: &[u64]) -> u32 {
    let (a_parts, b_parts) = (a.chunks_exact(2), b.chunks_exact(2));
    let (a_rest, b_rest) = (a_parts.remainder(), b_parts.remainder());
    let mut sum = i32x4_splat(0);
    for (x, y) in a_parts.zip(b_parts) {
        // SAFETY: each part is 16 bytes, as much as is read.
        let (x, y) = unsafe { (v128_load(x.as_ptr().cast()), v128_load(y.as_ptr().cast())) };
        let bits = i8x16_popcnt(v128_xor(x, y));
        sum = i32x4_add(
            sum,
            i32x4_extadd_pairwise_u16x8(u16x8_extadd_pairwise_u8x16(bits)),
        );
    }
    let rest: u32 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(x, y)| (x ^ y).count_ones())
        .sum();
    sum_i32(sum) as u32 + rest
}

fn overlaps_u64(rows: &[u64], query: &[u64], out: &mut [u32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        let (row, rest) = row.as_chunks::<2>();
        let (query, query_rest) = query.as_chunks::<2>();
        let mut sum = i32x4_splat(0);
        for (x, y) in row.iter().zip(query) {
            // SAFETY: two words are the 16 bytes that are read.
            let (x, y) = unsafe { (v128_load(x.as_ptr().cast()), v128_load(y.as_ptr().cast())) };
            let bits = u16x8_extadd_pairwise_u8x16(i8x16_popcnt(v128_and(x, y)));
            sum = i32x4_add(sum, i32x4_extadd_pairwise_u16x8(bits));
        }
        *out = sum_i32(sum) as u32 + portable::overlap(rest, query_rest);
    }
}

fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let (a_parts, b_parts) = (a.chunks_exact(16), b.chunks_exact(16));
    let (a_rest, b_rest) = (a_parts.remainder(), b_parts.remainder());
    let mut sum = i32x4_splat(0);
    for (x, y) in a_parts.zip(b_parts) {
        // SAFETY: each part is 16 bytes, as much as is read.
        let (x, y) = unsafe { (v128_load(x.as_ptr().cast()), v128_load(y.as_ptr().cast())) };
        let low = i32x4_dot_i16x8(i16x8_extend_low_i8x16(x), i16x8_extend_low_i8x16(y));
        let high = i32x4_dot_i16x8(i16x8_extend_high_i8x16(x), i16x8_extend_high_i8x16(y));
        sum = i32x4_add(sum, i32x4_add(low, high));
    }
    let rest: i32 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(&x, &y)| i32::from(x) * i32::from(y))
        .sum();
    sum_i32(sum) + rest
}

/// How many rows are touched before they are summed.
const AHEAD: usize = 16;

fn dot_i8_rows(codes: &[i8], query: &[i16], ids: &[u32], out: &mut [i32]) {
    let dim = query.len();
    for (ids, out) in ids.chunks(AHEAD).zip(out.chunks_mut(AHEAD)) {
        // wasm has no prefetch; plain loads that nothing waits for do the same.
        let mut touched = 0;
        for id in ids {
            touched ^= portable::row(codes, *id, dim)
                .iter()
                .step_by(64)
                .fold(0, |sum, byte| sum ^ byte);
        }
        std::hint::black_box(touched);
        for (id, out) in ids.iter().zip(out) {
            *out = dot_row(portable::row(codes, *id, dim), query);
        }
    }
}

fn dot_row(row: &[i8], query: &[i16]) -> i32 {
    let mut sums = [i32x4_splat(0); 2];
    for (x, y) in row.chunks_exact(16).zip(query.chunks_exact(16)) {
        // SAFETY: the parts are 16 bytes and 16 numbers of 16 bits, as much as is read.
        let (x, low, high) = unsafe {
            (
                v128_load(x.as_ptr().cast()),
                v128_load(y.as_ptr().cast()),
                v128_load(y.as_ptr().add(8).cast()),
            )
        };
        let low = i32x4_dot_i16x8(i16x8_extend_low_i8x16(x), low);
        let high = i32x4_dot_i16x8(i16x8_extend_high_i8x16(x), high);
        sums = [i32x4_add(sums[0], low), i32x4_add(sums[1], high)];
    }
    let whole = row.len() / 16 * 16;
    sum_i32(i32x4_add(sums[0], sums[1])) + portable::dot_rest(&row[whole..], &query[whole..])
}

fn fast_scan(codes: &[u8], tables: &[u8], blocks: &[u32], sums: &mut [u16]) {
    for (block, sums, _) in portable::blocks_of(codes, tables.len(), blocks, sums) {
        // Of rows 0 to 15 and 16 to 31: even rows' sums with the odd ones' above, the odd ones' alone.
        let (mut both, mut odd) = ([u16x8_splat(0); 2], [u16x8_splat(0); 2]);
        for (codes, tables) in block.chunks_exact(32).zip(tables.chunks_exact(32)) {
            // SAFETY: two tables of 16 bytes.
            let (low, high) = unsafe {
                (
                    v128_load(tables.as_ptr().cast()),
                    v128_load(tables.as_ptr().add(16).cast()),
                )
            };
            for half in 0..2 {
                // SAFETY: 32 bytes of codes.
                let codes = unsafe { v128_load(codes.as_ptr().add(16 * half).cast()) };
                let x = u8x16_swizzle(low, v128_and(codes, u8x16_splat(15)));
                let y = u8x16_swizzle(high, u8x16_shr(codes, 4));
                both[half] = i16x8_add(both[half], i16x8_add(x, y));
                odd[half] = i16x8_add(odd[half], i16x8_add(u16x8_shr(x, 8), u16x8_shr(y, 8)));
            }
        }
        for half in 0..2 {
            store_sums(both[half], odd[half], &mut sums[16 * half..][..16]);
        }
    }
}

/// Puts even and odd rows' sums in order; `sums` has 16.
fn store_sums(both: v128, odd: v128, sums: &mut [u16]) {
    let even = i16x8_sub(both, i16x8_shl(odd, 8));
    let low = i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(even, odd);
    let high = i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(even, odd);
    let sums = sums[..16].as_mut_ptr();
    // SAFETY: the slice above has the 32 bytes that are written.
    unsafe {
        v128_store(sums.cast(), low);
        v128_store(sums.add(8).cast(), high);
    }
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
    let rows: [&[i16]; ROWS] = std::array::from_fn(|r| &a[r * stride..][..2 * pairs]);
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
                1 => tile::<1>(row, panel, w, a, then, out),
                2 => tile::<2>(row, panel, w, a, then, out),
                3 => tile::<3>(row, panel, w, a, then, out),
                _ => tile::<MR>(row, panel, w, a, then, out),
            }
        }
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
    let rows: [&[i16]; ROWS] = std::array::from_fn(|r| &q.wide[(row + r) * w.kp..][..w.kp]);
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
        let mut lanes = [0i32; NR];
        // SAFETY: `lanes` holds the 32 bytes that are written.
        unsafe {
            v128_store(lanes.as_mut_ptr().cast(), sums[0]);
            v128_store(lanes.as_mut_ptr().add(4).cast(), sums[1]);
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
