//! wasm SIMD128: int8 through 16-bit pairs (`i32x4.dot_i16x8_s`), which keeps all 8 bits.

use core::arch::wasm32::*;

use super::attention::{self, AttentionShape};
use super::packed::{AttentionScratch, Layout, PackedF32, PackedI8, Rows};
use super::portable::{self, RowAt, store_row, two_roundings};
use super::transformer::Transformer;
use super::{BlockSums, ENCODES, FAST_SCAN_ROWS, Kernels, Sixteen, Then, Tiles, rows};

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
    at_least,
    look_ups,
    look_up_bytes,
    nearest_of_16,
    hamming_u64,
    overlaps_u64,
    quantise: |a, k, norm, q| rows::quantise(a, k, norm, LAYOUT, q),
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

/// Sums of 16 rows of a block: of even rows, with the odd ones' above them, and of the odd ones alone.
#[derive(Clone, Copy)]
struct Sums {
    both: v128,
    odd: v128,
}

impl Sums {
    #[inline(always)]
    fn zero() -> Self {
        Self {
            both: u16x8_splat(0),
            odd: u16x8_splat(0),
        }
    }

    /// Adds 16 bytes of codes, looked up in the tables of the lower and of the upper halves.
    #[inline(always)]
    fn add(
        &mut self,
        codes: &[u8; 16],
        [low, high]: [v128; 2],
        fifteen: v128,
        look_up: impl Fn(v128, v128) -> v128,
    ) {
        // SAFETY: 16 bytes, as many as are read.
        let codes = unsafe { v128_load(codes.as_ptr().cast()) };
        let low = look_up(low, v128_and(codes, fifteen));
        // Shifts of bytes are made of others.
        let upper = v128_and(u16x8_shr(codes, 4), fifteen);
        let both = u8x16_add(low, look_up(high, upper));
        self.both = i16x8_add(self.both, both);
        self.odd = i16x8_add(self.odd, u16x8_shr(both, 8));
    }
}

/// Each half of a block by itself and spelled out: in a build for size, loops over arrays of registers stay loops
/// over memory.
#[inline(always)]
pub(super) fn fast_scan_by(
    codes: &[u8],
    tables: &[u8],
    blocks: &[u32],
    sums: &mut [u16],
    look_up: impl Fn(v128, v128) -> v128 + Copy,
) {
    // A constant would be made anew at each use.
    let fifteen = u8x16_splat(std::hint::black_box(15));
    for (at, sums) in blocks.iter().zip(sums.chunks_exact_mut(FAST_SCAN_ROWS)) {
        let block = &codes[*at as usize * tables.len()..][..tables.len()];
        let (mut first, mut second) = (Sums::zero(), Sums::zero());
        let steps = block.as_chunks::<16>().0.as_chunks::<2>().0;
        let tables = tables.as_chunks::<16>().0.as_chunks::<2>().0;
        for ([upper, lower], [low, high]) in steps.iter().zip(tables) {
            // SAFETY: each table has 16 bytes.
            let tables = unsafe {
                [
                    v128_load(low.as_ptr().cast()),
                    v128_load(high.as_ptr().cast()),
                ]
            };
            first.add(upper, tables, fifteen, look_up);
            second.add(lower, tables, fifteen, look_up);
        }
        let (mine, others) = sums.split_at_mut(16);
        store_sums(first.both, first.odd, mine);
        store_sums(second.both, second.odd, others);
    }
}

fn fast_scan(codes: &[u8], tables: &[u8], blocks: &[u32], sums: &mut [u16]) {
    fast_scan_by(codes, tables, blocks, sums, |table, codes| {
        u8x16_swizzle(table, codes)
    });
}

fn at_least(sums: &BlockSums, least: u16) -> u32 {
    let least = u16x8_splat(least);
    let (mut bits, mut shift) = (0, 0);
    for sixteen in sums.as_chunks::<16>().0 {
        // SAFETY: 16 numbers of 16 bits are two registers.
        let (low, high) = unsafe {
            (
                v128_load(sixteen.as_ptr().cast()),
                v128_load(sixteen.as_ptr().add(8).cast()),
            )
        };
        let found = i8x16_narrow_i16x8(u16x8_ge(low, least), u16x8_ge(high, least));
        bits |= u32::from(u8x16_bitmask(found)) << shift;
        shift += 16;
    }
    bits
}

