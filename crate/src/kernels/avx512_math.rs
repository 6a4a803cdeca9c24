//! AVX-512's arithmetic of sixteen lanes, to the bit that of [`super::portable`].

use core::arch::x86_64::*;

use super::portable::LANES;

/// [`super::portable::exp`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn exp(x: __m512) -> __m512 {
    let constant = |x: f32| _mm512_set1_ps(x);
    let round = constant(12_582_912.0);
    let z = _mm512_mul_ps(x, constant(std::f32::consts::LOG2_E));
    let z = _mm512_min_ps(_mm512_max_ps(z, constant(-125.0)), constant(125.0));
    let shifted = _mm512_add_ps(z, round);
    let f = _mm512_sub_ps(z, _mm512_sub_ps(shifted, round));
    let step = |sum: __m512, next: f32| _mm512_add_ps(constant(next), _mm512_mul_ps(f, sum));
    let power = step(constant(0.001_330_060_5), 0.009_669_691);
    let power = step(step(power, 0.055_505_585), 0.240_222_83);
    let power = step(step(power, std::f32::consts::LN_2), 1.0);
    let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(power), n))
}

/// Σ of the lanes in the order of [`super::portable::folded`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn sum(lanes: __m512) -> f32 {
    let upper = _mm256_castsi256_ps(_mm512_extracti64x4_epi64::<1>(_mm512_castps_si512(lanes)));
    let eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), upper);
    let four = _mm_add_ps(
        _mm256_castps256_ps128(eight),
        _mm256_extractf128_ps::<1>(eight),
    );
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

#[target_feature(enable = "avx512f")]
pub(super) fn load(values: &[f32; LANES]) -> __m512 {
    // SAFETY: sixteen floats are the 64 bytes that are read.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
pub(super) fn store(values: __m512, to: &mut [f32; LANES]) {
    // SAFETY: sixteen floats are the 64 bytes that are written.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) }
}

/// [`super::portable::quick_gelu`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn quick_gelu(x: __m512) -> __m512 {
    let power = exp(_mm512_mul_ps(_mm512_set1_ps(-1.702), x));
    _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0), power))
}

/// [`super::portable::gelu`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn gelu(x: __m512) -> __m512 {
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

/// [`super::portable::gelu_tanh`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn gelu_tanh(x: __m512) -> __m512 {
    let one = _mm512_set1_ps(1.0);
    let cubic = _mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(0.044_715), x), x);
    let inner = _mm512_mul_ps(_mm512_set1_ps(-1.595_769), x);
    let power = exp(_mm512_mul_ps(inner, _mm512_add_ps(one, cubic)));
    _mm512_div_ps(x, _mm512_add_ps(one, power))
}
