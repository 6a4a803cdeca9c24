//! EinSum(q, k), scale, mask, Softmax, EinSum(·, v) → [`FusedAttention`].
//!
//! An EinSum is read by what its axes do, not by its letters, and axes of one do not count: exporters
//! and tract's own rewriting leave many forms of the same attention.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::{AxisOp, perm_to_ops};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::math::{Add, Mul};
use tract_onnx::tract_core::ops::nn::Softmax;

use super::ops::{FusedAttention, Mask, Table};
use super::pattern::{Patch, concrete, constant, f32_values, with_constant};
use crate::kernels::AttentionShape;

/// An EinSum's axes longer than one: where each is in the inputs and in the output.
fn long_axes(model: &TypedModel, node: &TypedNode) -> Option<Vec<[Option<usize>; 3]>> {
    let op = node.op_as::<EinSum>()?;
    let shapes = [
        concrete(model, node.inputs[0])?,
        concrete(model, *node.inputs.get(1)?)?,
        concrete(model, node.id.into())?,
    ];
    let long = |shape: &TVec<usize>, at: Option<usize>| at.filter(|at| shape[*at] > 1);
    let axes = op.axes.iter_all_axes().map(|axis| {
        [
            long(&shapes[0], axis.inputs[0].first().copied()),
            long(&shapes[1], axis.inputs[1].first().copied()),
            long(&shapes[2], axis.outputs[0].first().copied()),
        ]
    });
    Some(
        axes.filter(|places| places.iter().any(Option::is_some))
            .collect(),
    )
}

/// The one axis that is there, or not there, in each of the three tensors as asked.
fn one(axes: &[[Option<usize>; 3]], there: [bool; 3]) -> Option<[usize; 3]> {
    let mut fitting = axes
        .iter()
        .filter(|places| places.map(|at| at.is_some()) == there);
    let found = fitting.next()?;
    fitting
        .next()
        .is_none()
        .then(|| found.map(|at| at.unwrap_or(usize::MAX)))
}

/// Which axis of a tensor is tokens, heads and values.
type Thd = [usize; 3];

/// q·kᵀ: the axes of q and of k, and which axis of the scores is queries' tokens, and keys' ones.
fn scores(model: &TypedModel, node: &TypedNode) -> Option<(Thd, Thd, usize, usize)> {
    let axes = long_axes(model, node).filter(|axes| axes.len() == 4)?;
    let heads = one(&axes, [true, true, true])?;
    let value = one(&axes, [true, true, false])?;
    let query = one(&axes, [true, false, true])?;
    let key = one(&axes, [false, true, true])?;
    Some((
        [query[0], heads[0], value[0]],
        [key[1], heads[1], value[1]],
        query[2],
        key[2],
    ))
}

/// Weights times values: the axes of v and of the result; `key` is the weights' axis of keys.
fn mixture(model: &TypedModel, node: &TypedNode, weights: usize, key: usize) -> Option<(Thd, Thd)> {
    let axes = long_axes(model, node).filter(|axes| axes.len() == 4)?;
    let values = 1 - weights;
    let there = |in_weights, in_values, out| {
        let mut there = [false, false, out];
        (there[weights], there[values]) = (in_weights, in_values);
        one(&axes, there)
    };
    let heads = there(true, true, true)?;
    let summed = there(true, true, false)?;
    let query = there(true, false, true)?;
    let value = there(false, true, true)?;
    (summed[weights] == key).then_some((
        [summed[values], heads[values], value[values]],
        [query[2], heads[2], value[2]],
    ))
}

/// A mask that is added to scores of `t` tokens: constant, or made from the input.
fn mask(
    model: &TypedModel,
    node: &TypedNode,
    t: usize,
) -> Option<(OutletId, Mask, Option<OutletId>)> {
    if !node.op_as::<TypedBinOp>()?.0.is::<Add>() {
        return None;
    }
    let is_scores = |input: &&OutletId| {
        model.node(input.node).op_is::<EinSum>()
            || with_constant(model, model.node(input.node)).is_some()
    };
    let shape = |outlet: OutletId| -> Option<Vec<usize>> {
        Some(
            concrete(model, outlet)?
                .into_iter()
                .filter(|d| *d > 1)
                .collect(),
        )
    };
    let x = *node
        .inputs
        .iter()
        .find(|input| shape(**input).is_some_and(|s| s.len() == 3) && is_scores(input))?;
    let added = *node.inputs.iter().find(|input| **input != x)?;
    if model.outlet_fact(added).ok()?.datum_type != f32::datum_type() {
        return None;
    }
    let per_query = shape(added)? == [t, t];
    match constant(model, added) {
        Some(values) if per_query => Some((x, Mask::Constant(values), None)),
        Some(_) => None,
        None if per_query => Some((x, Mask::Input, Some(added))),
        // One row for all queries: the keys that are padding.
        None if shape(added)? == [t] && concrete(model, added)?.last() == Some(&t) => {
            Some((x, Mask::Input, Some(added)))
        }
        None => None,
    }
}