/// Sixteen numbers, four to a register.
#[inline(always)]
fn quarters(numbers: &Sixteen) -> [v128; 4] {
    let four = |at: usize| {
        let four: &[f32; 4] = numbers[4 * at..][..4].as_array().expect("four");
        // SAFETY: 16 bytes, as many as are read.
        unsafe { v128_load(four.as_ptr().cast()) }
    };
    [four(0), four(1), four(2), four(3)]
}

/// The one of all lanes of four registers that `better` leaves.
#[inline(always)]
fn best_of([a, b, c, d]: [v128; 4], better: impl Fn(v128, v128) -> v128) -> f32 {
    let four = better(better(a, c), better(b, d));
    let two = better(four, i32x4_shuffle::<2, 3, 2, 3>(four, four));
    f32x4_extract_lane::<0>(better(two, i32x4_shuffle::<1, 1, 1, 1>(two, two)))
}

/// As `portable` has it, spelled out: a build for size makes no SIMD of loops.
fn look_ups(query: &[f32], codebook: &[f32], products: &mut [Sixteen], extents: &mut [[f32; 2]]) {
    let parts = codebook.as_chunks::<16>().0.as_chunks::<2>().0;
    let outputs = products.iter_mut().zip(extents);
    for (([x, y], [first, second]), (products, extent)) in
        query.as_chunks().0.iter().zip(parts).zip(outputs)
    {
        let (x, y) = (f32x4_splat(*x), f32x4_splat(*y));
        let product = |a, b| f32x4_add(f32x4_mul(x, a), f32x4_mul(y, b));
        let ([a, b, c, d], [e, f, g, h]) = (quarters(first), quarters(second));
        let all = [product(a, e), product(b, f), product(c, g), product(d, h)];
        *extent = [
            best_of(all, |a, b| f32x4_pmin(b, a)),
            best_of(all, |a, b| f32x4_pmax(b, a)),
        ];
        let out: *mut v128 = products.as_mut_ptr().cast();
        // SAFETY: 64 bytes are four registers.
        unsafe {
            v128_store(out, all[0]);
            v128_store(out.add(1), all[1]);
            v128_store(out.add(2), all[2]);
            v128_store(out.add(3), all[3]);
        }
    }
}

fn look_up_bytes(products: &[Sixteen], extents: &[[f32; 2]], inverse: f32, bytes: &mut [u8]) {
    let (inverse, wholes) = (f32x4_splat(inverse), f32x4_splat(portable::WHOLES));
    let all = products.iter().zip(extents);
    for ((products, [low, _]), bytes) in all.zip(bytes.as_chunks_mut::<16>().0) {
        let low = f32x4_splat(*low);
        let byte = |x| {
            let x = f32x4_add(f32x4_mul(f32x4_sub(x, low), inverse), wholes);
            v128_and(x, i32x4_splat(255))
        };
        let [a, b, c, d] = quarters(products);
        let (low, high) = (
            u16x8_narrow_i32x4(byte(a), byte(b)),
            u16x8_narrow_i32x4(byte(c), byte(d)),
        );
        // SAFETY: 16 bytes, as many as are written.
        unsafe { v128_store(bytes.as_mut_ptr().cast(), u8x16_narrow_i16x8(low, high)) };
    }
}

fn nearest_of_16(points: &[[f32; 2]], centres: &[[Sixteen; 2]], nearest: &mut [u8]) {
    let all = portable::centres_of(points, centres).zip(nearest);
    for (([x, y], [first, second]), nearest) in all {
        let (x, y) = (f32x4_splat(*x), f32x4_splat(*y));
        let distance = |a, b| {
            let (a, b) = (f32x4_sub(x, a), f32x4_sub(y, b));
            f32x4_add(f32x4_mul(a, a), f32x4_mul(b, b))
        };
        let ([a, b, c, d], [e, f, g, h]) = (quarters(first), quarters(second));
        let all = [
            distance(a, e),
            distance(b, f),
            distance(c, g),
            distance(d, h),
        ];
        let least = f32x4_splat(best_of(all, |a, b| f32x4_pmin(b, a)));
        let [a, b, c, d] = all.map(|four| f32x4_eq(four, least));
        let found = i8x16_narrow_i16x8(i16x8_narrow_i32x4(a, b), i16x8_narrow_i32x4(c, d));
        // None is, where they are not numbers.
        *nearest = (i8x16_bitmask(found).trailing_zeros() & 15) as u8;
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
    let at = RowAt {
        row,
        column: panel * NR,
        scale: q.scale[row],
        offset: 0,
    };
    store_row(&lanes, at, w, then, out);
}
