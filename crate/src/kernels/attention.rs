//! softmax(q·kᵀ·scale + mask)·v in 16-bit integers, a head and a few rows at a time.
//!
//! ```text
//! q, k            codes of a row, |code| ≤ √(2³¹ / d)      ─ dots ─▶ scores i32 ─ · scales ─▶ f32
//! v               codes of a row, |code| ≤ MOST_VALUE      ┐
//! eˣ · v's scale  codes of a row, Σ ≤ MOST_WEIGHT          ┴ dots ─▶ i32 ─ · scale / Σ eˣ ─▶ out
//! panel p of keys (columns of the scores) or values (columns of the output): pairs of the summed axis
//!   x₀c₀ x₁c₀ x₀c₁ x₁c₁ … │ x₂c₀ x₃c₀ …
//! ```
//! No sum leaves 32 bits, all sums of floats have one order, and nothing is fused: every table comes to
//! the same bits, and what a token does not see changes none of its own. Codes have 12 bits and more: what
//! comes out is within 4·10⁻⁴ of the largest value.

use super::packed::AttentionScratch;
use super::portable::{LANES, exp, folded, larger, largest_magnitude, nearest};

/// |v| ≤ 4095 in codes.
const MOST_VALUE: f32 = 4095.0;
/// Σ of a row's weights in codes: 500,000 · 4095 < 2³¹, and room for rounding.
const MOST_WEIGHT: f32 = 500_000.0;
/// The most tokens: half a code each is what rounding can add.
pub(super) const MOST_TOKENS: usize = 32_768;

/// The shape of one attention: `t` tokens, `heads` heads of `d`; scores are scaled by `scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Tokens.
    pub t: usize,
    /// Heads.
    pub heads: usize,
    /// Length of a head's query, key and value.
    pub d: usize,
    /// What scores are multiplied by before the softmax, usually 1/√d.
    pub scale: f32,
    /// Whether a token sees only itself and those before it.
    pub causal: bool,
}

/// The codes of a row, as large as `most`, and their scale.
#[inline(always)]
fn code_row(values: &[f32], most: f32, codes: &mut [i16]) -> f32 {
    let largest = largest_magnitude(values);
    let inverse = if largest > 0.0 { most / largest } else { 0.0 };
    for (code, x) in codes.iter_mut().zip(values) {
        *code = nearest(x * inverse) as i16;
    }
    largest / most
}

/// Queries as rows of codes, keys and values as panels.
#[inline(always)]
fn code_head<const NR: usize>(
    [q, k, v]: [&[f32]; 3],
    shape: AttentionShape,
    head: usize,
    s: &mut AttentionScratch,
) {
    let AttentionShape { t, heads, d, .. } = shape;
    let (width, at, dp) = (heads * d, head * d, d.next_multiple_of(2));
    let most = (2f32.powi(31) / d as f32).sqrt().floor().min(32_000.0) - 1.0;
    let pairs = t.div_ceil(2);
    s.query.resize(t * dp, 0);
    s.query_scale.resize(t, 0.0);
    s.key_scale.resize(t.next_multiple_of(2 * LANES), 0.0);
    s.value_scale.resize(t.next_multiple_of(2 * LANES), 0.0);
    s.keys.resize(t.div_ceil(NR) * NR * dp, 0);
    s.values.resize(d.div_ceil(NR) * NR * 2 * pairs, 0);
    s.row.resize(dp, 0);
    for (token, row) in q.chunks_exact(width).enumerate() {
        let codes = &mut s.query[token * dp..][..dp];
        s.query_scale[token] = code_row(&row[at..at + d], most, codes) * shape.scale;
    }
    for (token, row) in k.chunks_exact(width).enumerate() {
        s.key_scale[token] = code_row(&row[at..at + d], most, &mut s.row);
        let panel = &mut s.keys[token / NR * NR * dp + token % NR * 2..];
        for (to, from) in panel.chunks_mut(2 * NR).zip(s.row.chunks_exact(2)) {
            to[..2].copy_from_slice(from);
        }
    }
    let dn = d.next_multiple_of(NR);
    s.row.resize(2 * dn, 0);
    let (even, odd) = s.row.split_at_mut(dn);
    for (pair, rows) in v.chunks(2 * width).enumerate() {
        let scales = &mut s.value_scale[2 * pair..];
        scales[0] = code_row(&rows[at..at + d], MOST_VALUE, even);
        if rows.len() > width {
            scales[1] = code_row(&rows[width + at..][..d], MOST_VALUE, odd);
        } else {
            odd.fill(0);
        }
        let columns = even.as_chunks::<NR>().0.iter().zip(odd.as_chunks::<NR>().0);
        for (panel, (even, odd)) in columns.enumerate() {
            let to = &mut s.values[(panel * pairs + pair) * 2 * NR..][..2 * NR];
            for (to, codes) in to
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .zip(even.iter().zip(odd))
            {
                *to = [*codes.0, *codes.1];
            }
        }
    }
}

/// Σ of whole lanes.
#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    for part in values.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            sums[lane] += part[lane];
        }
    }
    folded(sums, |a, b| a + b)
}

/// The largest of whole lanes.
#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for part in values.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            largest[lane] = larger(part[lane], largest[lane]);
        }
    }
    folded(largest, larger)
}

