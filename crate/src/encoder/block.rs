//! The two halves of a transformer's layer, each as one operator that changes its input in place.
//!
//! ```text
//! x + out(attention(q(h), k(h), v(h))), h = norm(x) quantised once    ─▶ AttentionBlock
//! x + down(gelu(up(norm(x))))                                         ─▶ MlpBlock
//! ```

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{Add, Mul};
use tract_onnx::tract_core::ops::nn::GeluApproximate;
use tract_onnx::tract_core::ops::nn::gelu_exact::GeluExact;

use super::linear::{QLinear, Weights};
use super::norm::LayerNorm;
use super::ops::{FusedAttention, QuickGelu, Scratch, Table, with_scratch};
use super::pattern::{Patch, concrete, with_constant};
use crate::kernels::{Activation, Aligned, Before, PackedI8, Then};

/// An attention with its norm, its four layers and what it is added to: `[1, t, width]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AttentionBlock {
    pub norm: LayerNorm,
    /// Query, key, value, output.
    pub linear: [Arc<Weights>; 4],
    pub attention: FusedAttention,
}

/// Two layers with their norm, the activation between and what they are added to: `[1, t, width]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MlpBlock {
    norm: LayerNorm,
    /// Up, down.
    linear: [Arc<Weights>; 2],
    activation: Activation,
}

impl PartialEq for Weights {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for AttentionBlock {}
impl Eq for MlpBlock {}

impl Hash for AttentionBlock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let weights = self.linear.each_ref().map(Arc::as_ptr);
        (&self.norm, weights, &self.attention).hash(state);
    }
}

impl Hash for MlpBlock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let weights = self.linear.each_ref().map(Arc::as_ptr);
        (&self.norm, weights, self.activation).hash(state);
    }
}

fn i8(weights: &Weights) -> TractResult<&PackedI8> {
    match weights {
        Weights::I8(packed) => Ok(packed),
        Weights::F32(_) => bail!("a block of layers in f32"),
    }
}

/// A matrix of that size; what it holds is written before it is read.
fn sized(values: &mut Aligned<f32>, len: usize) -> &mut [f32] {
    values.resize(len);
    values
}

/// `x` as the only owner of its memory, the first of the inputs.
fn own(inputs: &mut TVec<TValue>) -> Tensor {
    inputs.remove(0).into_tensor()
}

impl AttentionBlock {
    fn run(&self, x: &mut [f32], mask: Option<&TValue>, scratch: &mut Scratch) -> TractResult<()> {
        let Scratch {
            rows,
            attention,
            between,
        } = scratch;
        let kernels = self.norm.table.0;
        let (norm, width) = (self.norm.norm()?, i8(&self.linear[0])?.n());
        let len = self.attention.shape.t * width;
        kernels.quantise(x, norm.scale.len(), Before::Norm(norm), rows);
        let (mixed, qkv) = between.split_at_mut(1);
        for (weights, out) in self.linear.iter().zip(qkv.iter_mut()) {
            kernels.multiply(rows, i8(weights)?, Then::Store, sized(out, len));
        }
        let mixed = sized(&mut mixed[0], len);
        let qkv = [&*qkv[0], &*qkv[1], &*qkv[2]];
        self.attention.run(qkv, mask, mixed, attention)?;
        kernels.quantise(mixed, width, Before::Nothing, rows);
        kernels.multiply(rows, i8(&self.linear[3])?, Then::Add, x);
        Ok(())
    }
}

/// Rows that both layers of an [`MlpBlock`] are computed for at a time, so that what is between them stays near: whole blocks of
/// all tables.
const ROWS: usize = 64;
/// The most weights of a layer for which that pays: they are read again for the next rows.
const NEAR_WEIGHTS: usize = 1 << 19;

