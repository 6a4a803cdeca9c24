//! A text tower at a text's own length: the same model for inputs of fewer tokens.
//!
//! Where a token sees only those before it and the result is read where the text ends, the padding after
//! it changes nothing. That every attention is such a one is asked here; that nothing else reads the
//! padding, who shortens a model sees by one text's vectors at both lengths ([`super::graph`]).

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Gather, MultiBroadcastTo, Slice};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::nn::Softmax;
use tract_onnx::tract_core::ops::source::TypedSource;

use super::block::AttentionBlock;
use super::linear::QLinear;
use super::ops::{FusedAttention, Mask};

/// From one number of tokens to a smaller one.
#[derive(Clone, Copy)]
struct Lengths {
    from: usize,
    to: usize,
}

impl Lengths {
    fn of(self, dim: usize) -> usize {
        if dim == self.from { self.to } else { dim }
    }

    fn shape(self, shape: &[usize]) -> TVec<usize> {
        shape.iter().map(|dim| self.of(*dim)).collect()
    }

    fn dims(self, dims: &[TDim]) -> TVec<TDim> {
        let from = TDim::from(self.from);
        let of = |dim: &TDim| {
            if *dim == from {
                self.to.into()
            } else {
                dim.clone()
            }
        };
        dims.iter().map(of).collect()
    }

    /// The first tokens of a constant that has some for each.
    fn tensor(self, tensor: &Arc<Tensor>) -> TractResult<Arc<Tensor>> {
        let mut tensor = tensor.clone();
        for axis in 0..tensor.rank() {
            if tensor.shape()[axis] == self.from {
                tensor = tensor.slice(axis, 0, self.to)?.into_arc_tensor();
            }
        }
        Ok(tensor)
    }

    fn attention(self, op: &FusedAttention) -> TractResult<FusedAttention> {
        let mut op = op.clone();
        op.shape.t = self.of(op.shape.t);
        if let Mask::Constant(mask) = &op.mask {
            op.mask = Mask::Constant(self.tensor(mask)?);
        }
        Ok(op)
    }

    /// Whether a node reads one token by a number that the model knows: the last, say.
    fn reads_by_number(self, model: &TypedModel, node: &TypedNode) -> TractResult<bool> {
        let axis = match (node.op_as::<Gather>(), node.op_as::<Slice>()) {
            (Some(op), _) if model.outlet_fact(node.inputs[1])?.konst.is_some() => op.axis,
            (_, Some(op)) => op.axis,
            _ => return Ok(false),
        };
        Ok(model.outlet_fact(node.inputs[0])?.shape[axis] == self.from.into())
    }

    /// The operator for fewer tokens.
    fn op(self, node: &TypedNode) -> TractResult<Box<dyn TypedOp>> {
        Ok(if let Some(op) = node.op_as::<QLinear>() {
            let shape = self.shape(&op.shape);
            let rows = shape.iter().rev().skip(1).product();
            let op = op.clone();
            Box::new(QLinear { shape, rows, ..op })
        } else if let Some(op) = node.op_as::<FusedAttention>() {
            Box::new(self.attention(op)?)
        } else if let Some(op) = node.op_as::<AttentionBlock>() {
            let attention = self.attention(&op.attention)?;
            let op = op.clone();
            Box::new(AttentionBlock { attention, ..op })
        } else if let Some(AxisOp::Reshape(at, from, to)) = node.op_as::<AxisOp>() {
            Box::new(AxisOp::Reshape(*at, self.dims(from), self.dims(to)))
        } else if let Some(op) = node.op_as::<MultiBroadcastTo>() {
            let shape = self.dims(&op.shape.to_tvec()).into();
            Box::new(MultiBroadcastTo { shape })
        } else {
            node.op.clone()
        })
    }
}

/// Whether a node is no attention, or one whose tokens see only those before them.
fn looks_back(node: &TypedNode) -> bool {
    let block = node.op_as::<AttentionBlock>().map(|op| &op.attention);
    let attention = block.or_else(|| node.op_as::<FusedAttention>());
    attention.is_none_or(|op| op.shape.causal) && !node.op_is::<Softmax>()
}

/// The model for `to` tokens instead of `from`.
///
/// # Errors
/// When something in it needs all of them.
pub(super) fn shortened(model: &TypedModel, from: usize, to: usize) -> TractResult<TypedModel> {
    let lengths = Lengths { from, to };
    let mut short = TypedModel::default();
    let mut made: HashMap<OutletId, OutletId> = HashMap::new();
    for id in model.eval_order()? {
        let node = model.node(id);
        ensure!(
            looks_back(node) && !lengths.reads_by_number(model, node)?,
            "{node}"
        );
        let wired = if node.op_is::<TypedSource>() {
            let fact = &node.outputs[0].fact;
            let shape = fact
                .shape
                .as_concrete()
                .context("an input of no fixed shape")?;
            let fact = fact.datum_type.fact(&*lengths.shape(shape));
            tvec!(short.add_source(&*node.name, fact)?)
        } else if let Some(op) = node.op_as::<Const>() {
            tvec!(short.add_const(&*node.name, lengths.tensor(op.val())?)?)
        } else {
            let inputs: TVec<OutletId> = node.inputs.iter().map(|input| made[input]).collect();
            short.wire_node(&*node.name, lengths.op(node)?, &inputs)?
        };
        for (slot, outlet) in wired.into_iter().enumerate() {
            let wanted = node.outputs[slot].fact.shape.as_concrete();
            let found = short.outlet_fact(outlet)?.shape.as_concrete();
            ensure!(
                found == wanted.map(|shape| lengths.shape(shape)).as_deref(),
                "{node} has {found:?} for {to} tokens"
            );
            made.insert(OutletId::new(id, slot), outlet);
        }
    }
    let outputs: Vec<OutletId> = model.output_outlets()?.iter().map(|o| made[o]).collect();
    short.select_output_outlets(&outputs)?;
    Ok(short)
}
