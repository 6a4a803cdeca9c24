//! AVX-512's activations: [`rows::quantise`] to the bit, in two passes over a row, so that its divisions are not waited for.

use core::arch::x86_64::*;

use super::avx512::load;
use super::avx512_attention::{exp, store};
use super::packed::{Layout, Rows};
use super::portable::LANES;
use super::{Activation, Before, rows};

/// [`rows::quantise`] for quads.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn quantise(a: &[f32], k: usize, before: Before, layout: Layout, q: &mut Rows) {
    let whole = k.is_multiple_of(LANES);
    match before {
        Before::Activation(Activation::QuickGelu) if whole => {
            activated(a, k, layout, q, |x| quick_gelu(x));
        }
        Before::Activation(Activation::Gelu) if whole => activated(a, k, layout, q, |x| gelu(x)),
        _ => rows::quantise(a, k, before, layout, q),
    }
}

#[inline(always)]
fn activated(a: &[f32], k: usize, layout: Layout, q: &mut Rows, of: impl Fn(__m512) -> __m512) {
    rows::make_room(a.len() / k, k, layout, q);
    for (values, codes) in a.chunks_exact(k).zip(q.narrow.chunks_exact_mut(k)) {
        // SAFETY: called by functions that have these instructions alone.
        unsafe {
            let mut largest = _mm512_setzero_ps();
            let parts = values.as_chunks::<LANES>().0;
            for (x, to) in parts.iter().zip(q.row.as_chunks_mut::<LANES>().0) {
                let x = of(load(x));
                largest = _mm512_max_ps(_mm512_abs_ps(x), largest);
                store(x, to);
            }
            let inverse = _mm512_set1_ps(rows::steps(_mm512_reduce_max_ps(largest), &mut q.scale));
            let mut sum = _mm512_setzero_si512();
            let parts = q.row.as_chunks::<LANES>().0;
            for (x, to) in parts.iter().zip(codes.as_chunks_mut::<LANES>().0) {
                let code = _mm512_cvtps_epi32(_mm512_mul_ps(load(x), inverse));
                sum = _mm512_add_epi32(sum, code);
                // Sixteen codes are the 16 bytes that are written.
                _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(code));
            }
            q.sum.push(_mm512_reduce_add_epi32(sum));
        }
    }
}

/// [`super::portable::quick_gelu`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn quick_gelu(x: __m512) -> __m512 {
    let power = exp(_mm512_mul_ps(_mm512_set1_ps(-1.702), x));
    _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0), power))
}

/// [`super::portable::gelu`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn gelu(x: __m512) -> __m512 {
    let constant = |x: f32| _mm512_set1_ps(x);
    let one = constant(1.0);
    let z = _mm512_mul_ps(x, constant(std::f32::consts::FRAC_1_SQRT_2));
    let size = _mm512_mul_ps(constant(0.327_591_1), _mm512_abs_ps(z));
    let t = _mm512_div_ps(one, _mm512_add_ps(one, size));
    let mut poly = constant(1.061_405_4);
    for term in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        poly = _mm512_add_ps(constant(term), _mm512_mul_ps(t, poly));
    }
    let square = _mm512_mul_ps(z, z);
    let power = exp(_mm512_sub_ps(constant(-0.0), square));
    let size = _mm512_sub_ps(one, _mm512_mul_ps(_mm512_mul_ps(t, poly), power));
    // The sign of z, the rest of |erf z|.
    let sign = _mm512_set1_epi32(i32::MIN);
    const CHOSEN: i32 = 0b1101_1000;
    let erf = _mm512_ternarylogic_epi32::<CHOSEN>(
        _mm512_castps_si512(size),
        _mm512_castps_si512(z),
        sign,
    );
    let erf = _mm512_castsi512_ps(erf);
    _mm512_mul_ps(_mm512_mul_ps(constant(0.5), x), _mm512_add_ps(one, erf))
}
