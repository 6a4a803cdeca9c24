//! AVX-512 with VNNI and VPOPCNTDQ (`vpopcntq`), which counts the bits of eight words at a time. All else is
//! VNNI's.

use core::arch::x86_64::*;

use super::Kernels;
use super::avx512::VNNI;

/// A constant: AMX's table begins as this one.
pub(super) const TABLE: Kernels = Kernels {
    name: "avx512vpopcntdq",
    hamming_u64,
    overlaps_u64,
    ..VNNI
};

/// Words of a register.
const WORDS: usize = 8;

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn hamming_u64(a: &[u64], b: &[u64]) -> u32 {
    let mut sums = _mm512_setzero_si512();
    for (a, b) in a.chunks(WORDS).zip(b.chunks(WORDS)) {
        sums = _mm512_add_epi64(
            sums,
            _mm512_popcnt_epi64(_mm512_xor_si512(load(a), load(b))),
        );
    }
    _mm512_reduce_add_epi64(sums) as u32
}

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn overlaps_u64(rows: &[u64], query: &[u64], out: &mut [u32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        let mut sums = _mm512_setzero_si512();
        for (x, y) in row.chunks(WORDS).zip(query.chunks(WORDS)) {
            sums = _mm512_add_epi64(
                sums,
                _mm512_popcnt_epi64(_mm512_and_si512(load(x), load(y))),
            );
        }
        *out = _mm512_reduce_add_epi64(sums) as u32;
    }
}

/// Up to eight words; those past the end are zero.
#[target_feature(enable = "avx512f")]
fn load(words: &[u64]) -> __m512i {
    let mask = (0xffu32 >> (WORDS - words.len().min(WORDS))) as __mmask8;
    // SAFETY: the mask has a bit for each word that the slice has, and no other is read.
    unsafe { _mm512_maskz_loadu_epi64(mask, words.as_ptr().cast()) }
}
