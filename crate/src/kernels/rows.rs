//! Rows of activations: normalised, and in int8 for [`super::Kernels::multiply`].

use super::ENCODES;
use super::packed::{Layout, Rows};
use super::portable::{
    LANES, extent, folded, gelu, gelu_tanh, largest_magnitude, nearest, quick_gelu,
};

/// What normalises a row: (x − mean) / √(variance + ε) · scale + bias.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// One a column, γ.
    pub scale: &'a [f32],
    /// One a column, β.
    pub bias: &'a [f32],
    /// ε
    pub epsilon: f32,
}

/// What stands between two layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// [`super::Kernels::quick_gelu`].
    QuickGelu,
    /// [`super::Kernels::gelu`].
    Gelu,
    /// As `Gelu`, with Φ by tanh, as SigLIP was trained with.
    GeluTanh,
}

/// What happens to a row before it is quantised.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// Nothing.
    Nothing,
    /// It is normalised.
    Norm(Norm<'a>),
    /// It is the output of a layer with an activation.
    Activation(Activation),
}

impl Activation {
    #[inline(always)]
    fn apply(self, row: &mut [f32]) {
        match self {
            Self::QuickGelu => quick_gelu(row),
            Self::Gelu => gelu(row),
            Self::GeluTanh => gelu_tanh(row),
        }
    }
}

/// (x − mean) / √(variance + ε) · γ + β of a row (Ba, Kiros and Hinton 2016, "Layer Normalization").
#[inline(always)]
fn normalise(x: &[f32], norm: Norm, out: &mut [f32]) {
    let n = x.len() as f32;
    let mean = sum(x, |x| x) / n;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / n;
    let inverse = 1.0 / (variance + norm.epsilon).sqrt();
    let scales = norm.scale.iter().zip(norm.bias);
    for ((out, x), (scale, bias)) in out.iter_mut().zip(x).zip(scales) {
        *out = (x - mean) * inverse * scale + bias;
    }
}

/// Σ of(x), in an order that is the same on every machine.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (lanes, rest) = values.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for part in lanes {
        for lane in 0..LANES {
            sums[lane] += of(part[lane]);
        }
    }
    folded(sums, |a, b| a + b) + rest.iter().map(|x| of(*x)).sum::<f32>()
}

#[inline(always)]
pub(super) fn layer_norm(x: &[f32], norm: Norm, out: &mut [f32]) {
    let k = norm.scale.len();
    for (x, out) in x.chunks_exact(k).zip(out.chunks_exact_mut(k)) {
        normalise(x, norm, out);
    }
}

/// Quantises rows of `k`, each by its own extent: to int8, symmetrically; for sevens to [0, 127].
#[inline(always)]
pub(super) fn quantise(a: &[f32], k: usize, before: Before, layout: Layout, q: &mut Rows) {
    let kp = make_room(a.len() / k, k, layout, q);
    let wide = matches!(layout, Layout::Pairs { .. });
    for (at, values) in a.chunks_exact(k).enumerate() {
        let values = match before {
            Before::Nothing => values,
            _ if !ENCODES => unreachable!("a build that does not encode"),
            Before::Norm(norm) => {
                normalise(values, norm, &mut q.row);
                &q.row
            }
            Before::Activation(activation) => {
                q.row.copy_from_slice(values);
                activation.apply(&mut q.row);
                &q.row
            }
        };
        let place = at * kp..at * kp + kp;
        if let Layout::Sevens { .. } = layout {
            let (least, most) = extent(values);
            let inverse = steps(most - least, &mut q.scale);
            let zero = nearest(-least * inverse);
            q.zero.push(zero);
            code(values, inverse, &mut q.narrow[place], |q| {
                q.wrapping_add(zero).clamp(0, 127) as i8
            });
            continue;
        }
        let inverse = steps(largest_magnitude(values), &mut q.scale);
        q.sum.push(if wide {
            code(values, inverse, &mut q.wide[place], |q| q as i16)
        } else {
            code(values, inverse, &mut q.narrow[place], |q| q as i8)
        });
    }
}

/// Empties `q` for `m` rows of `k`; gives what `k` is filled up to.
#[inline(always)]
pub(super) fn make_room(m: usize, k: usize, layout: Layout, q: &mut Rows) -> usize {
    let kp = k.next_multiple_of(layout.step());
    q.k = k;
    q.scale.clear();
    q.sum.clear();
    q.zero.clear();
    q.row.resize(k);
    if let Layout::Pairs { .. } = layout {
        q.wide.resize(m * kp);
    } else {
        q.narrow.resize(m * kp);
    }
    kp
}

/// Notes what one of the 127 steps of `size` is worth; gives how many steps 1 is.
#[inline(always)]
pub(super) fn steps(size: f32, scale: &mut Vec<f32>) -> f32 {
    scale.push(size / 127.0);
    if size > 0.0 { 127.0 / size } else { 0.0 }
}

#[inline(always)]
fn code<T: Default>(values: &[f32], inverse: f32, out: &mut [T], cast: impl Fn(i32) -> T) -> i32 {
    let (real, filling) = out.split_at_mut(values.len());
    let mut sum = 0i32;
    for (q, x) in real.iter_mut().zip(values) {
        let rounded = nearest(x * inverse);
        sum = sum.wrapping_add(rounded);
        *q = cast(rounded);
    }
    filling.iter_mut().for_each(|q| *q = T::default());
    sum
}