impl MlpBlock {
    fn run(&self, x: &mut [f32], scratch: &mut Scratch) -> TractResult<()> {
        let width = self.norm.norm()?.scale.len();
        let up = i8(&self.linear[0])?;
        let turns = match up.k() * up.n() <= NEAR_WEIGHTS {
            true => (x.len() / width / ROWS).max(1),
            false => 1,
        };
        let mut rest = x;
        for turn in 0..turns {
            // The last ones are not left alone.
            let rows = if turn + 1 < turns {
                ROWS * width
            } else {
                rest.len()
            };
            let (rows, others) = rest.split_at_mut(rows);
            self.run_rows(rows, scratch)?;
            rest = others;
        }
        Ok(())
    }

    fn run_rows(&self, x: &mut [f32], scratch: &mut Scratch) -> TractResult<()> {
        let Scratch { rows, between, .. } = scratch;
        let (kernels, norm) = (self.norm.table.0, self.norm.norm()?);
        let (up, down) = (i8(&self.linear[0])?, i8(&self.linear[1])?);
        let hidden = sized(&mut between[0], x.len() / norm.scale.len() * up.n());
        kernels.quantise(x, norm.scale.len(), Before::Norm(norm), rows);
        kernels.multiply(rows, up, Then::Store, hidden);
        let active = Before::Activation(self.activation);
        kernels.quantise(hidden, up.n(), active, rows);
        kernels.multiply(rows, down, Then::Add, x);
        Ok(())
    }
}

impl Op for AttentionBlock {
    fn name(&self) -> StaticName {
        "AttentionBlock".into()
    }

    op_as_typed_op!();
}

impl EvalOp for AttentionBlock {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut x = own(&mut inputs);
        let mut view = x.try_as_plain_ram_mut()?;
        let values = view.as_slice_mut::<f32>()?;
        with_scratch(|scratch| self.run(values, inputs.first(), scratch))?;
        Ok(tvec!(x.into_tvalue()))
    }
}

impl TypedOp for AttentionBlock {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(inputs[0].shape.clone())))
    }

    as_op!();
}

impl Op for MlpBlock {
    fn name(&self) -> StaticName {
        "MlpBlock".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{:?}", self.activation)])
    }

    op_as_typed_op!();
}

impl EvalOp for MlpBlock {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, mut inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut x = own(&mut inputs);
        let mut view = x.try_as_plain_ram_mut()?;
        let values = view.as_slice_mut::<f32>()?;
        with_scratch(|scratch| self.run(values, scratch))?;
        Ok(tvec!(x.into_tvalue()))
    }
}

impl TypedOp for MlpBlock {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(inputs[0].shape.clone())))
    }

    as_op!();
}

impl MlpBlock {
    pub fn is_quick(&self) -> bool {
        self.activation == Activation::QuickGelu
    }
}

/// The layer that makes a value, behind what only names its axes anew; and a factor in between.
fn layer(model: &TypedModel, mut outlet: OutletId) -> Option<(&QLinear, &TypedNode, f32)> {
    let mut factor = 1.0;
    loop {
        let node = model.node(outlet.node);
        model.single_succ(node.id).ok()??;
        if let Some(op) = node.op_as::<QLinear>() {
            let whole = matches!(*op.weights, Weights::I8(_));
            return whole.then_some((op, node, factor));
        }
        if let Some((_, x, by)) =
            with_constant(model, node).filter(|(op, _, by)| op.0.is::<Mul>() && by.len() == 1)
        {
            factor *= by.cast_to_scalar::<f32>().ok()?;
            outlet = x;
        } else if keeps_order(node) {
            outlet = node.inputs[0];
        } else {
            return None;
        }
    }
}

/// Whether a node only splits or joins axes.
fn keeps_order(node: &TypedNode) -> bool {
    let op = node.op_as::<AxisOp>();
    op.is_some_and(|op| !matches!(op, AxisOp::Move(..)))
}

/// The norm that makes a value of `x`.
fn norm_of(model: &TypedModel, outlet: OutletId, x: OutletId) -> Option<&LayerNorm> {
    let node = model.node(outlet.node);
    let same = model.outlet_fact(outlet).ok()?.shape == model.outlet_fact(x).ok()?.shape;
    node.op_as::<LayerNorm>()
        .filter(|_| node.inputs[0] == x && same)
}

