//! AVX-512's rows of activations: [`rows::quantise`] to the bit, in fewer passes.

use core::arch::x86_64::*;

use super::avx512_math::{gelu, gelu_tanh, load, quick_gelu, store, sum};
use super::packed::{Layout, Rows};
use super::portable::LANES;
use super::{Activation, Before, Norm, rows};

/// [`rows::quantise`] for quads.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
pub(super) fn quantise(a: &[f32], k: usize, before: Before, layout: Layout, q: &mut Rows) {
    if !k.is_multiple_of(LANES) {
        return rows::quantise(a, k, before, layout, q);
    }
    match before {
        Before::Nothing => by_rows(a, k, layout, q, |x, of, to, most| {
            each(x, of, to, most, |x| x)
        }),
        Before::Norm(norm) => {
            by_rows(a, k, layout, q, |x, of, to, most| {
                normalise(x, of, norm, to, most)
            });
        }
        Before::Activation(Activation::QuickGelu) => {
            by_rows(a, k, layout, q, |x, of, to, most| {
                each(x, of, to, most, |x| quick_gelu(x))
            });
        }
        Before::Activation(Activation::Gelu) => {
            by_rows(a, k, layout, q, |x, of, to, most| {
                each(x, of, to, most, |x| gelu(x))
            });
        }
        Before::Activation(Activation::GeluTanh) => {
            by_rows(a, k, layout, q, |x, of, to, most| {
                each(x, of, to, most, |x| gelu_tanh(x))
            });
        }
    }
}

/// Rows that take each step together, so that none waits for its own last one.
const TOGETHER: usize = 8;

/// Sixteen numbers of a row.
type Part = [f32; LANES];

/// `make(x, of, to, largest)` makes what is quantised of some rows `x` of `of` parts, and what is the largest magnitude of each.
#[inline(always)]
fn by_rows(
    a: &[f32],
    k: usize,
    layout: Layout,
    q: &mut Rows,
    make: impl Fn(&[Part], usize, &mut [Part], &mut [__m512; TOGETHER]),
) {
    rows::make_room(a.len() / k, k, layout, q);
    q.row.resize(TOGETHER * k);
    let rows = a.chunks(TOGETHER * k);
    for (x, codes) in rows.zip(q.narrow.chunks_mut(TOGETHER * k)) {
        let to = q.row[..x.len()].as_chunks_mut().0;
        // SAFETY: called by functions that have these instructions alone.
        unsafe {
            let mut largest = [_mm512_setzero_ps(); TOGETHER];
            make(x.as_chunks().0, k / LANES, to, &mut largest);
            let largest = largest.map(|lanes| _mm512_reduce_max_ps(lanes));
            let rows = to.chunks_exact(k / LANES).zip(largest);
            for ((row, largest), codes) in rows.zip(codes.chunks_exact_mut(k)) {
                let inverse = rows::steps(largest, &mut q.scale);
                q.sum.push(code(row, inverse, codes.as_chunks_mut().0));
            }
        }
    }
}

/// `change` of each number. In one loop with the search for the largest: a division is not waited for.
#[inline(always)]
fn each(
    x: &[Part],
    of: usize,
    to: &mut [Part],
    largest: &mut [__m512; TOGETHER],
    change: impl Fn(__m512) -> __m512,
) {
    let rows = x.chunks_exact(of).zip(to.chunks_exact_mut(of));
    for ((x, to), largest) in rows.zip(largest) {
        // SAFETY: called by functions that have these instructions alone.
        unsafe {
            for (x, to) in x.iter().zip(to) {
                let x = change(load(x));
                *largest = _mm512_max_ps(_mm512_abs_ps(x), *largest);
                store(x, to);
            }
        }
    }
}

/// Codes, and their sum.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn code(values: &[Part], inverse: f32, codes: &mut [[i8; LANES]]) -> i32 {
    let inverse = _mm512_set1_ps(inverse);
    let mut sum = _mm512_setzero_si512();
    for (x, to) in values.iter().zip(codes) {
        let code = _mm512_cvtps_epi32(_mm512_mul_ps(load(x), inverse));
        sum = _mm512_add_epi32(sum, code);
        // SAFETY: sixteen codes are the 16 bytes that are written.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(code)) };
    }
    _mm512_reduce_add_epi32(sum)
}

/// `rows::normalise`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
fn normalise(x: &[Part], of: usize, norm: Norm, to: &mut [Part], largest: &mut [__m512; TOGETHER]) {
    let n = (of * LANES) as f32;
    let (mut means, mut inverses) = ([0f32; TOGETHER], [0f32; TOGETHER]);
    for (x, mean) in x.chunks_exact(of).zip(&mut means) {
        let mut total = _mm512_setzero_ps();
        for x in x {
            total = _mm512_add_ps(total, load(x));
        }
        *mean = sum(total) / n;
    }
    for ((x, mean), inverse) in x.chunks_exact(of).zip(means).zip(&mut inverses) {
        let mut squares = _mm512_setzero_ps();
        for x in x {
            let off = _mm512_sub_ps(load(x), _mm512_set1_ps(mean));
            squares = _mm512_add_ps(squares, _mm512_mul_ps(off, off));
        }
        *inverse = 1.0 / (sum(squares) / n + norm.epsilon).sqrt();
    }
    let (scale, bias) = (norm.scale.as_chunks().0, norm.bias.as_chunks().0);
    let rows = x.chunks_exact(of).zip(to.chunks_exact_mut(of));
    for (((x, to), largest), (mean, inverse)) in
        rows.zip(largest).zip(means.into_iter().zip(inverses))
    {
        let (mean, inverse) = (_mm512_set1_ps(mean), _mm512_set1_ps(inverse));
        for ((x, to), (scale, bias)) in x.iter().zip(to).zip(scale.iter().zip(bias)) {
            let normal = _mm512_mul_ps(_mm512_sub_ps(load(x), mean), inverse);
            let x = _mm512_add_ps(_mm512_mul_ps(normal, load(scale)), load(bias));
            *largest = _mm512_max_ps(_mm512_abs_ps(x), *largest);
            store(x, to);
        }
    }
}
