//! A graph's weights in int8: smaller files out of fp32 or fp16 ones.
//!
//! ```text
//! MatMul(x, W [k, n])       ─▶ MatMul(x, DequantizeLinear(q, scale [n]))
//! Gemm(x, W, bias)          ─▶ the same, and Add
//! Conv(x, W [out, …])       ─▶ Conv(x, DequantizeLinear(q, scale [out]))
//! Gather(W [rows, n], ids)  ─▶ Mul(Cast(Gather(q, ids)), Gather(scale [rows, 1], ids))
//! ```
//! q = round(W / scale) ∈ [-127, 127], scale = max |W| / 127 of an output channel: a channel with large
//! weights costs the others no precision, as it does where one scale serves a whole tensor. All operators
//! are standard ones. What was fp16 is computed in f32; its values are the same.

mod pass;

use std::collections::HashSet;

use prost::Message as _;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{
    GraphProto, ModelProto, TensorProto, TypeProto, ValueInfoProto, tensor_shape_proto,
};
use tract_onnx::prelude::DatumExt as _;

use pass::Pass;

use super::graph::{Graph, RewriteReport, cosine};
use super::onnx::drop_unused;
use crate::error::{Error, Result};
use crate::kernels::Kernels;

/// A graph with int8 weights, and what became of its weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// Matrices of linear layers.
    pub linear: usize,
    /// Filters of convolutions.
    pub convolutions: usize,
    /// Tables that rows are taken from.
    pub tables: usize,
}

/// Converts the file's weights.
///
/// # Errors
/// When it is no ONNX file, its weights lie in other files, or there is none that could be converted.
pub fn to_int8(file: &str, bytes: &[u8]) -> Result<Converted> {
    let wrong = |reason: String| Error::Graph {
        file: file.to_owned(),
        reason,
    };
    let mut model = parse(file, bytes)?;
    let opsets = model.opset_import.iter();
    let opset = opsets
        .filter(|set| set.domain.is_empty() || set.domain == "ai.onnx")
        .map(|set| set.version)
        .max()
        .unwrap_or(1);
    let graph = model
        .graph
        .as_mut()
        .ok_or_else(|| wrong("a file without a graph".into()))?;
    widen(graph);
    let mut pass = Pass::over(graph, opset);
    let nodes = std::mem::take(&mut graph.node);
    for node in nodes {
        pass.node(node);
    }
    let Pass {
        nodes,
        tensors,
        counts,
        ..
    } = pass;
    if counts == [0; 3] {
        return Err(wrong("no weights in fp32 or fp16 to convert".into()));
    }
    graph.node = nodes;
    graph.initializer.extend(tensors);
    drop_unused(graph);
    // Before IR version 4 an initializer had to be an input as well.
    let constant: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    graph
        .input
        .retain(|input| !constant.contains(input.name.as_str()));
    model.ir_version = model.ir_version.max(4);
    let [linear, convolutions, tables] = counts;
    Ok(Converted {
        onnx: model.encode_to_vec(),
        linear,
        convolutions,
        tables,
    })
}

fn parse(file: &str, bytes: &[u8]) -> Result<ModelProto> {
    let wrong = |reason: String| Error::Graph {
        file: file.to_owned(),
        reason,
    };
    let model = ModelProto::decode(bytes).map_err(|error| wrong(error.to_string()))?;
    let outside = |tensor: &&TensorProto| !tensor.external_data.is_empty();
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    match tensors.clone().find(outside) {
        Some(tensor) => Err(wrong(format!(
            "the weights {} lie in another file; save it as one file first",
            tensor.name
        ))),
        None => Ok(model),
    }
}

/// What goes into a tower.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// `[3, size, size]`
    Pixels(Vec<f32>),
    /// `[context_length]`
    Ids(Vec<i64>),
}

/// A tower of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tower {
    /// The graph's input.
    pub input: String,
    /// The graph's output.
    pub output: String,
    /// `[1, 3, size, size]` of pixels or `[1, context_length]` of ids.
    pub shape: Vec<usize>,
}

/// The cosines between what the original makes of the samples, in f32 throughout, and what the converted
/// file does on `kernels`, as it is used later: with activations in integers too.
///
/// # Errors
/// When a graph cannot be used.
pub fn agreement(
    file: &str,
    original: &[u8],
    converted: &[u8],
    tower: &Tower,
    samples: &[Sample],
    kernels: &'static Kernels,
) -> Result<Vec<f64>> {
    let mut wide = parse(file, original)?;
    wide.graph.iter_mut().for_each(widen);
    // One after the other: two large graphs need not be in memory at once.
    let (expected, _) = run(file, wide.encode_to_vec(), tower, samples, None)?;
    let (found, _) = run(file, converted.to_vec(), tower, samples, Some(kernels))?;
    let pairs = expected.iter().zip(&found);
    Ok(pairs.map(|(a, b)| cosine(a, b)).collect())
}

