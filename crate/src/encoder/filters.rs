//! The constant filters of a convolution.

use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat};
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::ops::Table;
use super::pattern::{f32_values, known};
use super::rules::{MIN_K, MIN_N, quantise};
use crate::kernels::PackedI8;

/// Of a convolution over one image of a fixed size, all channels together.
pub(super) struct Filters {
    /// Channels, height, width of the image.
    pub image: [usize; 3],
    /// Height and width of a filter.
    pub size: [usize; 2],
    /// How many there are.
    pub n: usize,
    /// `[n, channels, height, width]`
    weights: Vec<f32>,
    /// `[n]`
    bias: Vec<f32>,
}

impl Filters {
    /// `None` where there is none of our kernels for it, or nothing to gain.
    pub fn of(model: &TypedModel, node: &TypedNode, op: &Conv) -> TractResult<Option<Self>> {
        let fact = model.outlet_fact(node.inputs[0])?;
        let (Some(&[1, channels, height, width]), &[tall, wide]) =
            (fact.shape.as_concrete(), &*op.pool_spec.kernel_shape)
        else {
            return Ok(None);
        };
        let plain = op.group == 1
            && op.q_params.is_none()
            && op.kernel_fmt == KernelFormat::OIHW
            && op.pool_spec.data_format == DataFormat::NCHW
            && op.pool_spec.dilations.iter().flatten().all(|n| *n == 1)
            && fact.datum_type == f32::datum_type();
        let (k, n) = (channels * tall * wide, op.pool_spec.output_channels);
        if !plain || k < MIN_K || n < MIN_N {
            return Ok(None);
        }
        let [kernel, bias] = [1, 2].map(|at| known(model, node.inputs[at], 4));
        let (Some(kernel), Some(bias)) = (kernel, bias) else {
            return Ok(None);
        };
        let bias = f32_values(&*bias.cast_to::<f32>()?)?;
        if kernel.len() != k * n || ![1, n].contains(&bias.len()) {
            return Ok(None);
        }
        Ok(Some(Self {
            image: [channels, height, width],
            size: [tall, wide],
            n,
            weights: f32_values(&*kernel.cast_to::<f32>()?)?,
            bias: bias.into_iter().cycle().take(n).collect(),
        }))
    }

    /// In int8; `place(row)` is where a filter has the weight of a row.
    pub fn packed(&self, table: &Table, place: impl Fn(usize) -> usize) -> Arc<PackedI8> {
        let k = self.weights.len() / self.n;
        let weight = |row: usize, column: usize| self.weights[column * k + place(row)];
        let all = (0..k).flat_map(|row| (0..self.n).map(move |column| (row, column)));
        let (q, scale) = quantise(&all.map(|(r, c)| weight(r, c)).collect::<Vec<_>>(), self.n);
        Arc::new(table.0.pack_i8(&q, k, self.n, &scale, Some(&self.bias)))
    }
}
