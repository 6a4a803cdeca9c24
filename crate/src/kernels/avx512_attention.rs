//! AVX-512's softmax of a block of scores: [`super::attention::weights`] to the bit, in three passes over them.

use core::arch::x86_64::*;

use super::attention::{Block, weight_scales};
use super::avx512_math::{exp, load, store, sum};
use super::packed::AttentionScratch;
use super::portable::LANES;

/// The most queries of a block.
pub(super) const MOST_ROWS: usize = 32;

/// [`super::attention::weights`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn weights(block: Block, s: &mut AttentionScratch) {
    let (stride, lanes) = (block.stride(), block.lanes());
    let weighed = weigh(block, s);
    for (row, scale) in weighed.iter().enumerate().take(block.rows) {
        let (codes, _) = s.weights[row * stride..][..lanes].as_chunks_mut::<LANES>();
        let (row, _) = s.scores[row * stride..][..lanes].as_chunks::<LANES>();
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
        for x in row[..lanes].as_chunks::<LANES>().0 {
            largest = _mm512_max_ps(load(x), largest);
        }
        *most = _mm512_reduce_max_ps(largest);
    }
    let value_scale = s.value_scale[..lanes].as_chunks::<LANES>().0;
    let rows = s.scores[..block.rows * stride].chunks_exact_mut(stride);
    for ((row, scale), step) in rows.zip(&mut scales).zip(s.scales.iter_mut()) {
        let most = _mm512_set1_ps(*scale);
        let (mut powers, mut total, mut largest) = (
            _mm512_setzero_ps(),
            _mm512_setzero_ps(),
            _mm512_setzero_ps(),
        );
        for (x, value) in row[..lanes]
            .as_chunks_mut::<LANES>()
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
