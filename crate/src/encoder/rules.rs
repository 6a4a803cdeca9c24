//! Patterns of tract's decluttered graphs, and the operators of ours that take their place. What no
//! rule matches still runs, on tract; [`apply`] counts what was matched.

use std::collections::BTreeMap;
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::model::Rewriter;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::{AxisOp, perm_to_ops};
use tract_onnx::tract_core::ops::cnn::Conv;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{Add, Mul};
use tract_onnx::tract_core::ops::nn::{RmsNorm, Sigmoid, Softmax};

use super::attention;
use super::block::{self, MlpBlock};
use super::convolution::{self, Convolution};
use super::linear::{QLinear, Weights};
use super::norm;
use super::ops::{QuickGelu, Table};
use super::patches;
use super::pattern::{Patch, constant, f32_values, with_constant};
use crate::kernels::{Kernels, nearest};

/// Smaller matrices gain nothing from int8.
pub(super) const MIN_K: usize = 64;
pub(super) const MIN_N: usize = 16;

/// Applies all rules; tells how many nodes of each kind came of it.
pub(super) fn apply(
    mut model: TypedModel,
    kernels: &'static Kernels,
) -> TractResult<(TypedModel, BTreeMap<&'static str, usize>)> {
    let context = Table(kernels);
    Rewriter::default()
        .with_rule_for::<EinSum>("qlinear", qlinear)
        .with_rule_for::<ElementWiseOp>("quick_gelu", quick_gelu)
        .with_rule_for::<Softmax>("attention", attention::rule)
        .with_rule_for::<RmsNorm>("layer_norm", norm::rule)
        .with_rule_for::<Conv>("patches", patches::rule)
        .with_rule_for::<Conv>("convolution", convolution::rule)
        .rewrite(&context, &mut model)?;
    Rewriter::default()
        .with_rule_for::<TypedBinOp>("block", block::rule)
        .rewrite(&context, &mut model)?;
    model.compact()?;
    let counts = count(&model);
    Ok((model, counts))
}

/// How many layers of each kind run on our kernels, those within blocks too.
fn count(model: &TypedModel) -> BTreeMap<&'static str, usize> {
    let of = |name: &str| {
        let nodes = model.nodes().iter();
        nodes.filter(|node| node.op.name() == name).count()
    };
    let quick = |node: &&TypedNode| node.op_as::<MlpBlock>().is_some_and(MlpBlock::is_quick);
    let quick = model.nodes().iter().filter(quick).count();
    let (attentions, mlps) = (of("AttentionBlock"), of("MlpBlock"));
    BTreeMap::from([
        ("QLinear", of("QLinear") + 4 * attentions + 2 * mlps),
        ("Linear", of("Linear")),
        ("FusedAttention", of("FusedAttention") + attentions),
        ("QuickGelu", of("QuickGelu") + quick),
        ("LayerNorm", of("LayerNorm") + attentions + mlps),
        ("AttentionBlock", attentions),
        ("MlpBlock", mlps),
        ("Patches", of("Patches")),
        ("Convolution", of("Convolution")),
    ])
}

/// How the axes of an EinSum with one constant operand make it a linear layer.
struct Linear {
    /// Which input is the activations.
    input: usize,
    /// The activations' axes in the order that makes them `[…, m, k]`.
    x_order: Vec<usize>,
    /// The weights' axes in the order that makes them `[k, n]`.
    w_order: Vec<usize>,
    /// Which of the output's axes has the columns; the layer makes it the last one.
    columns: usize,
    /// Whether input and output both have their columns before all rows: a pointwise convolution.
    columns_first: bool,
    rows: usize,
    k: usize,
    n: usize,
}

/// Where an axis is: in the weights, in the activations, in the output.
type Places = (Option<usize>, Option<usize>, Option<usize>);