/// Whether a mask `[t, t]` hides from every query what comes after it, and nothing else.
fn is_causal(mask: &Mask, t: usize) -> bool {
    const HIDDEN: f32 = -1e4;
    let Mask::Constant(mask) = mask else {
        return false;
    };
    let rows = f32_values(mask).unwrap_or_default();
    let as_it_should = |(at, x): (usize, &f32)| match at % t > at / t {
        true => *x <= HIDDEN,
        false => *x == 0.0,
    };
    rows.iter().enumerate().all(as_it_should)
}

/// The rule, for [`super::rules`].
pub(super) fn rule(
    table: &Table,
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &Softmax,
) -> Patch {
    let Some(found) = find(model, node, op) else {
        return Ok(None);
    };
    let mut patch = TypedModelPatch::default();
    let mut taps = tvec!();
    for (i, (outlet, axes)) in found.inputs.iter().enumerate() {
        let mut x = patch.tap_model(model, *outlet)?;
        for (step, op) in to_thd(&concrete(model, *outlet).unwrap_or_default(), *axes)
            .into_iter()
            .enumerate()
        {
            x = patch.wire_node(format!("{name}.input{i}.{step}"), op, &[x])?[0];
        }
        taps.push(x);
    }
    if let Some(mask) = found.mask_input {
        taps.push(patch.tap_model(model, mask)?);
    }
    let op = FusedAttention {
        shape: found.shape,
        mask: found.mask,
        table: *table,
    };
    let mut wired = patch.wire_node(format!("{name}.attention"), op, &taps)?[0];
    let out = concrete(model, found.out.into()).unwrap_or_default();
    for (step, op) in from_thd(&out, found.out_axes).into_iter().enumerate() {
        wired = patch.wire_node(format!("{name}.output.{step}"), op, &[wired])?[0];
    }
    patch.shunt_outside(model, found.out.into(), wired)?;
    Ok(Some(patch))
}

/// An attention that was recognised.
struct Attention {
    shape: AttentionShape,
    /// q, k, v and their axes.
    inputs: [(OutletId, Thd); 3],
    mask: Mask,
    mask_input: Option<OutletId>,
    /// The node that makes the result, and its axes.
    out: usize,
    out_axes: Thd,
}

fn find(model: &TypedModel, node: &TypedNode, op: &Softmax) -> Option<Attention> {
    let over = concrete(model, node.inputs[0])?;
    let &[axis] = op.axes.as_slice() else {
        return None;
    };
    let tokens = over[axis];
    let (mut at, mut added, mut scale) = (model.node(node.inputs[0].node), (Mask::None, None), 1.0);
    if let Some((x, mask, input)) = mask(model, at, tokens) {
        (at, added) = (model.node(x.node), (mask, input));
    }
    if let Some((_, x, factor)) =
        with_constant(model, at).filter(|(op, _, c)| op.0.is::<Mul>() && c.len() == 1)
    {
        scale = *f32_values(&*factor.cast_to::<f32>().ok()?).ok()?.first()?;
        at = model.node(x.node);
    }
    let (q_axes, k_axes, query, key) = scores(model, at)?;
    let mixed = model.single_succ(node.id).ok()??;
    let weights = mixed
        .inputs
        .iter()
        .position(|input| input.node == node.id)?;
    let (v_axes, out_axes) = mixture(model, mixed, weights, axis)?;
    // The mask is [queries, keys]: so must the scores be.
    if key != axis || query > key {
        return None;
    }
    let q = concrete(model, at.inputs[0])?;
    let [t, heads, d] = q_axes.map(|axis| q[axis]);
    let causal = is_causal(&added.0, t);
    if causal {
        added.0 = Mask::None;
    }
    let inputs = [
        (at.inputs[0], q_axes),
        (at.inputs[1], k_axes),
        (mixed.inputs[1 - weights], v_axes),
    ];
    let same = |(outlet, axes): &(OutletId, Thd)| {
        let shape = concrete(model, *outlet);
        shape.is_some_and(|shape| axes.map(|axis| shape[axis]) == [t, heads, d])
    };
    inputs.iter().all(same).then_some(Attention {
        shape: AttentionShape {
            t,
            heads,
            d,
            scale,
            causal,
        },
        inputs,
        mask: added.0,
        mask_input: added.1,
        out: mixed.id,
        out_axes,
    })
}

/// What brings a tensor with those axes, and axes of one, to `[t, heads, d]`.
fn to_thd(shape: &[usize], axes: Thd) -> Vec<AxisOp> {
    let dims = |shape: &[usize]| shape.iter().map(TDim::from).collect::<TVec<_>>();
    let long: Vec<usize> = shape.iter().copied().filter(|d| *d > 1).collect();
    let mut ops = Vec::new();
    if long.len() != shape.len() {
        ops.push(AxisOp::Reshape(0, dims(shape), dims(&long)));
    }
    ops.extend(perm_to_ops(&ranks(axes)));
    ops
}

/// What brings `[t, heads, d]` to a tensor with those axes, and axes of one.
fn from_thd(shape: &[usize], axes: Thd) -> Vec<AxisOp> {
    to_thd(shape, axes)
        .iter()
        .rev()
        .map(AxisOp::recip)
        .collect()
}

/// Places among the axes that are left when those of one are gone.
fn ranks(axes: Thd) -> Vec<usize> {
    axes.iter()
        .map(|at| axes.iter().filter(|other| *other < at).count())
        .collect()
}
