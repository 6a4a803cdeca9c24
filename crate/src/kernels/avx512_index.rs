//! AVX-512 for the index: products of integers, by VNNI where the CPU has it, and look-ups.

use core::arch::x86_64::*;

use super::avx2::store_sums;
use super::portable;

#[target_feature(enable = "popcnt")]
pub(super) fn hamming_u64(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let (a_parts, b_parts) = (a.chunks_exact(32), b.chunks_exact(32));
    let (a_rest, b_rest) = (a_parts.remainder(), b_parts.remainder());
    let mut sum = _mm512_setzero_si512();
    for (x, y) in a_parts.zip(b_parts) {
        // SAFETY: each part is 32 bytes, as much as is read.
        let (x, y) = unsafe {
            (
                _mm256_loadu_si256(x.as_ptr().cast()),
                _mm256_loadu_si256(y.as_ptr().cast()),
            )
        };
        let product = _mm512_madd_epi16(_mm512_cvtepi8_epi16(x), _mm512_cvtepi8_epi16(y));
        sum = _mm512_add_epi32(sum, product);
    }
    let rest: i32 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(&x, &y)| i32::from(x) * i32::from(y))
        .sum();
    _mm512_reduce_add_epi32(sum) + rest
}

/// How many rows ahead are fetched: about what arrives while two rows are summed.
const AHEAD: usize = 3;

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn dot_i8_rows(codes: &[i8], query: &[i16], ids: &[u32], out: &mut [i32]) {
    let dim = query.len();
    let whole = dim / 32 * 32;
    for (at, out) in out.iter_mut().enumerate() {
        if let Some(id) = ids.get(at + AHEAD) {
            portable::fetch(portable::row(codes, *id, dim));
        }
        let row = portable::row(codes, ids[at], dim);
        let mut sum = _mm512_setzero_si512();
        for (x, y) in row.chunks_exact(32).zip(query.chunks_exact(32)) {
            // SAFETY: the parts are 32 bytes and 32 numbers of 16 bits, as much as is read.
            let (x, y) = unsafe {
                (
                    _mm256_loadu_si256(x.as_ptr().cast()),
                    _mm512_loadu_si512(y.as_ptr().cast()),
                )
            };
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_cvtepi8_epi16(x), y));
        }
        *out = _mm512_reduce_add_epi32(sum) + portable::dot_rest(&row[whole..], &query[whole..]);
    }
}

/// p = 64·h + l, so that bytes are multiplied: Σqp = 64·Σqh + Σql. The codes are raised by 128 to be
/// unsigned, which Σp takes off again. What does not fit 32 bits on the way wraps around and back.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn dot_i8_rows_vnni(codes: &[i8], query: &[i16], ids: &[u32], out: &mut [i32]) {
    let dim = query.len();
    let (parts, rest) = query.split_at(dim / 64 * 64);
    let high: Vec<i8> = parts.iter().map(|p| (p >> 6) as i8).collect();
    let low: Vec<i8> = parts.iter().map(|p| (p & 63) as i8).collect();
    let raised = 128 * parts.iter().map(|p| i32::from(*p)).sum::<i32>();
    let raise = _mm512_set1_epi8(-128);
    for (at, out) in out.iter_mut().enumerate() {
        if let Some(id) = ids.get(at + AHEAD) {
            portable::fetch(portable::row(codes, *id, dim));
        }
        let row = portable::row(codes, ids[at], dim);
        let (mut highs, mut lows) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        let queries = high.chunks_exact(64).zip(low.chunks_exact(64));
        for (x, (high, low)) in row.chunks_exact(64).zip(queries) {
            // SAFETY: each part is 64 bytes, as much as is read.
            let (x, high, low) = unsafe {
                (
                    _mm512_loadu_si512(x.as_ptr().cast()),
                    _mm512_loadu_si512(high.as_ptr().cast()),
                    _mm512_loadu_si512(low.as_ptr().cast()),
                )
            };
            let x = _mm512_xor_si512(x, raise);
            highs = _mm512_dpbusd_epi32(highs, x, high);
            lows = _mm512_dpbusd_epi32(lows, x, low);
        }
        let sum = _mm512_add_epi32(_mm512_slli_epi32::<6>(highs), lows);
        *out = _mm512_reduce_add_epi32(sum)
            .wrapping_sub(raised)
            .wrapping_add(portable::dot_rest(&row[parts.len()..], rest));
    }
}

/// Sums of a block: of even rows, with the odd ones' above them, and of the odd ones alone. The lower
/// half of a register sums up one pair of subspaces, the upper half the next.
#[derive(Clone, Copy)]
struct Sums {
    both: __m512i,
    odd: __m512i,
}

impl Sums {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn zero() -> Self {
        Self {
            both: _mm512_setzero_si512(),
            odd: _mm512_setzero_si512(),
        }
    }

    /// Adds 64 bytes of codes, looked up in the tables of the lower and of the upper halves.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn add(&mut self, codes: &[u8], [low, high]: [__m512i; 2]) {
        let halves = _mm512_set1_epi8(15);
        assert!(codes.len() >= 64);
        // SAFETY: 64 bytes of codes.
        let codes = unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) };
        let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(codes), halves);
        let low = _mm512_shuffle_epi8(low, _mm512_and_si512(codes, halves));
        let both = _mm512_add_epi8(low, _mm512_shuffle_epi8(high, upper));
        self.both = _mm512_add_epi16(self.both, both);
        self.odd = _mm512_add_epi16(self.odd, _mm512_srli_epi16::<8>(both));
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn store(self, sums: &mut [u16]) {
        store_sums(fold(self.both), fold(self.odd), sums);
    }
}

/// Four tables of 16, each for the half of a register.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn tables_of(tables: &[u8]) -> [__m512i; 2] {
    assert!(tables.len() >= 64);
    // SAFETY: 64 bytes, as much as is read.
    let tables = unsafe { _mm512_loadu_si512(tables.as_ptr().cast()) };
    [
        _mm512_shuffle_i64x2::<0b10_10_00_00>(tables, tables),
        _mm512_shuffle_i64x2::<0b11_11_01_01>(tables, tables),
    ]
}

/// Two blocks at a time share the tables, while the two after them are fetched.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn fast_scan(codes: &[u8], tables: &[u8], blocks: &[u32], sums: &mut [u16]) {
    for (two, sums) in portable::pairs_of(codes, tables.len(), blocks, sums) {
        let (mut first, mut second) = (Sums::zero(), Sums::zero());
        let [one, other, next, after] = two.map(|block| block.chunks_exact(64));
        let steps = tables.chunks_exact(64).zip(one.zip(other));
        for ((tables, codes), ahead) in steps.zip(next.zip(after)) {
            portable::fetch_line(ahead.0);
            portable::fetch_line(ahead.1);
            let tables = tables_of(tables);
            first.add(codes.0, tables);
            second.add(codes.1, tables);
        }
        let (mine, others) = sums.split_at_mut(32);
        first.store(mine);
        if !others.is_empty() {
            second.store(others);
        }
    }
}

/// The lower half plus the upper one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn fold(sums: __m512i) -> __m256i {
    _mm256_add_epi16(
        _mm512_castsi512_si256(sums),
        _mm512_extracti64x4_epi64::<1>(sums),
    )
}
