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

/// What a row of scores is filled up to.
const STRIDE: usize = 64;

/// |v| ≤ 4095 in codes.
pub(super) const MOST_VALUE: f32 = 4095.0;
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

/// Some queries of a head.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub shape: AttentionShape,
    pub head: usize,
    /// The first query.
    pub first: usize,
    /// How many there are.
    pub rows: usize,
    /// Keys that are seen by one of them: the first ones.
    pub seen: usize,
}

impl Block {
    /// Scores of a row, which may be no keys' at the end.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        stride(self.shape.t)
    }

    /// Keys that are looked at, whole lanes.
    #[inline(always)]
    pub fn lanes(&self) -> usize {
        self.seen.next_multiple_of(2 * LANES)
    }

    /// Where the output of row `row` has this head's columns `columns`.
    #[inline(always)]
    pub fn place(&self, row: usize, columns: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let AttentionShape { heads, d, .. } = self.shape;
        let start = ((self.first + row) * heads + self.head) * d;
        start + columns.start..start + columns.end
    }
}

/// What tables do in their own ways.
pub(super) trait Steps {
    /// The most queries of a block.
    const ROWS: usize;

    /// The codes of a head.
    fn code(&self, qkv: [&[f32]; 3], shape: AttentionShape, head: usize, s: &mut AttentionScratch);

    /// The scores of a block's queries with all keys that are seen: the first ones of each of `s.scores`' rows.
    fn score(&self, block: Block, s: &mut AttentionScratch);

    /// [`weights`] of a block's scores.
    fn weigh(&self, block: Block, s: &mut AttentionScratch);

    /// Weights times values into the output.
    fn mix(&self, block: Block, s: &mut AttentionScratch, out: &mut [f32]);
}

#[inline(always)]
fn stride(t: usize) -> usize {
    t.next_multiple_of(STRIDE)
}

/// The largest code of a query or key of `d` numbers.
#[inline(always)]
pub(super) fn most_query(d: usize) -> f32 {
    (2f32.powi(31) / d as f32).sqrt().floor().min(32_000.0) - 1.0
}

/// What numbers are multiplied by to become codes as large as `most`, and what a step of them is worth.
#[inline(always)]
pub(super) fn code_scales(largest: f32, most: f32) -> [f32; 2] {
    let inverse = if largest > 0.0 { most / largest } else { 0.0 };
    [inverse, largest / most]
}

/// The codes of a row, as large as `most`, and their scale.
#[inline(always)]
fn code_row(values: &[f32], most: f32, codes: &mut [i16]) -> f32 {
    let [inverse, scale] = code_scales(largest_magnitude(values), most);
    for (code, x) in codes.iter_mut().zip(values) {
        *code = nearest(x * inverse) as i16;
    }
    scale
}

