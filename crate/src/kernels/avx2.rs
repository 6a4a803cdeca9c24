//! AVX2 with FMA: int8 through 16-bit pairs (`vpmaddwd`), which keeps all 8 bits of the weights.

use core::arch::x86_64::*;

use super::attention::{self, AttentionShape};
use super::packed::{AttentionScratch, Layout, PackedF32, PackedI8, Rows};
use super::portable::{self, RowAt, fused, store_row};
use super::transformer::Transformer;
use super::{Before, BlockSums, Kernels, Norm, Sixteen, Then, Tiles, rows};

/// Columns of a panel: two registers of eight sums.
pub(super) const NR: usize = 16;
/// Rows of a tile: 4 × 2 sums, two weights and a broadcast fit sixteen registers.
const MR: usize = 4;
const F32_MR: usize = 5;

const LAYOUT: Layout = Layout::Pairs { nr: NR };

/// A constant: other tables begin as this one.
pub(super) const TABLE: Kernels = Kernels {
    name: "avx2",
    tiles: Tiles {
        i8: LAYOUT,
        f32_nr: NR,
    },
    dot_f32,
    l2_squared_f32,
    dot_i8,
    dot_i8_rows,
    fast_scan,
    at_least,
    look_ups,
    look_up_bytes,
    nearest_of_16,
    hamming_u64,
    overlaps_u64,
    quantise,
    multiply,
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

#[target_feature(enable = "avx2,fma")]
fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    portable::dot_f32(a, b, fused)
}

#[target_feature(enable = "avx2,fma")]
fn l2_squared_f32(a: &[f32], b: &[f32]) -> f32 {
    portable::l2_squared_f32(a, b, fused)
}

#[target_feature(enable = "avx2,fma")]
fn gemm_f32(a: &[f32], m: usize, w: &PackedF32, out: &mut [f32]) {
    portable::gemm_f32::<F32_MR, NR>(a, m, w, out, fused);
}

#[target_feature(enable = "avx2,fma")]
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

#[target_feature(enable = "avx2,fma")]
fn quick_gelu(x: &mut [f32]) {
    portable::quick_gelu(x);
}

#[target_feature(enable = "avx2,fma")]
fn gelu(x: &mut [f32]) {
    portable::gelu(x);
}

#[target_feature(enable = "avx2,fma")]
fn softmax_rows(x: &mut [f32], columns: usize) {
    portable::softmax_rows(x, columns);
}

#[target_feature(enable = "popcnt")]
fn hamming_u64(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

/// Counts of four bits are looked up in registers and summed by `vpsadbw` (Muła, Kurz and Lemire 2018,
/// "Faster population counts using AVX2 instructions").
#[target_feature(enable = "avx2,popcnt")]
pub(super) fn overlaps_u64(rows: &[u64], query: &[u64], out: &mut [u32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        let (row, rest) = row.as_chunks::<4>();
        let (query, query_rest) = query.as_chunks::<4>();
        let mut sums = _mm256_setzero_si256();
        for (x, y) in row.iter().zip(query) {
            // SAFETY: four words are the 32 bytes that are read.
            let (x, y) = unsafe {
                (
                    _mm256_loadu_si256(x.as_ptr().cast()),
                    _mm256_loadu_si256(y.as_ptr().cast()),
                )
            };
            let counts = bit_counts(_mm256_and_si256(x, y));
            sums = _mm256_add_epi64(sums, _mm256_sad_epu8(counts, _mm256_setzero_si256()));
        }
        *out = sum_i32(sums) as u32 + portable::overlap(rest, query_rest);
    }
}

/// How many bits of each byte are set.
#[target_feature(enable = "avx2")]
fn bit_counts(x: __m256i) -> __m256i {
    let counts = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    let (counts, halves) = (_mm256_broadcastsi128_si256(counts), _mm256_set1_epi8(15));
    let low = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, halves));
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(x), halves);
    _mm256_add_epi8(low, _mm256_shuffle_epi8(counts, high))
}

#[target_feature(enable = "avx2")]
fn sum_i32(v: __m256i) -> i32 {
    let mut lanes = [0i32; 8];
    // SAFETY: `lanes` holds the 32 bytes that are written.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), v) };
    lanes.iter().sum()
}

#[target_feature(enable = "avx2")]
fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let (a_parts, b_parts) = (a.chunks_exact(16), b.chunks_exact(16));
    let (a_rest, b_rest) = (a_parts.remainder(), b_parts.remainder());
    let mut sum = _mm256_setzero_si256();
    for (x, y) in a_parts.zip(b_parts) {
        // SAFETY: each part is 16 bytes, as much as is read.
        let (x, y) = unsafe {
            (
                _mm_loadu_si128(x.as_ptr().cast()),
                _mm_loadu_si128(y.as_ptr().cast()),
            )
        };
        let product = _mm256_madd_epi16(_mm256_cvtepi8_epi16(x), _mm256_cvtepi8_epi16(y));
        sum = _mm256_add_epi32(sum, product);
    }
    let rest: i32 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(&x, &y)| i32::from(x) * i32::from(y))
        .sum();
    sum_i32(sum) + rest
}