/// Recognises `[…, m, k] · [k, n]`: the weights have one free axis, and the activations' axes that are not
/// summed keep their order. Several axes may be summed, wherever they are: the output projection of an
/// attention sums over heads and over their values. Where nothing is joined to an image's patches, tract
/// leaves them as the convolution made them, columns first: the free axis may be any of the output's.
fn as_linear(op: &EinSum, x: &[usize], w: &[usize], out: &[usize], w_at: usize) -> Option<Linear> {
    let place = |slots: &TVec<usize>| slots.first().copied();
    let places: Vec<Places> = op
        .axes
        .iter_all_axes()
        .map(|axis| {
            (
                place(&axis.inputs[w_at]),
                place(&axis.inputs[1 - w_at]),
                place(&axis.outputs[0]),
            )
        })
        .collect();
    let (mut summed, mut kept, mut free) = (Vec::new(), Vec::new(), None);
    for (in_w, in_x, in_out) in places {
        match (in_w.filter(|at| w[*at] > 1), in_x, in_out) {
            (Some(in_w), Some(in_x), None) => summed.push((in_x, in_w)),
            (Some(in_w), None, Some(in_out)) if free.is_none() => free = Some((in_w, in_out)),
            (Some(_), ..) => return None,
            (None, Some(in_x), in_out) => kept.push((in_x, in_out)),
            (None, None, _) => {}
        }
    }
    let (free_in_w, free_in_out) = free?;
    if summed.is_empty() {
        return None;
    }
    summed.sort_unstable();
    kept.sort_unstable();
    let rows_first = summed[0].0 + summed.len() == x.len();
    let columns_first = free_in_out + 1 != out.len() && !rows_first;
    let after =
        |(in_x, in_out): &(usize, Option<usize>)| *in_x > free_in_out && *in_out == Some(*in_x);
    let same_place = summed.len() == 1 && summed[0].0 == free_in_out && x.len() == out.len();
    if columns_first && !(same_place && kept.iter().all(|axes| x[axes.0] == 1 || after(axes))) {
        return None;
    }
    let order: Vec<usize> = kept
        .iter()
        .filter(|(in_x, _)| x[*in_x] > 1)
        .map(|(_, o)| *o)
        .collect::<Option<_>>()?;
    if !order.is_sorted() {
        return None;
    }
    let x_order = kept
        .iter()
        .map(|(in_x, _)| *in_x)
        .chain(summed.iter().map(|(in_x, _)| *in_x))
        .collect();
    let ones =
        (0..w.len()).filter(|at| *at != free_in_w && !summed.iter().any(|(_, in_w)| in_w == at));
    let w_order = ones
        .chain(summed.iter().map(|(_, in_w)| *in_w))
        .chain([free_in_w])
        .collect();
    let k = summed.iter().map(|(_, in_w)| w[*in_w]).product();
    let rows = kept.iter().map(|(in_x, _)| x[*in_x]).product();
    Some(Linear {
        input: 1 - w_at,
        x_order,
        w_order,
        columns: free_in_out,
        columns_first,
        rows,
        k,
        n: w[free_in_w],
    })
}

/// A bias that is added right after: its values and the node that adds it.
fn bias_after<'m>(
    model: &'m TypedModel,
    node: &'m TypedNode,
    (columns, n): (usize, usize),
) -> TractResult<Option<(Vec<f32>, &'m TypedNode)>> {
    let Some(next) = model.single_succ(node.id)? else {
        return Ok(None);
    };
    if !next
        .op_as::<TypedBinOp>()
        .is_some_and(|op| op.0.is::<Add>())
    {
        return Ok(None);
    }
    let Some(other) = next.inputs.iter().find(|input| input.node != node.id) else {
        return Ok(None);
    };
    let Some(bias) = constant(model, *other) else {
        return Ok(None);
    };
    let same_shape = next.outputs[0].fact.shape == node.outputs[0].fact.shape;
    let fits = bias.len() == n
        && bias.shape().get(columns) == Some(&n)
        && bias.datum_type() == f32::datum_type();
    if !(same_shape && fits) {
        return Ok(None);
    }
    Ok(Some((f32_values(&bias)?, next)))
}

/// Symmetric int8 a column of `[k, n]`: q and the columns' scales. Weights that were dequantised from
/// int8 with the largest magnitude at 127 come out as they were.
pub(super) fn quantise(w: &[f32], n: usize) -> (Vec<i8>, Vec<f32>) {
    let mut scale = vec![0f32; n];
    for row in w.chunks_exact(n) {
        scale
            .iter_mut()
            .zip(row)
            .for_each(|(most, x)| *most = most.max(x.abs()));
    }
    scale.iter_mut().for_each(|most| *most /= 127.0);
    let code = |(x, scale): (&f32, &f32)| {
        if *scale > 0.0 {
            nearest(x / scale) as i8
        } else {
            0
        }
    };
    let q = w
        .chunks_exact(n)
        .flat_map(|row| row.iter().zip(&scale).map(code))
        .collect();
    (q, scale)
}

