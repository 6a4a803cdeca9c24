//! wasm SIMD128 for the index: codes of 8 bits through 16-bit pairs, of 4 bits through `i8x16.swizzle`, and bits.

use core::arch::wasm32::*;

use super::portable;
use super::{BlockSums, FAST_SCAN_ROWS, Sixteen};

fn sum_i32(v: v128) -> i32 {
    i32x4_extract_lane::<0>(v)
        + i32x4_extract_lane::<1>(v)
        + i32x4_extract_lane::<2>(v)
        + i32x4_extract_lane::<3>(v)
}

pub(super) fn hamming_u64(a: &[u64], b: &[u64]) -> u32 {
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

pub(super) fn overlaps_u64(rows: &[u64], query: &[u64], out: &mut [u32]) {
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

pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
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

pub(super) fn dot_i8_rows(codes: &[i8], query: &[i16], ids: &[u32], out: &mut [i32]) {
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

pub(super) fn fast_scan(codes: &[u8], tables: &[u8], blocks: &[u32], sums: &mut [u16]) {
    fast_scan_by(codes, tables, blocks, sums, |table, codes| {
        u8x16_swizzle(table, codes)
    });
}

pub(super) fn at_least(sums: &BlockSums, least: u16) -> u32 {
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
pub(super) fn look_ups(
    query: &[f32],
    codebook: &[f32],
    products: &mut [Sixteen],
    extents: &mut [[f32; 2]],
) {
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

pub(super) fn look_up_bytes(
    products: &[Sixteen],
    extents: &[[f32; 2]],
    inverse: f32,
    bytes: &mut [u8],
) {
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

pub(super) fn nearest_of_16(points: &[[f32; 2]], centres: &[[Sixteen; 2]], nearest: &mut [u8]) {
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