/// How many rows ahead are fetched: about what arrives while two rows are summed.
const AHEAD: usize = 3;

#[target_feature(enable = "avx2")]
fn dot_i8_rows(codes: &[i8], query: &[i16], ids: &[u32], out: &mut [i32]) {
    let dim = query.len();
    let whole = dim / 16 * 16;
    for (at, out) in out.iter_mut().enumerate() {
        if let Some(id) = ids.get(at + AHEAD) {
            portable::fetch(portable::row(codes, *id, dim));
        }
        let row = portable::row(codes, ids[at], dim);
        let mut sum = _mm256_setzero_si256();
        for (x, y) in row.chunks_exact(16).zip(query.chunks_exact(16)) {
            // SAFETY: the parts are 16 bytes and 16 numbers of 16 bits, as much as is read.
            let (x, y) = unsafe {
                (
                    _mm_loadu_si128(x.as_ptr().cast()),
                    _mm256_loadu_si256(y.as_ptr().cast()),
                )
            };
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(x), y));
        }
        *out = sum_i32(sum) + portable::dot_rest(&row[whole..], &query[whole..]);
    }
}

/// Sums of a block: of even rows, with the odd ones' above them, and of the odd ones alone.
#[derive(Clone, Copy)]
struct Sums {
    both: __m256i,
    odd: __m256i,
}

impl Sums {
    #[target_feature(enable = "avx2")]
    fn zero() -> Self {
        Self {
            both: _mm256_setzero_si256(),
            odd: _mm256_setzero_si256(),
        }
    }

    /// Adds 32 bytes of codes, looked up in the tables of the lower and of the upper halves.
    #[target_feature(enable = "avx2")]
    fn add(&mut self, codes: &[u8], [low, high]: [__m256i; 2]) {
        let halves = _mm256_set1_epi8(15);
        assert!(codes.len() >= 32);
        // SAFETY: 32 bytes of codes.
        let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), halves);
        let low = _mm256_shuffle_epi8(low, _mm256_and_si256(codes, halves));
        let both = _mm256_add_epi8(low, _mm256_shuffle_epi8(high, upper));
        self.both = _mm256_add_epi16(self.both, both);
        // A shift by eight as a product: shifts may have to wait for the look-ups.
        let odd = _mm256_mulhi_epu16(both, _mm256_set1_epi16(256));
        self.odd = _mm256_add_epi16(self.odd, odd);
    }
}

/// Two tables of 16, each in both halves of a register.
#[target_feature(enable = "avx2")]
fn tables_of(tables: &[u8]) -> [__m256i; 2] {
    assert!(tables.len() >= 32);
    // SAFETY: 32 bytes, as many as are read.
    let (low, high) = unsafe {
        (
            _mm_loadu_si128(tables.as_ptr().cast()),
            _mm_loadu_si128(tables.as_ptr().add(16).cast()),
        )
    };
    [
        _mm256_broadcastsi128_si256(low),
        _mm256_broadcastsi128_si256(high),
    ]
}

