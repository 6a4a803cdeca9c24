//! What rules read of a graph.

use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;

/// What a rule makes of a node: `None` leaves it as it is.
pub(super) type Patch = TractResult<Option<TypedModelPatch>>;

/// The constant of an outlet, if it is one.
pub(super) fn constant(model: &TypedModel, outlet: OutletId) -> Option<Arc<Tensor>> {
    model.outlet_fact(outlet).ok()?.konst.clone()
}

/// An outlet's shape, if it is fixed.
pub(super) fn concrete(model: &TypedModel, outlet: OutletId) -> Option<TVec<usize>> {
    model
        .outlet_fact(outlet)
        .ok()?
        .shape
        .as_concrete()
        .map(Into::into)
}

/// A tensor's values in a row.
pub(super) fn f32_values(tensor: &Tensor) -> TractResult<Vec<f32>> {
    Ok(tensor
        .to_plain_array_view::<f32>()?
        .iter()
        .copied()
        .collect())
}

/// The variable and the constant operand of a binary operator.
pub(super) fn with_constant<'m>(
    model: &'m TypedModel,
    node: &'m TypedNode,
) -> Option<(&'m TypedBinOp, OutletId, Arc<Tensor>)> {
    let op = node.op_as::<TypedBinOp>()?;
    let (at, constant) =
        (0..2).find_map(|at| Some((at, constant(model, *node.inputs.get(at)?)?)))?;
    Some((op, node.inputs[1 - at], constant))
}

/// A value that no input changes, worked out where tract has not: weights behind their scales.
pub(super) fn known(model: &TypedModel, outlet: OutletId, depth: usize) -> Option<Arc<Tensor>> {
    if let Some(constant) = &model.outlet_fact(outlet).ok()?.konst {
        return Some(constant.clone());
    }
    let node = model.node(outlet.node);
    if depth == 0 || node.inputs.is_empty() {
        return None;
    }
    let inputs = node
        .inputs
        .iter()
        .map(|input| known(model, *input, depth - 1));
    let inputs: TVec<TValue> = inputs
        .map(|x| x.map(IntoTValue::into_tvalue))
        .collect::<Option<_>>()?;
    let mut outputs = node.op.eval_out_of_plan(inputs).ok()??;
    Some(outputs.swap_remove(outlet.slot).into_arc_tensor())
}