/// What a tower makes of the samples, and which of its layers ran on our kernels; without any, all of it
/// runs in f32 as the file has it.
///
/// # Errors
/// When the graph cannot be used.
pub fn run(
    file: &str,
    bytes: Vec<u8>,
    tower: &Tower,
    samples: &[Sample],
    kernels: Option<&'static Kernels>,
) -> Result<(Vec<Vec<f32>>, RewriteReport)> {
    let fact = match samples.first() {
        Some(Sample::Ids(_)) => i64::fact(&tower.shape).into(),
        _ => f32::fact(&tower.shape).into(),
    };
    let input = (tower.input.as_str(), fact);
    let graph = Graph::load(
        file,
        bytes,
        input,
        &tower.output,
        tower.shape.clone(),
        kernels,
    )?;
    let one = |sample: &Sample| match sample {
        Sample::Pixels(pixels) => graph.run_f32(pixels),
        Sample::Ids(ids) => graph.run_ids(ids),
    };
    let outputs: Result<_> = samples.iter().map(one).collect();
    Ok((outputs?, graph.report().clone()))
}

/// A file's one image tower, where its graph says how large its input is.
///
/// # Errors
/// When it is no ONNX file.
pub fn image_tower(file: &str, bytes: &[u8]) -> Result<Option<Tower>> {
    let graph = parse(file, bytes)?.graph.unwrap_or_default();
    let square = graph.input.iter().find_map(|input| {
        let shape = fixed_shape(input)?;
        let [1, 3, height, width] = shape[..] else {
            return None;
        };
        (height == width).then(|| (input.name.clone(), shape))
    });
    let output = graph.output.iter();
    let output = output.max_by_key(|output| output.name.contains("embed"));
    Ok(square.zip(output).map(|((input, shape), output)| Tower {
        input,
        output: output.name.clone(),
        shape,
    }))
}

/// An input's shape; a batch that has a name only is 1.
fn fixed_shape(input: &ValueInfoProto) -> Option<Vec<usize>> {
    let Some(Value::TensorType(tensor)) = &input.r#type.as_ref()?.value else {
        return None;
    };
    let length = |(at, d): (usize, &tensor_shape_proto::Dimension)| match &d.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(n)) => usize::try_from(*n).ok(),
        _ if at == 0 => Some(1),
        _ => None,
    };
    tensor
        .shape
        .as_ref()?
        .dim
        .iter()
        .enumerate()
        .map(length)
        .collect()
}

/// Makes every fp16 tensor and type of the graph f32.
fn widen(graph: &mut GraphProto) {
    // Notes of the exporter; they would have to be widened too, and are worked out anew anyway.
    graph.value_info.clear();
    graph.initializer.iter_mut().for_each(widen_tensor);
    let values = graph.input.iter_mut().chain(&mut graph.output);
    for kind in values.filter_map(|value| value.r#type.as_mut()) {
        widen_type(kind);
    }
    for node in &mut graph.node {
        let casts = node.op_type == "Cast";
        for attribute in &mut node.attribute {
            if casts && attribute.name == "to" && attribute.i == DataType::Float16 as i64 {
                attribute.i = DataType::Float as i64;
            }
            attribute.t.iter_mut().for_each(widen_tensor);
            attribute.g.iter_mut().for_each(widen);
        }
    }
}

fn widen_type(kind: &mut TypeProto) {
    if let Some(Value::TensorType(tensor)) = &mut kind.value
        && tensor.elem_type == DataType::Float16 as i32
    {
        tensor.elem_type = DataType::Float as i32;
    }
}

fn widen_tensor(tensor: &mut TensorProto) {
    if tensor.data_type != DataType::Float16 as i32 {
        return;
    }
    let wide = |bits: u16| half::f16::from_bits(bits).to_f32();
    let values: Vec<f32> = if tensor.raw_data.is_empty() {
        let bits = tensor.int32_data.iter();
        bits.map(|bits| wide(*bits as u16)).collect()
    } else {
        let pairs = tensor.raw_data.chunks_exact(2);
        pairs
            .map(|b| wide(u16::from_le_bytes([b[0], b[1]])))
            .collect()
    };
    tensor.int32_data.clear();
    tensor.data_type = DataType::Float as i32;
    tensor.raw_data = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
}
