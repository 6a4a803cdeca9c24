//! AVX-512's softmax of a block of scores: [`attention::weights`] to the bit, in three passes over them.

use core::arch::x86_64::*;

use super::attention::{Block, weight_scales};
use super::avx512::load;
use super::packed::AttentionScratch;

/// Floats of a register.
const WIDE: usize = 16;
/// The most queries of a block.
pub(super) const MOST_ROWS: usize = 32;

/// [`super::attention::weights`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn weights(block: Block, s: &mut AttentionScratch) {
    let (stride, lanes) = (block.stride(), block.lanes());
    let weighed = weigh(block, s);
    for (row, scale) in weighed.iter().enumerate().take(block.rows) {
        let (codes, _) = s.weights[row * stride..][..lanes].as_chunks_mut::<WIDE>();
        let (row, _) = s.scores[row * stride..][..lanes].as_chunks::<WIDE>();
        let scale = _mm512_set1_ps(*scale);
        for (codes, x) in codes.iter_mut().zip(row) {
            let code = _mm512_cvtps_epi32(_mm512_mul_ps(load(x), scale));
            // SAFETY: sixteen codes are the 32 bytes that are written.
            unsafe {
                _mm256_storeu_si256(codes.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(code));
            }
        }
    }
}

/// Scores to weights that are no codes yet, and what makes codes of them, one a row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn weigh(block: Block, s: &mut AttentionScratch) -> [f32; MOST_ROWS] {
    let (stride, lanes) = (block.stride(), block.lanes());
    let mut scales = [0f32; MOST_ROWS];
    let rows = s.scores[..block.rows * stride].chunks_exact_mut(stride);
    // Each for all rows, so that none waits for another's last steps.
    for (row, most) in rows.zip(&mut scales) {
        let mut largest = _mm512_set1_ps(f32::NEG_INFINITY);
        for x in row[..lanes].as_chunks::<WIDE>().0 {
            largest = _mm512_max_ps(load(x), largest);
        }
        *most = _mm512_reduce_max_ps(largest);
    }
    let value_scale = s.value_scale[..lanes].as_chunks::<WIDE>().0;
    let rows = s.scores[..block.rows * stride].chunks_exact_mut(stride);
    for ((row, scale), step) in rows.zip(&mut scales).zip(s.scales.iter_mut()) {
        let most = _mm512_set1_ps(*scale);
        let (mut powers, mut total, mut largest) = (
            _mm512_setzero_ps(),
            _mm512_setzero_ps(),
            _mm512_setzero_ps(),
        );
        for (x, value) in row[..lanes]
            .as_chunks_mut::<WIDE>()
            .0
            .iter_mut()
            .zip(value_scale)
        {
            let power = exp(_mm512_sub_ps(load(x), most));
            let weight = _mm512_mul_ps(power, load(value));
            powers = _mm512_add_ps(powers, power);
            total = _mm512_add_ps(total, weight);
            largest = _mm512_max_ps(weight, largest);
            store(weight, x);
        }
        [*scale, *step] = weight_scales(_mm512_reduce_max_ps(largest), sum(total), sum(powers));
    }
    scales
}

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
    let power = step(constant(0.001_326_472_7), 0.009_671_513);
    let power = step(step(power, 0.055_507_336), 0.240_222_42);
    let power = step(step(power, 0.693_147), 1.0);
    let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
    _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(power), n))
}

/// Σ of the lanes in the order of [`super::portable::folded`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn sum(lanes: __m512) -> f32 {
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
pub(super) fn store(values: __m512, to: &mut [f32; WIDE]) {
    // SAFETY: sixteen floats are the 64 bytes that are written.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) }
}
