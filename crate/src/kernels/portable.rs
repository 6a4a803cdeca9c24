//! Bodies that every table shares: plain loops over lanes, which the compiler turns into the vectors
//! of the function that they are inlined into. `madd(a, b, c)` is a·b + c, fused where the table has it.

#[cfg(target_arch = "x86_64")]
use super::FAST_SCAN_ROWS;
use super::packed::{PackedF32, PackedI8, Rows};
use super::{Sixteen, Then};

/// Partial sums kept apart, so that a sum needs no order.
pub(super) const LANES: usize = 16;

/// a·b + c, rounded twice: for tables without a fused instruction.
#[inline(always)]
pub(super) fn two_roundings(a: f32, b: f32, c: f32) -> f32 {
    a * b + c
}

/// a·b + c, rounded once.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(super) fn fused(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

#[inline(always)]
fn reduce(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_lanes.remainder(), b_lanes.remainder());
    for (x, y) in a_lanes.zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] = step(x[lane], y[lane], sums[lane]);
        }
    }
    for (lane, (&x, &y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] = step(x, y, sums[lane]);
    }
    sums.iter().sum()
}

/// Row `id` of `codes` `[rows, dim]`.
#[inline(always)]
pub(super) fn row(codes: &[i8], id: u32, dim: usize) -> &[i8] {
    &codes[id as usize * dim..][..dim]
}

/// The first `len` of each of some rows. No `from_fn`: on x86 that is a call, and passes them through memory.
#[inline(always)]
pub(super) fn rows_of<T, const ROWS: usize>(all: &[T], stride: usize, len: usize) -> [&[T]; ROWS] {
    let mut rows: [&[T]; ROWS] = [&[]; ROWS];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = &all[r * stride..][..len];
    }
    rows
}

/// Asks for a row's cache lines before they are needed.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn fetch(row: &[i8]) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in row.chunks(64) {
        // SAFETY: a hint about memory that the slice holds; it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr()) };
    }
}

/// From here on f32 are whole numbers, so that the sum with a small one has it, rounded, in its lowest bits.
pub(super) const WHOLES: f32 = 8_388_608.0;

#[inline(always)]
pub(super) fn look_ups(
    query: &[f32],
    codebook: &[f32],
    products: &mut [Sixteen],
    extents: &mut [[f32; 2]],
) {
    let parts = codebook.as_chunks::<16>().0.as_chunks::<2>().0;
    for (([x, y], [first, second]), products) in
        query.as_chunks().0.iter().zip(parts).zip(&mut *products)
    {
        for ((product, a), b) in products.iter_mut().zip(first).zip(second) {
            *product = x * a + y * b;
        }
    }
    // In a loop of its own: mixed with the one above, neither becomes SIMD.
    for (products, extent) in products.iter().zip(extents) {
        *extent = extent_of(products);
    }
}

/// The least and the most of 16 numbers, halved again and again: several are compared at a time.
#[inline(always)]
fn extent_of(numbers: &Sixteen) -> [f32; 2] {
    let (mut low, mut high) = (*numbers, *numbers);
    for width in [8, 4, 2, 1] {
        for at in 0..width {
            let (a, b) = (low[at], low[at + width]);
            low[at] = if a < b { a } else { b };
            let (a, b) = (high[at], high[at + width]);
            high[at] = if a > b { a } else { b };
        }
    }
    [low[0], high[0]]
}

#[inline(always)]
pub(super) fn look_up_bytes(
    products: &[Sixteen],
    extents: &[[f32; 2]],
    inverse: f32,
    bytes: &mut [u8],
) {
    let all = products.iter().zip(extents);
    for ((products, [low, _]), bytes) in all.zip(bytes.as_chunks_mut::<16>().0) {
        for (byte, product) in bytes.iter_mut().zip(products) {
            *byte = ((product - low) * inverse + WHOLES).to_bits() as u8;
        }
    }
}

/// The set of centres of each point: its own, or the one that there is.
#[inline(always)]
pub(super) fn centres_of<'a>(
    points: &'a [[f32; 2]],
    centres: &'a [[Sixteen; 2]],
) -> impl Iterator<Item = (&'a [f32; 2], &'a [Sixteen; 2])> {
    let step = usize::from(centres.len() > 1);
    let of = move |(at, point)| (point, &centres[at * step]);
    points.iter().enumerate().map(of)
}

/// Blocks `blocks` of `codes`, two at a time, with the two after them, and the sums of both, as far as there are sums; past the
/// last block it comes again.
#[cfg(target_arch = "x86_64")]
pub(super) fn pairs_of<'a>(
    codes: &'a [u8],
    len: usize,
    blocks: &'a [u32],
    sums: &'a mut [u16],
) -> impl Iterator<Item = ([&'a [u8]; 4], &'a mut [u16])> {
    let block = move |at: usize| {
        let block = blocks[at.min(blocks.len() - 1)];
        &codes[block as usize * len..][..len]
    };
    let pairs = sums.chunks_mut(2 * FAST_SCAN_ROWS).enumerate();
    pairs.map(move |(pair, sums)| (std::array::from_fn(|at| block(2 * pair + at)), sums))
}

/// Bits that each row shares with the query.
#[inline(always)]
pub(super) fn overlaps(rows: &[u64], query: &[u64], out: &mut [u32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = overlap(row, query);
    }
}

/// Bits that a row shares with the query.
#[inline(always)]
pub(super) fn overlap(row: &[u64], query: &[u64]) -> u32 {
    row.iter()
        .zip(query)
        .map(|(x, y)| (x & y).count_ones())
        .sum()
}

/// Asks for a cache line before it is needed.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn fetch_line(line: &[u8]) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint about memory that the slice holds; it reads nothing.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
}

