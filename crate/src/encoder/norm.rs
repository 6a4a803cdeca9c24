//! LayerNorm: an operator of ours, and its pattern in tract's graphs.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::math::{Add, Mul, Sub};
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm};

use super::ops::{Table, filled, values};
use super::pattern::{Patch, with_constant};
use crate::kernels::Norm;

/// (x − mean) / √(variance + ε) · γ + β over the last axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerNorm {
    scale: Arc<Tensor>,
    bias: Arc<Tensor>,
    epsilon: f32,
    pub table: Table,
}

impl Eq for LayerNorm {}

impl Hash for LayerNorm {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.scale, &self.bias, self.epsilon.to_bits()).hash(state);
    }
}

impl LayerNorm {
    /// As the kernels take it.
    pub fn norm(&self) -> TractResult<Norm<'_>> {
        Ok(Norm {
            scale: values(&self.scale)?,
            bias: values(&self.bias)?,
            epsilon: self.epsilon,
        })
    }
}

impl Op for LayerNorm {
    fn name(&self) -> StaticName {
        "LayerNorm".into()
    }

    op_as_typed_op!();
}

impl EvalOp for LayerNorm {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (x, norm) = (values(&inputs[0])?, self.norm()?);
        let kernels = self.table.0;
        filled(inputs[0].shape(), |out| kernels.layer_norm(x, norm, out))
    }
}

impl TypedOp for LayerNorm {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(inputs[0].shape.clone())))
    }

    as_op!();
}

/// Whether `outlet` is the mean of `x` over its last axis of `n`.
fn is_mean(model: &TypedModel, outlet: OutletId, x: OutletId, axis: usize, n: usize) -> bool {
    let by_length = with_constant(model, model.node(outlet.node));
    let Some((op, sum, factor)) = by_length.filter(|(_, _, c)| c.len() == 1) else {
        return false;
    };
    let factor = factor.cast_to_scalar::<f32>().unwrap_or(0.0);
    let reduce = model.node(sum.node).op_as::<Reduce>();
    let sums = reduce.is_some_and(|op| op.axes[..] == [axis] && op.reducer == Reducer::Sum);
    let of_x = model.node(sum.node).inputs.first() == Some(&x);
    op.0.is::<Mul>() && sums && of_x && (factor * n as f32 - 1.0).abs() < 1e-5
}

/// RmsNorm(x − mean(x)) · γ + β → [`LayerNorm`]; tract makes RmsNorm of all forms that exporters write.
pub(super) fn rule(
    table: &Table,
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &RmsNorm,
) -> Patch {
    let fact = model.outlet_fact(node.inputs[0])?;
    let Some(&n) = fact.shape.as_concrete().and_then(|shape| shape.last()) else {
        return Ok(None);
    };
    let centred = model.node(node.inputs[0].node);
    let subtracts = |op: &TypedBinOp| op.0.is::<Sub>();
    if op.axis + 1 != fact.rank()
        || fact.datum_type != f32::datum_type()
        || !centred.op_as::<TypedBinOp>().is_some_and(subtracts)
        || !is_mean(model, centred.inputs[1], centred.inputs[0], op.axis, n)
    {
        return Ok(None);
    }
    let mut found = Vec::new();
    let mut last = node;
    for multiplies in [true, false] {
        let Some(next) = model.single_succ(last.id)? else {
            return Ok(None);
        };
        let Some((op, _, values)) = with_constant(model, next) else {
            return Ok(None);
        };
        let wanted = if multiplies {
            op.0.is::<Mul>()
        } else {
            op.0.is::<Add>()
        };
        let a_column = values.len() == n && values.shape().last() == Some(&n);
        if !wanted || !a_column || next.outputs[0].fact.shape != fact.shape {
            return Ok(None);
        }
        found.push(values.cast_to::<f32>()?.into_owned().into_arc_tensor());
        last = next;
    }
    let [scale, bias] = found.as_slice() else {
        return Ok(None);
    };
    let op = LayerNorm {
        scale: scale.clone(),
        bias: bias.clone(),
        epsilon: op.eps.cast_to_scalar::<f32>()?,
        table: *table,
    };
    let mut patch = TypedModelPatch::default();
    let x = patch.tap_model(model, centred.inputs[0])?;
    let wired = patch.wire_node(format!("{name}.layer_norm"), op, &[x])?;
    patch.shunt_outside(model, last.id.into(), wired[0])?;
    Ok(Some(patch))
}