/// Two blocks at a time share the tables, while the two after them are fetched.
#[target_feature(enable = "avx2")]
fn fast_scan(codes: &[u8], tables: &[u8], blocks: &[u32], sums: &mut [u16]) {
    for (two, sums) in portable::pairs_of(codes, tables.len(), blocks, sums) {
        let (mut first, mut second) = (Sums::zero(), Sums::zero());
        let [one, other, next, after] = two.map(|block| block.chunks_exact(32));
        let steps = tables.chunks_exact(32).zip(one.zip(other));
        for ((tables, codes), ahead) in steps.zip(next.zip(after)) {
            portable::fetch_line(ahead.0);
            portable::fetch_line(ahead.1);
            let tables = tables_of(tables);
            first.add(codes.0, tables);
            second.add(codes.1, tables);
        }
        let (mine, others) = sums.split_at_mut(32);
        store_sums(first.both, first.odd, mine);
        if !others.is_empty() {
            store_sums(second.both, second.odd, others);
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn look_ups(
    query: &[f32],
    codebook: &[f32],
    products: &mut [Sixteen],
    extents: &mut [[f32; 2]],
) {
    portable::look_ups(query, codebook, products, extents);
}

#[target_feature(enable = "avx2")]
pub(super) fn look_up_bytes(
    products: &[Sixteen],
    extents: &[[f32; 2]],
    inverse: f32,
    bytes: &mut [u8],
) {
    portable::look_up_bytes(products, extents, inverse, bytes);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn nearest_of_16(points: &[[f32; 2]], centres: &[[Sixteen; 2]], nearest: &mut [u8]) {
    let all = portable::centres_of(points, centres).zip(nearest);
    for (([x, y], [first, second]), nearest) in all {
        let (x, y) = (_mm256_set1_ps(*x), _mm256_set1_ps(*y));
        let distances = |half: usize| {
            // SAFETY: a half is eight of the 16 floats.
            let (a, b) = unsafe {
                let first = _mm256_loadu_ps(first.as_ptr().add(8 * half));
                (first, _mm256_loadu_ps(second.as_ptr().add(8 * half)))
            };
            let (a, b) = (_mm256_sub_ps(x, a), _mm256_sub_ps(y, b));
            _mm256_add_ps(_mm256_mul_ps(a, a), _mm256_mul_ps(b, b))
        };
        let (low, high) = (distances(0), distances(1));
        let eight = _mm256_min_ps(low, high);
        let eight = _mm256_min_ps(eight, _mm256_permute2f128_ps::<1>(eight, eight));
        let four = _mm256_min_ps(eight, _mm256_permute_ps::<0b0100_1110>(eight));
        let least = _mm256_min_ps(four, _mm256_permute_ps::<0b1011_0001>(four));
        let is_least =
            |distances| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(distances, least));
        let found = is_least(low) | is_least(high) << 8;
        // None is, where they are not numbers.
        *nearest = (found.trailing_zeros() & 15) as u8;
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn at_least(sums: &BlockSums, least: u16) -> u32 {
    let least = _mm256_set1_epi16(least.cast_signed());
    // SAFETY: 32 numbers of 16 bits are two registers.
    let (low, high) = unsafe {
        (
            _mm256_loadu_si256(sums.as_ptr().cast()),
            _mm256_loadu_si256(sums.as_ptr().add(16).cast()),
        )
    };
    let low = _mm256_cmpeq_epi16(_mm256_max_epu16(low, least), low);
    let high = _mm256_cmpeq_epi16(_mm256_max_epu16(high, least), high);
    // Packs in each half of the register by itself, hence the quarters' order.
    let bits = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
    _mm256_movemask_epi8(bits).cast_unsigned()
}

/// Puts even and odd rows' sums in order; `sums` has 32.
#[target_feature(enable = "avx2")]
pub(super) fn store_sums(both: __m256i, odd: __m256i, sums: &mut [u16]) {
    let even = _mm256_sub_epi16(both, _mm256_slli_epi16::<8>(odd));
    let (low, high) = (
        _mm256_unpacklo_epi16(even, odd),
        _mm256_unpackhi_epi16(even, odd),
    );
    let sums = sums[..32].as_mut_ptr();
    // SAFETY: the slice above has the 64 bytes that are written.
    unsafe {
        _mm256_storeu_si256(sums.cast(), _mm256_permute2x128_si256::<0x20>(low, high));
        _mm256_storeu_si256(
            sums.add(16).cast(),
            _mm256_permute2x128_si256::<0x31>(low, high),
        );
    }
}

#[target_feature(enable = "avx2,fma")]
fn layer_norm(x: &[f32], norm: Norm, out: &mut [f32]) {
    rows::layer_norm(x, norm, out);
}

#[target_feature(enable = "avx2,fma")]
fn quantise(a: &[f32], k: usize, before: Before, q: &mut Rows) {
    rows::quantise(a, k, before, LAYOUT, q);
}

#[target_feature(enable = "avx2,fma")]
fn multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    let m = a.scale.len();
    for panel in 0..w.n.div_ceil(NR) {
        for row in (0..m).step_by(MR) {
            by_rows!((m - row).min(MR), tile, (row, panel, w, a, then, out), [1 2 3 4]);
        }
    }
}

/// Σ over pairs of rows of `a` with a panel of 16 bits.
#[target_feature(enable = "avx2,fma")]
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
            sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(b[0], x));
            sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(b[1], x));
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
    let rows: [&[i16]; ROWS] = portable::rows_of(&q.wide[row * w.kp..], w.kp, w.kp);
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    for (pair, b) in weights.chunks_exact(2 * NR).enumerate() {
        // SAFETY: `b` is 32 bytes: two loads of 16.
        let b = unsafe {
            [
                _mm256_cvtepi8_epi16(_mm_loadu_si128(b.as_ptr().cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(b.as_ptr().add(16).cast())),
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
            let x = _mm256_set1_epi32(x);
            sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(b[0], x));
            sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(b[1], x));
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let mut lanes = [0i32; NR];
        // SAFETY: `lanes` holds the 64 bytes that are written.
        unsafe {
            _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sums[0]);
            _mm256_storeu_si256(lanes.as_mut_ptr().add(8).cast(), sums[1]);
        }
        store_row(&lanes, RowAt::of(q, row + r, panel * NR), w, then, out);
    }
}