/// Σ of what is left past the last whole register.
#[inline(always)]
pub(super) fn dot_rest(row: &[i8], query: &[i16]) -> i32 {
    row.iter()
        .zip(query)
        .map(|(&x, &y)| i32::from(x) * i32::from(y))
        .sum()
}

#[inline(always)]
pub(super) fn dot_f32(a: &[f32], b: &[f32], madd: impl Fn(f32, f32, f32) -> f32) -> f32 {
    reduce(a, b, madd)
}

#[inline(always)]
pub(super) fn l2_squared_f32(a: &[f32], b: &[f32], madd: impl Fn(f32, f32, f32) -> f32) -> f32 {
    reduce(a, b, |x, y, sum| {
        let difference = x - y;
        madd(difference, difference, sum)
    })
}

/// The lanes by halves, each with its counterpart: what takes few steps one after another.
#[inline(always)]
pub(super) fn folded(lanes: [f32; LANES], of: impl Fn(f32, f32) -> f32) -> f32 {
    let (mut eight, mut four) = ([0f32; LANES / 2], [0f32; LANES / 4]);
    for lane in 0..LANES / 2 {
        eight[lane] = of(lanes[lane], lanes[lane + LANES / 2]);
    }
    for lane in 0..LANES / 4 {
        four[lane] = of(eight[lane], eight[lane + LANES / 4]);
    }
    of(of(four[0], four[2]), of(four[1], four[3]))
}

/// Not `f32::max`, which is a call in wasm.
#[inline(always)]
pub(super) fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// eˣ for x ≤ 87: 2ⁿ·2ᶠ with f ∈ [-½, ½], 2ᶠ by the polynomial of degree 5 whose largest relative error is least
/// (Remez 1934) among those with 1 and ln 2 in front; relative error below 2·10⁻⁷, and of x·log₂e's rounding.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5·2²³: adding it leaves the nearest integer in the low bits
    let z = (x * std::f32::consts::LOG2_E).clamp(-125.0, 125.0);
    let shifted = z + ROUND;
    let f = z - (shifted - ROUND);
    let tail = 0.055_505_585 + f * (0.009_669_691 + f * 0.001_330_060_5);
    let power = 1.0 + f * (std::f32::consts::LN_2 + f * (0.240_222_83 + f * tail));
    // All but n is shifted out.
    f32::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[inline(always)]
pub(super) fn quick_gelu(values: &mut [f32]) {
    for x in values {
        *x /= 1.0 + exp(-1.702 * *x);
    }
}

/// erf by Abramowitz and Stegun 7.1.26, absolute error below 5·10⁻⁷ in f32.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let poly = t
        * (0.254_829_6
            + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    (1.0 - poly * exp(-x * x)).copysign(x)
}