/// EinSum with constant weights, and the bias after it → [`QLinear`].
fn qlinear(table: &Table, model: &TypedModel, node: &TypedNode, name: &str, op: &EinSum) -> Patch {
    if op.q_params.is_some() || node.inputs.len() != 2 {
        return Ok(None);
    }
    let found = (0..2).find_map(|at| Some((at, constant(model, node.inputs[at])?)));
    let Some((w_at, weights)) = found else {
        return Ok(None);
    };
    let x_fact = model.outlet_fact(node.inputs[1 - w_at])?;
    if weights.datum_type() != f32::datum_type() || x_fact.datum_type != f32::datum_type() {
        return Ok(None);
    }
    let shapes = x_fact
        .shape
        .as_concrete()
        .zip(node.outputs[0].fact.shape.as_concrete());
    let Some((x, out)) = shapes else {
        return Ok(None);
    };
    let Some(linear) = as_linear(op, x, weights.shape(), out, w_at) else {
        return Ok(None);
    };
    let Linear {
        input,
        x_order,
        w_order,
        columns,
        columns_first,
        rows,
        k,
        n,
    } = linear;
    // One row, a projection say, is over before its activations are quantised.
    if k < MIN_K || n < MIN_N || rows < 2 {
        return Ok(None);
    }
    let w: Vec<f32> = weights
        .to_plain_array_view::<f32>()?
        .permuted_axes(w_order)
        .iter()
        .copied()
        .collect();
    let bias = bias_after(model, node, (columns, n))?;
    let (q, scale) = quantise(&w, n);
    let packed = table.0.pack_i8(
        &q,
        k,
        n,
        &scale,
        bias.as_ref().map(|(bias, _)| bias.as_slice()),
    );
    let last = bias.map_or(node.id, |(_, next)| next.id);
    let mut patch = TypedModelPatch::default();
    let mut x = patch.tap_model(model, node.inputs[input])?;
    if columns_first {
        let op = Convolution::pointwise(Arc::new(packed), rows, out.into(), *table);
        let made = patch.wire_node(format!("{name}.convolution"), op, &[x])?;
        patch.shunt_outside(model, last.into(), made[0])?;
        return Ok(Some(patch));
    }
    for (i, op) in perm_to_ops(&x_order).into_iter().enumerate() {
        x = patch.wire_node(format!("{name}.axes{i}"), op, &[x])?[0];
    }
    let mut shape: TVec<usize> = out.into();
    shape.remove(columns);
    shape.push(n);
    let op = QLinear {
        weights: Arc::new(Weights::I8(packed)),
        shape,
        rows,
        table: *table,
    };
    let mut made = patch.wire_node(format!("{name}.qlinear"), op, &[x])?[0];
    if columns + 1 != out.len() {
        let back = AxisOp::Move(out.len() - 1, columns);
        made = patch.wire_node(format!("{name}.columns"), back, &[made])?[0];
    }
    patch.shunt_outside(model, last.into(), made)?;
    Ok(Some(patch))
}

/// Mul(x, Sigmoid(Mul(x, 1.702))) → [`QuickGelu`].
fn quick_gelu(
    table: &Table,
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &ElementWiseOp,
) -> Patch {
    if !op.0.is::<Sigmoid>() {
        return Ok(None);
    }
    let scaled = model.node(node.inputs[0].node);
    let Some((inner, x, factor)) = with_constant(model, scaled) else {
        return Ok(None);
    };
    let Some(outer) = model.single_succ(node.id)? else {
        return Ok(None);
    };
    let products = inner.0.is::<Mul>()
        && outer
            .op_as::<TypedBinOp>()
            .is_some_and(|op| op.0.is::<Mul>());
    if !products || !outer.inputs.contains(&x) || factor.len() != 1 {
        return Ok(None);
    }
    let factor = f32_values(&*factor.cast_to::<f32>()?)?[0];
    if (factor - 1.702).abs() > 1e-4 || model.outlet_fact(x)?.datum_type != f32::datum_type() {
        return Ok(None);
    }
    let mut patch = TypedModelPatch::default();
    let x = patch.tap_model(model, x)?;
    let wired = patch.wire_node(
        format!("{name}.quick_gelu"),
        QuickGelu { table: *table },
        &[x],
    )?;
    patch.shunt_outside(model, outer.id.into(), wired[0])?;
    Ok(Some(patch))
}
