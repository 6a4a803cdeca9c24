//! A convolution whose filters overlap or reach beyond the image, as an operator of ours in int8.
//!
//! ```text
//! [1, c, h, w] ─▶ pixels [h + border, w + border, c] ─▶ some places at a time: what a filter sees there, a row
//!              ─▶ int8 ─ multiply ─▶ [places, n] ─▶ [1, n, down, across]
//! ```

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::Conv;

use super::filters::Filters;
use super::ops::{Scratch, Table, filled, values, with_scratch};
use super::pattern::Patch;
use crate::kernels::{Aligned, Before, PackedI8, Then};

/// Values that are gathered at a time: they stay in a cache while they are made integers.
const GATHERED: usize = 16_384;

/// `[1, channels, height, width]` → `[1, n, down, across]`, or what has as many values in that order.
#[derive(Debug, Clone)]
pub(super) struct Convolution {
    /// Rows in the order y, x, channel.
    weights: Arc<PackedI8>,
    /// Channels, height, width of the image.
    image: [usize; 3],
    /// Height and width of a filter.
    size: [usize; 2],
    stride: [usize; 2],
    /// Zeros above and left of the image.
    before: [usize; 2],
    /// Places, down and across.
    grid: [usize; 2],
    /// The output's.
    shape: TVec<usize>,
    table: Table,
}

impl PartialEq for Convolution {
    fn eq(&self, other: &Self) -> bool {
        let shape = |one: &Self| (one.image, one.size, one.stride, one.before, one.grid);
        Arc::ptr_eq(&self.weights, &other.weights) && shape(self) == shape(other)
    }
}

impl Eq for Convolution {}

impl Hash for Convolution {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.weights) as usize).hash(state);
    }
}

impl Convolution {
    /// With filters of one pixel, over `places` of them: `[…, k, places]` → `shape`, `[…, n, places]`.
    pub fn pointwise(
        weights: Arc<PackedI8>,
        places: usize,
        shape: TVec<usize>,
        table: Table,
    ) -> Self {
        Self {
            image: [weights.k(), 1, places],
            weights,
            size: [1, 1],
            stride: [1, 1],
            before: [0, 0],
            grid: [1, places],
            shape,
            table,
        }
    }