/// Rows of `lanes` scores, of which the first `seen` are looked at, to codes of the values' weights; the scales of their sums.
/// `lanes` and `seen` are whole lanes.
#[inline(always)]
fn weights(
    scores: &mut [f32],
    [lanes, seen]: [usize; 2],
    value_scale: &[f32],
    codes: &mut [i16],
    scales: &mut [f32],
) {
    // Loops of one thing each are what the compiler makes vectors of, and a row's sum waits for no other row's.
    for (row, most) in scores.chunks(lanes).zip(scales.iter_mut()) {
        *most = largest(&row[..seen]);
    }
    for (row, most) in scores.chunks_mut(lanes).zip(&*scales) {
        row[..seen].iter_mut().for_each(|x| *x = exp(*x - most));
    }
    for (row, powers) in scores.chunks(lanes).zip(scales.iter_mut()) {
        *powers = sum(&row[..seen]);
    }
    for row in scores.chunks_mut(lanes) {
        for (x, scale) in row[..seen].iter_mut().zip(value_scale) {
            *x *= scale;
        }
    }
    let rows = scores.chunks(lanes).zip(codes.chunks_mut(lanes));
    for ((row, codes), to) in rows.zip(scales) {
        let (row, codes) = (&row[..seen], &mut codes[..seen]);
        let (most, total) = (largest(row), sum(row));
        if total <= 0.0 {
            codes.fill(0);
            *to = 0.0;
            continue;
        }
        let scale = (MOST_WEIGHT / total).min(32_767.0 / most);
        for (code, x) in codes.iter_mut().zip(row) {
            *code = nearest(*x * scale) as i16;
        }
        *to = 1.0 / (scale * *to);
    }
}

#[inline(always)]
fn scaled<const NR: usize>(sums: &[i32; NR], scale: f32) -> [f32; NR] {
    let mut out = [0.0; NR];
    for lane in 0..NR {
        out[lane] = sums[lane] as f32 * scale;
    }
    out
}

/// `q`, `k`, `v`, `out` are `[t, heads, d]`, the additive mask is `[t, t]`. `dots(a, stride, pairs, panel,
/// out)` are the sums over `pairs` pairs of rows of `a` with the panel's columns, a row of `out` each.
#[inline(always)]
pub(super) fn attention<const MR: usize, const NR: usize>(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    s: &mut AttentionScratch,
    dots: impl Fn(&[i16], usize, usize, &[i16], &mut [[i32; NR]]),
) {
    let AttentionShape { t, heads, d, .. } = shape;
    let (width, dp, pairs) = (heads * d, d.next_multiple_of(2), t.div_ceil(2));
    let lanes = t.next_multiple_of(2 * LANES);
    let mut sums = [[0i32; NR]; MR];
    let mut scales = [0f32; MR];
    let columns = t.next_multiple_of(NR);
    let wide = lanes.max(columns);
    s.scores.resize(MR * wide, 0.0);
    s.weights.resize(MR * wide, 0);
    s.products.resize(MR * columns, 0);
    for head in 0..heads {
        code_head::<NR>(qkv, shape, head, s);
        for first in (0..t).step_by(MR) {
            let rows = MR.min(t - first);
            let seen = if shape.causal { first + rows } else { t };
            let seen_lanes = seen.next_multiple_of(2 * LANES);
            let panels = seen.div_ceil(NR);
            let query = &s.query[first * dp..];
            for panel in 0..panels {
                let keys = &s.keys[panel * NR * dp..][..NR * dp];
                dots(query, dp, dp / 2, keys, &mut sums[..rows]);
                // A row's products together, so that one loop goes over all of them.
                for (row, sums) in sums.iter().enumerate().take(rows) {
                    s.products[row * columns + panel * NR..][..NR].copy_from_slice(sums);
                }
            }
            for row in 0..rows {
                let scale = s.query_scale[first + row];
                let scores = &mut s.scores[row * wide..][..seen_lanes.max(panels * NR)];
                let products = &s.products[row * columns..][..panels * NR];
                for (to, (from, key)) in scores.iter_mut().zip(products.iter().zip(&s.key_scale)) {
                    *to = *from as f32 * (scale * key);
                }
                let own = if shape.causal { first + row + 1 } else { t };
                if let Some(mask) = mask {
                    let mask = &mask[(first + row) * t..][..own];
                    scores.iter_mut().zip(mask).for_each(|(x, mask)| *x += mask);
                }
                scores[own..].fill(f32::NEG_INFINITY);
            }
            weights(
                &mut s.scores[..rows * wide],
                [wide, seen_lanes],
                &s.value_scale,
                &mut s.weights,
                &mut scales[..rows],
            );
            for panel in 0..d.div_ceil(NR) {
                let values = &s.values[panel * pairs * 2 * NR..][..pairs * 2 * NR];
                dots(
                    &s.weights,
                    wide,
                    seen.div_ceil(2),
                    values,
                    &mut sums[..rows],
                );
                let columns = NR.min(d - panel * NR);
                for row in 0..rows {
                    let mixed = scaled(&sums[row], scales[row]);
                    let to = &mut out[(first + row) * width + head * d + panel * NR..][..columns];
                    match to.as_mut_array::<NR>() {
                        Some(to) => *to = mixed,
                        None => to.copy_from_slice(&mixed[..columns]),
                    }
                }
            }
        }
    }
}