fn activation(node: &TypedNode) -> Option<Activation> {
    if node.op_is::<QuickGelu>() {
        return Some(Activation::QuickGelu);
    }
    let op = node.op_as::<ElementWiseOp>()?;
    if op.0.is::<GeluExact>() {
        return Some(Activation::Gelu);
    }
    let by_tanh = op.0.downcast_ref::<GeluApproximate>()?;
    (!by_tanh.fast_impl).then_some(Activation::GeluTanh)
}

/// x + a layer of a norm of x → [`AttentionBlock`] or [`MlpBlock`].
pub(super) fn rule(
    _table: &Table,
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &TypedBinOp,
) -> Patch {
    if !op.0.is::<Add>() {
        return Ok(None);
    }
    for (x, other) in [(0, 1), (1, 0)].map(|(x, other)| (node.inputs[x], node.inputs[other])) {
        let same = |outlet: OutletId| concrete(model, outlet) == concrete(model, node.id.into());
        if !same(x) || !same(other) {
            continue;
        }
        let mut patch = TypedModelPatch::default();
        let wired = if let Some((block, mask)) = attention_block(model, x, other) {
            let mut taps = tvec!(patch.tap_model(model, x)?);
            if let Some(mask) = mask {
                taps.push(patch.tap_model(model, mask)?);
            }
            patch.wire_node(format!("{name}.attention_block"), block, &taps)?
        } else if let Some(block) = mlp_block(model, x, other) {
            let x = patch.tap_model(model, x)?;
            patch.wire_node(format!("{name}.mlp_block"), block, &[x])?
        } else {
            continue;
        };
        patch.shunt_outside(model, node.id.into(), wired[0])?;
        return Ok(Some(patch));
    }
    Ok(None)
}

fn mlp_block(model: &TypedModel, x: OutletId, added: OutletId) -> Option<MlpBlock> {
    let (down, node, factor) = layer(model, added)?;
    let mut between = model.node(node.inputs[0].node);
    while keeps_order(between) {
        model.single_succ(between.id).ok()??;
        between = model.node(between.inputs[0].node);
    }
    let activation = activation(between)?;
    model.single_succ(between.id).ok()??;
    let (up, node, one) = layer(model, between.inputs[0])?;
    let norm = norm_of(model, node.inputs[0], x)?;
    (factor == 1.0 && one == 1.0).then(|| MlpBlock {
        norm: norm.clone(),
        linear: [up.weights.clone(), down.weights.clone()],
        activation,
    })
}

fn attention_block(
    model: &TypedModel,
    x: OutletId,
    added: OutletId,
) -> Option<(AttentionBlock, Option<OutletId>)> {
    let (out, node, one) = layer(model, added)?;
    let mut between = model.node(node.inputs[0].node);
    while keeps_order(between) {
        model.single_succ(between.id).ok()??;
        between = model.node(between.inputs[0].node);
    }
    let mut attention = between.op_as::<FusedAttention>()?.clone();
    model.single_succ(between.id).ok()??;
    let (q, query, q_factor) = layer(model, between.inputs[0])?;
    let (k, key, k_factor) = layer(model, between.inputs[1])?;
    let (v, value, v_factor) = layer(model, between.inputs[2])?;
    let source = query.inputs[0];
    let norm = norm_of(model, source, x)?;
    let shared = key.inputs[0] == source && value.inputs[0] == source;
    if !shared || one != 1.0 || v_factor != 1.0 {
        return None;
    }
    attention.shape.scale *= q_factor * k_factor;
    let linear = [q, k, v, out].map(|layer| layer.weights.clone());
    let block = AttentionBlock {
        norm: norm.clone(),
        linear,
        attention,
    };
    Some((block, between.inputs.get(3).copied()))
}