/// What a row's weights are multiplied by to become codes, and what a step of them is worth: the weights' largest and sum, and the
/// sum of what they were before the values' scales.
#[inline(always)]
pub(super) fn weight_scales(most: f32, total: f32, powers: f32) -> [f32; 2] {
    if total <= 0.0 {
        return [0.0; 2];
    }
    let scale = (MOST_WEIGHT / total).min(32_767.0 / most);
    [scale, 1.0 / (scale * powers)]
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
    let most = most_query(d);
    let pairs = t.div_ceil(2);
    s.query.resize(t * dp);
    s.query_scale.resize(t);
    s.key_scale.resize(t.next_multiple_of(2 * LANES));
    s.value_scale.resize(t.next_multiple_of(2 * LANES));
    s.value_scale[t..].fill(0.0);
    s.keys.resize(t.div_ceil(NR) * NR * dp);
    s.values.resize(d.div_ceil(NR) * NR * 2 * pairs);
    s.row.resize(dp);
    for (token, row) in q.chunks_exact(width).enumerate() {
        let codes = &mut s.query[token * dp..][..dp];
        codes[d..].fill(0);
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
    s.row.resize(2 * dn);
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

/// Rows of scores to codes of the values' weights; what a step of them is worth takes the place of `scales`.
#[inline(always)]
pub(super) fn weights(block: Block, s: &mut AttentionScratch) {
    let (stride, lanes) = (block.stride(), block.lanes());
    let scores = &mut s.scores[..block.rows * stride];
    let scales = &mut s.scales[..block.rows];
    // Loops of one thing each are what the compiler makes vectors of, and a row's sum waits for no other row's.
    for (row, most) in scores.chunks(stride).zip(scales.iter_mut()) {
        *most = largest(&row[..lanes]);
    }
    for (row, most) in scores.chunks_mut(stride).zip(&*scales) {
        row[..lanes].iter_mut().for_each(|x| *x = exp(*x - most));
    }
    for (row, powers) in scores.chunks(stride).zip(scales.iter_mut()) {
        *powers = sum(&row[..lanes]);
    }
    for row in scores.chunks_mut(stride) {
        for (x, scale) in row[..lanes].iter_mut().zip(&*s.value_scale) {
            *x *= scale;
        }
    }
    let rows = scores.chunks(stride).zip(s.weights.chunks_mut(stride));
    for ((row, codes), to) in rows.zip(scales) {
        let (row, codes) = (&row[..lanes], &mut codes[..lanes]);
        let [scale, step] = weight_scales(largest(row), sum(row), *to);
        for (code, x) in codes.iter_mut().zip(row) {
            *code = nearest(*x * scale) as i16;
        }
        *to = step;
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

/// Codes in panels of `NR` columns, `MR` queries at a time. `dots(a, stride, pairs, panel, out)` are the sums over `pairs` pairs of
/// rows of `a` with the panel's columns, a row of `out` each; `weigh` is [`weights`], or the same by other means.
pub(super) struct Panels<const MR: usize, const NR: usize, D, W> {
    pub dots: D,
    pub weigh: W,
}

impl<const MR: usize, const NR: usize, D, W> Steps for Panels<MR, NR, D, W>
where
    D: Fn(&[i16], usize, usize, &[i16], &mut [[i32; NR]]),
    W: Fn(Block, &mut AttentionScratch),
{
    const ROWS: usize = MR;

    #[inline(always)]
    fn code(&self, qkv: [&[f32]; 3], shape: AttentionShape, head: usize, s: &mut AttentionScratch) {
        code_head::<NR>(qkv, shape, head, s);
        s.products.resize(MR * shape.t.next_multiple_of(NR));
    }

    #[inline(always)]
    fn score(&self, block: Block, s: &mut AttentionScratch) {
        let AttentionShape { t, d, .. } = block.shape;
        let (dp, columns) = (d.next_multiple_of(2), t.next_multiple_of(NR));
        let (panels, stride) = (block.seen.div_ceil(NR), block.stride());
        let query = &s.query[block.first * dp..];
        let mut sums = [[0i32; NR]; MR];
        for panel in 0..panels {
            let keys = &s.keys[panel * NR * dp..][..NR * dp];
            (self.dots)(query, dp, dp / 2, keys, &mut sums[..block.rows]);
            // A row's products together, so that one loop goes over all of them.
            for (row, sums) in sums.iter().enumerate().take(block.rows) {
                s.products[row * columns + panel * NR..][..NR].copy_from_slice(sums);
            }
        }
        for row in 0..block.rows {
            let scale = s.query_scale[block.first + row];
            let scores = &mut s.scores[row * stride..][..stride];
            let products = &s.products[row * columns..][..panels * NR];
            for (to, (from, key)) in scores.iter_mut().zip(products.iter().zip(&*s.key_scale)) {
                *to = *from as f32 * (scale * key);
            }
        }
    }

    #[inline(always)]
    fn weigh(&self, block: Block, s: &mut AttentionScratch) {
        (self.weigh)(block, s);
    }

    #[inline(always)]
    fn mix(&self, block: Block, s: &mut AttentionScratch, out: &mut [f32]) {
        let AttentionShape { t, d, .. } = block.shape;
        let pairs = t.div_ceil(2);
        let mut sums = [[0i32; NR]; MR];
        for panel in 0..d.div_ceil(NR) {
            let values = &s.values[panel * pairs * 2 * NR..][..pairs * 2 * NR];
            let sums = &mut sums[..block.rows];
            (self.dots)(
                &s.weights,
                block.stride(),
                block.seen.div_ceil(2),
                values,
                sums,
            );
            let columns = panel * NR..(panel * NR + NR).min(d);
            for (row, sums) in sums.iter().enumerate() {
                let mixed = scaled(sums, s.scales[row]);
                let to = &mut out[block.place(row, columns.clone())];
                match to.as_mut_array::<NR>() {
                    Some(to) => *to = mixed,
                    None => to.copy_from_slice(&mixed[..columns.len()]),
                }
            }
        }
    }
}

/// `q`, `k`, `v`, `out` are `[t, heads, d]`, the additive mask is `[t, t]`.
#[inline(always)]
pub(super) fn attention<S: Steps>(
    steps: &S,
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    s: &mut AttentionScratch,
) {
    let AttentionShape {
        t, heads, causal, ..
    } = shape;
    let stride = stride(t);
    s.scores.resize(S::ROWS * stride);
    s.weights.resize(S::ROWS * stride);
    s.scales.resize(S::ROWS);
    for head in 0..heads {
        steps.code(qkv, shape, head, s);
        for first in (0..t).step_by(S::ROWS) {
            let rows = S::ROWS.min(t - first);
            let seen = if causal { first + rows } else { t };
            let block = Block {
                shape,
                head,
                first,
                rows,
                seen,
            };
            steps.score(block, s);
            for row in 0..rows {
                let scores = &mut s.scores[row * stride..][..block.lanes()];
                let own = if causal { first + row + 1 } else { t };
                if let Some(mask) = mask {
                    let mask = &mask[(first + row) * t..][..own];
                    scores.iter_mut().zip(mask).for_each(|(x, mask)| *x += mask);
                }
                scores[own..].fill(f32::NEG_INFINITY);
            }
            steps.weigh(block, s);
            steps.mix(block, s, out);
        }
    }
}