#[inline(always)]
pub(super) fn gelu(values: &mut [f32]) {
    for x in values {
        *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// x·Φ(x) with Φ by tanh (Hendrycks and Gimpel 2016): ½(1 + tanh u) = σ(2u), u = √(2/π)·(x + 0.044715·x³).
#[inline(always)]
pub(super) fn gelu_tanh(values: &mut [f32]) {
    for x in values {
        *x /= 1.0 + exp(-1.595_769 * *x * (1.0 + 0.044_715 * *x * *x));
    }
}

#[inline(always)]
pub(super) fn softmax_rows(values: &mut [f32], columns: usize) {
    for row in values.chunks_exact_mut(columns) {
        softmax(row);
    }
}

#[inline(always)]
fn softmax(row: &mut [f32]) {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for part in row.chunks(LANES) {
        for (most, &x) in largest.iter_mut().zip(part) {
            *most = if x > *most { x } else { *most };
        }
    }
    let most = folded(largest, larger);
    let mut sums = [0f32; LANES];
    for part in row.chunks_mut(LANES) {
        for (sum, x) in sums.iter_mut().zip(part) {
            *x = exp(*x - most);
            *sum += *x;
        }
    }
    let scale = 1.0 / folded(sums, |a, b| a + b);
    for x in row {
        *x *= scale;
    }
}

/// Rounds to the nearest integer, ties to even, for |x| < 2²²: one addition, the same on every machine.
#[inline(always)]
pub(crate) fn nearest(x: f32) -> i32 {
    ((x + 12_582_912.0).to_bits() as i32).wrapping_sub(0x4B40_0000)
}

#[inline(always)]
pub(super) fn largest_magnitude(values: &[f32]) -> f32 {
    furthest(values, |a, b| larger(a.abs(), b))
}

/// The least and the largest of the values and 0.
#[inline(always)]
pub(super) fn extent(values: &[f32]) -> (f32, f32) {
    // Each by itself: of both in one loop the compiler makes masks, many times slower.
    (
        furthest(values, |a, b| if a < b { a } else { b }),
        furthest(values, larger),
    )
}

/// What `further(value, found)` leaves of all values, beginning with 0.
#[inline(always)]
fn furthest(values: &[f32], further: impl Fn(f32, f32) -> f32) -> f32 {
    let (lanes, rest) = values.as_chunks::<LANES>();
    let mut found = [0f32; LANES];
    for part in lanes {
        for lane in 0..LANES {
            found[lane] = further(part[lane], found[lane]);
        }
    }
    let rest = rest.iter().fold(0.0, |found, x| further(*x, found));
    further(folded(found, &further), rest)
}

/// `out[m, n] = a[m, k] · w[k, n] + bias`, in tiles of `MR` rows and `NR` columns.
#[inline(always)]
pub(super) fn gemm_f32<const MR: usize, const NR: usize>(
    a: &[f32],
    m: usize,
    w: &PackedF32,
    out: &mut [f32],
    madd: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    let (k, n) = (w.k, w.n);
    for (panel, weights) in w.data.chunks_exact((k * NR).max(1)).enumerate() {
        let column = panel * NR;
        let columns = (n - column).min(NR);
        let bias: &[f32; NR] = w.bias[column..].first_chunk().unwrap_or(&[0.0; NR]);
        let mut row = 0;
        while row < m {
            let rows = (m - row).min(MR);
            let mut sums = [*bias; MR];
            if rows == MR {
                tile::<MR, NR>(&a[row * k..], k, weights, &mut sums, madd);
            } else {
                for (r, sums) in sums.iter_mut().enumerate().take(rows) {
                    tile::<1, NR>(
                        &a[(row + r) * k..],
                        k,
                        weights,
                        std::array::from_mut(sums),
                        madd,
                    );
                }
            }
            for (r, sums) in sums.iter().enumerate().take(rows) {
                let at = (row + r) * n + column;
                out[at..at + columns].copy_from_slice(&sums[..columns]);
            }
            row += rows;
        }
    }
}

#[inline(always)]
fn tile<const MR: usize, const NR: usize>(
    a: &[f32],
    k: usize,
    weights: &[f32],
    sums: &mut [[f32; NR]; MR],
    madd: impl Fn(f32, f32, f32) -> f32,
) {
    let rows: [&[f32]; MR] = rows_of(a, k, k);
    let mut acc = *sums;
    for (at, b) in weights.chunks_exact(NR).enumerate().take(k) {
        for r in 0..MR {
            let x = rows[r][at];
            for c in 0..NR {
                acc[r][c] = madd(x, b[c], acc[r][c]);
            }
        }
    }
    *sums = acc;
}

/// One finished row of an int8 tile: integers back to f32. Multiply, then add: fused or not would
/// differ between machines.
#[inline(always)]
pub(super) fn epilogue(sum: i32, row_scale: f32, column_scale: f32, bias: f32) -> f32 {
    sum as f32 * (row_scale * column_scale) + bias
}

/// Where a row of an int8 tile goes, and what its sums are short of or over by.
#[derive(Clone, Copy)]
pub(super) struct RowAt {
    pub row: usize,
    /// The tile's first column.
    pub column: usize,
    /// The activations' scale.
    pub scale: f32,
    /// What packing added to the weights, times the activations' sum.
    pub offset: i32,
}

impl RowAt {
    /// Sums of row `row` from `column` on that are exact as they are.
    #[inline(always)]
    pub fn of(rows: &Rows, row: usize, column: usize) -> Self {
        Self {
            row,
            column,
            scale: rows.scale[row],
            offset: 0,
        }
    }
}

/// Brings one row of an int8 tile back to f32 and writes the columns that are real.
#[inline(always)]
pub(super) fn store_row<const NR: usize>(
    lanes: &[i32; NR],
    at: RowAt,
    w: &PackedI8,
    then: Then,
    out: &mut [f32],
) {
    let place = at.column..at.column + NR;
    let (scales, bias) = (&w.scale[place.clone()], &w.bias[place]);
    let mut values = [0f32; NR];
    for c in 0..NR {
        values[c] = epilogue(
            lanes[c].wrapping_sub(at.offset),
            at.scale,
            scales[c],
            bias[c],
        );
    }
    let columns = NR.min(w.n - at.column);
    let out = &mut out[at.row * w.n + at.column..][..columns];
    // Whole tiles on their own: their loops have a length that the compiler knows.
    match (then, out.as_mut_array::<NR>()) {
        (Then::Add, Some(out)) => {
            for c in 0..NR {
                out[c] += values[c];
            }
        }
        (_, Some(out)) => *out = values,
        (Then::Add, None) => {
            for (out, value) in out.iter_mut().zip(values) {
                *out += value;
            }
        }
        (_, None) => out.copy_from_slice(&values[..columns]),
    }
}