    /// Height and width of what all filters see: the image with the zeros around it.
    fn seen(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = (self.grid[axis] - 1) * self.stride[axis] + self.size[axis];
            reach.max(self.before[axis] + self.image[axis + 1])
        })
    }

    /// The image with its border, all channels of a pixel together.
    fn pixels(&self, x: &[f32], pixels: &mut Aligned<f32>) {
        let ([channels, height, width], [tall, wide]) = (self.image, self.seen());
        let [above, left] = self.before;
        pixels.resize(tall * wide * channels);
        pixels.fill(0.0);
        for y in 0..height {
            let row = &mut pixels[((above + y) * wide + left) * channels..][..width * channels];
            for channel in 0..channels {
                let from = &x[(channel * height + y) * width..][..width];
                let to = row[channel..].iter_mut().step_by(channels);
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }

    fn run(&self, x: &[f32], out: &mut [f32], scratch: &mut Scratch) {
        let ([channels, ..], [_, wide]) = (self.image, self.size);
        let ([_, width], [down, across]) = (self.seen(), self.grid);
        let (kernels, k, n) = (self.table.0, self.weights.k(), self.weights.n());
        let Scratch { rows, between, .. } = scratch;
        let [pixels, gathered, products, _] = between;
        self.pixels(x, pixels);
        let (places, at_once) = (down * across, (GATHERED / k).max(1).next_multiple_of(12));
        for first in (0..places).step_by(at_once) {
            let count = at_once.min(places - first);
            gathered.resize(count * k);
            for (patch, place) in gathered.chunks_exact_mut(k).zip(first..) {
                let (y, x) = (
                    place / across * self.stride[0],
                    place % across * self.stride[1],
                );
                for (to, y) in patch.chunks_exact_mut(wide * channels).zip(y..) {
                    to.copy_from_slice(&pixels[(y * width + x) * channels..][..to.len()]);
                }
            }
            kernels.quantise(gathered, k, Before::Nothing, rows);
            products.resize(count * n);
            kernels.multiply(rows, &self.weights, Then::Store, products);
            for (filter, out) in out.chunks_exact_mut(places).enumerate() {
                let from = products[filter..].iter().step_by(n);
                let to = &mut out[first..first + count];
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

impl Op for Convolution {
    fn name(&self) -> StaticName {
        "Convolution".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Convolution {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let x = values(&inputs[0])?;
        filled(&self.shape, |out| {
            with_scratch(|scratch| self.run(x, out, scratch));
        })
    }
}

impl TypedOp for Convolution {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&*self.shape)))
    }

    as_op!();
}

/// A convolution with a constant kernel → [`Convolution`].
pub(super) fn rule(
    table: &Table,
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &Conv,
) -> Patch {
    let Some(filters) = Filters::of(model, node, op)? else {
        return Ok(None);
    };
    let [channels, height, width] = filters.image;
    let padding = op.pool_spec.computed_padding(&[height, width]);
    let [tall, wide] = filters.size;
    let (stride, [above, left]) = (op.pool_spec.strides(), [0, 1].map(|at| &padding[at]));
    if above.convoluted * left.convoluted < 2 {
        return Ok(None);
    }
    let op = Convolution {
        weights: filters.packed(table, |row| {
            let (pixel, channel) = (row / channels, row % channels);
            channel * tall * wide + pixel
        }),
        image: filters.image,
        size: filters.size,
        stride: [stride[0], stride[1]],
        before: [above.pad_before, left.pad_before],
        grid: [above.convoluted, left.convoluted],
        shape: tvec!(1, filters.n, above.convoluted, left.convoluted),
        table: *table,
    };
    let mut patch = TypedModelPatch::default();
    let x = patch.tap_model(model, node.inputs[0])?;
    let made = patch.wire_node(format!("{name}.convolution"), op, &[x])?;
    patch.shunt_outside(model, node.id.into(), made[0])?;
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Kernels;

    /// What the definition says, in f64; the weights are `[n, y, x, channel]`.
    fn by_definition(op: &Convolution, weights: &[i8], x: &[f32]) -> Vec<f64> {
        let ([channels, height, width], [tall, wide]) = (op.image, op.size);
        let at = |channel: usize, y: usize, x_at: usize| {
            let (y, x_at) = (y.checked_sub(op.before[0]), x_at.checked_sub(op.before[1]));
            match (y, x_at) {
                (Some(y), Some(x_at)) if y < height && x_at < width => {
                    f64::from(x[(channel * height + y) * width + x_at])
                }
                _ => 0.0,
            }
        };
        let k = tall * wide * channels;
        let filter = |filter: usize, down: usize, across: usize| {
            let product = |row: usize| {
                let (pixel, channel) = (row / channels, row % channels);
                let y = down * op.stride[0] + pixel / wide;
                let x = across * op.stride[1] + pixel % wide;
                f64::from(weights[filter * k + row]) * at(channel, y, x)
            };
            (0..k).map(product).sum::<f64>()
        };
        let mut out = Vec::new();
        for n in 0..op.weights.n() {
            for place in 0..op.grid[0] * op.grid[1] {
                out.push(filter(n, place / op.grid[1], place % op.grid[1]));
            }
        }
        out
    }

    #[test]
    fn strides_borders_and_many_places_are_those_of_the_definition() {
        // Channels, height, width; filters; their size; stride; border above and left; places.
        let shapes = [
            ([7, 9, 6], 5, [3, 2], [2, 1], [1, 0], [5, 5]),
            ([3, 5, 5], 17, [3, 3], [1, 1], [1, 1], [5, 5]),
            // The last row and column are not reached.
            ([4, 8, 8], 3, [3, 3], [2, 2], [0, 0], [3, 3]),
            // In several portions.
            ([40, 20, 21], 4, [3, 3], [1, 1], [1, 1], [20, 21]),
            ([64, 1, 30], 9, [1, 1], [1, 1], [0, 0], [1, 30]),
        ];
        for (image, n, size, stride, before, grid) in shapes {
            let k = image[0] * size[0] * size[1];
            let noise = |at: usize| (at * 7919 % 255) as i32 - 127;
            let weights: Vec<i8> = (0..n * k).map(|at| noise(at) as i8).collect();
            let x: Vec<f32> = (0..image.iter().product())
                .map(|at: usize| noise(at * 31 + 5) as f32 / 100.0)
                .collect();
            let rows: Vec<i8> = (0..k * n).map(|at| weights[at % n * k + at / n]).collect();
            let kernels = Kernels::best().exact();
            let op = Convolution {
                weights: Arc::new(kernels.pack_i8(&rows, k, n, &vec![1.0; n], None)),
                image,
                size,
                stride,
                before,
                grid,
                shape: tvec!(1, n, grid[0], grid[1]),
                table: Table(kernels),
            };
            let mut out = vec![f32::NAN; n * grid[0] * grid[1]];
            op.run(&x, &mut out, &mut Scratch::default());
            let want = by_definition(&op, &weights, &x);
            // Half a step of a value is 0.005; a random walk of k steps of 127 at most stays within this.
            let bound = 3.0 * 0.005 * 127.0 * (k as f64).sqrt();
            for (got, want) in out.iter().zip(&want) {
                assert!(
                    (f64::from(*got) - want).abs() < bound,
                    "{image:?}: {got}, {want}"
                );
            }
            assert!(want.iter().any(|sum| sum.abs() > 3.0 * bound), "{image:?}");
        }
    }
}
