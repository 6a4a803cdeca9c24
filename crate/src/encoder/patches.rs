//! A convolution over patches that do not overlap, as an operator of ours: one linear layer in int8.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{Conv, PaddingSpec};

use super::filters::Filters;
use super::ops::{Table, filled, values, with_scratch};
use super::pattern::Patch;
use crate::kernels::{Aligned, Before, PackedI8, Then};

/// `[1, channels, height, width]` → `[1, patches, n]`, patches row by row.
#[derive(Debug, Clone)]
pub(super) struct Patches {
    weights: Arc<PackedI8>,
    /// Channels, height, width of the image.
    image: [usize; 3],
    /// Height and width of a patch.
    patch: [usize; 2],
    table: Table,
}

impl PartialEq for Patches {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.weights, &other.weights)
    }
}

impl Eq for Patches {}

impl Hash for Patches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.weights) as usize).hash(state);
    }
}

impl Patches {
    fn grid(&self) -> [usize; 2] {
        let ([_, height, width], [tall, wide]) = (self.image, self.patch);
        [height / tall, width / wide]
    }

    /// A patch a row, its values in the order of the filters' weights.
    fn gather(&self, x: &[f32], rows: &mut Aligned<f32>) {
        let [channels, height, width] = self.image;
        let ([tall, wide], [down, across]) = (self.patch, self.grid());
        rows.resize(down * across * channels * tall * wide);
        let mut lines = rows.chunks_exact_mut(wide);
        for row in 0..down {
            for column in 0..across {
                for channel in 0..channels {
                    let plane = &x[channel * height * width..];
                    for (y, line) in (row * tall..(row + 1) * tall).zip(&mut lines) {
                        line.copy_from_slice(&plane[y * width + column * wide..][..wide]);
                    }
                }
            }
        }
    }
}

impl Op for Patches {
    fn name(&self) -> StaticName {
        "Patches".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Patches {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (x, kernels, [down, across]) = (values(&inputs[0])?, self.table.0, self.grid());
        filled(&[1, down * across, self.weights.n()], |out| {
            with_scratch(|scratch| {
                self.gather(x, &mut scratch.between[0]);
                let (rows, k) = (&scratch.between[0], self.weights.k());
                kernels.quantise(rows, k, Before::Nothing, &mut scratch.rows);
                kernels.multiply(&scratch.rows, &self.weights, Then::Store, out);
            });
        })
    }
}

impl TypedOp for Patches {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [down, across] = self.grid();
        Ok(tvec!(f32::fact([1, down * across, self.weights.n()])))
    }

    as_op!();
}

/// Whether no filter reaches beyond the image or over another's place.
fn tiles(op: &Conv) -> bool {
    let pool = &op.pool_spec;
    let nothing = |sides: &TVec<usize>| sides.iter().all(|n| *n == 0);
    let unpadded = match &pool.padding {
        PaddingSpec::Valid => true,
        PaddingSpec::Explicit(before, after) | PaddingSpec::ExplicitOnnxPool(before, after, _) => {
            nothing(before) && nothing(after)
        }
        _ => false,
    };
    unpadded && pool.strides.as_ref() == Some(&pool.kernel_shape)
}

/// A convolution with a constant kernel, and the joining of its patches after it → [`Patches`].
pub(super) fn rule(
    table: &Table,
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &Conv,
) -> Patch {
    // Before the filters are read, which are many.
    if !tiles(op) {
        return Ok(None);
    }
    let Some(filters) = Filters::of(model, node, op)? else {
        return Ok(None);
    };
    let ([_, height, width], [tall, wide]) = (filters.image, filters.size);
    let whole = height.is_multiple_of(tall) && width.is_multiple_of(wide);
    let (n, patches) = (filters.n, (height / tall) * (width / wide));
    if !whole || patches < 2 {
        return Ok(None);
    }
    let op = Patches {
        weights: filters.packed(table, |row| row),
        image: filters.image,
        patch: filters.size,
        table: *table,
    };
    let [down, across] = op.grid();
    let mut patch = TypedModelPatch::default();
    let x = patch.tap_model(model, node.inputs[0])?;
    let made = patch.wire_node(format!("{name}.patches"), op, &[x])?[0];
    if let Some(joined) = joined(model, node, [1, patches, n])? {
        patch.shunt_outside(model, joined.into(), made)?;
        return Ok(Some(patch));
    }
    // Back to where the convolution has them.
    let split = AxisOp::Reshape(1, tvec!(patches.into()), tvec!(down.into(), across.into()));
    let made = patch.wire_node(format!("{name}.grid"), split, &[made])?;
    let made = patch.wire_node(format!("{name}.columns"), AxisOp::Move(3, 1), &made)?;
    patch.shunt_outside(model, node.id.into(), made[0])?;
    Ok(Some(patch))
}

/// The node after a convolution that has its patches as rows, if that is all that becomes of them.
fn joined(model: &TypedModel, node: &TypedNode, shape: [usize; 3]) -> TractResult<Option<usize>> {
    let Some(flat) = model.single_succ(node.id)? else {
        return Ok(None);
    };
    let Some(rows) = model.single_succ(flat.id)? else {
        return Ok(None);
    };
    let [_, patches, n] = shape;
    let shaped =
        |node: &TypedNode, shape: &[usize]| node.outputs[0].fact.shape.as_concrete() == Some(shape);
    let flattens = matches!(flat.op_as::<AxisOp>(), Some(AxisOp::Reshape(2, ..)));
    let moves = matches!(
        rows.op_as::<AxisOp>(),
        Some(AxisOp::Move(1, 2) | AxisOp::Move(2, 1))
    );
    let fits = flattens && moves && shaped(flat, &[1, n, patches]) && shaped(rows, &shape);
    Ok(fits.then_some(rows.id))
}
