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

use std::collections::{HashMap, HashSet};

use prost::Message as _;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto,
    tensor_shape_proto,
};
use tract_onnx::prelude::DatumExt as _;

use super::graph::{Graph, RewriteReport, cosine};
use super::onnx::drop_unused;
use crate::error::{Error, Result};
use crate::kernels::Kernels;

/// Smaller constants stay as they are: they save nothing.
const SMALL: usize = 64;

/// The first opset whose DequantizeLinear has a scale a channel.
const SCALE_A_CHANNEL: i64 = 13;

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

/// A constant's shape and values.
#[derive(Clone)]
struct Constant {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Constant {
    /// `None` for other types than f32.
    fn of(tensor: &TensorProto) -> Option<Self> {
        if tensor.data_type != DataType::Float as i32 {
            return None;
        }
        let shape = tensor.dims.iter().map(|d| usize::try_from(*d).ok());
        let shape: Vec<usize> = shape.collect::<Option<_>>()?;
        let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let values = if tensor.raw_data.is_empty() {
            tensor.float_data.clone()
        } else {
            tensor.raw_data.chunks_exact(4).map(number).collect()
        };
        (values.len() == shape.iter().product::<usize>()).then_some(Self { shape, values })
    }

    fn transposed(&self) -> Self {
        let (rows, columns) = (self.shape[0], self.shape[1]);
        let mut values = Vec::with_capacity(self.values.len());
        for column in 0..columns {
            values.extend((0..rows).map(|row| self.values[row * columns + column]));
        }
        Self {
            shape: vec![columns, rows],
            values,
        }
    }

    /// Codes and a scale for each index of `axis`, the first or the last.
    fn int8(&self, axis: usize) -> (Vec<u8>, Vec<f32>) {
        let channels = self.shape[axis];
        let each = self.values.len() / channels;
        let channel = |at: usize| {
            if axis == 0 { at / each } else { at % channels }
        };
        let mut scale = vec![0f32; channels];
        for (at, value) in self.values.iter().enumerate() {
            let most = &mut scale[channel(at)];
            *most = most.max(value.abs());
        }
        for scale in &mut scale {
            // A channel of zeros keeps a scale that can be divided by.
            *scale = if *scale > 0.0 { *scale / 127.0 } else { 1.0 };
        }
        let code = |(at, value): (usize, &f32)| {
            (value / scale[channel(at)])
                .round_ties_even()
                .clamp(-127.0, 127.0) as i8 as u8
        };
        (self.values.iter().enumerate().map(code).collect(), scale)
    }
}

/// One pass over a graph's nodes in their order.
struct Pass {
    opset: i64,
    constants: HashMap<String, Constant>,
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    /// Linear layers, convolutions, tables.
    counts: [usize; 3],
    /// Weights that several nodes share are converted once: (name, transposed) → what stands for it.
    done: HashMap<(String, bool), String>,
}

impl Pass {
    fn over(graph: &GraphProto, opset: i64) -> Self {
        let tensors = graph.initializer.iter();
        let constants = tensors
            .filter_map(|tensor| Some((tensor.name.clone(), Constant::of(tensor)?)))
            .collect();
        Self {
            opset,
            constants,
            nodes: Vec::new(),
            tensors: Vec::new(),
            counts: [0; 3],
            done: HashMap::new(),
        }
    }

    fn node(&mut self, node: NodeProto) {
        self.note_constant(&node);
        let weights = |at: usize| {
            let name = node.input.get(at)?;
            let constant = self.constants.get(name)?;
            let worth = constant.values.len() >= SMALL && constant.shape.len() >= 2;
            worth.then_some(name.clone())
        };
        let matrix = |name: &String| self.constants[name].shape.len() == 2;
        match node.op_type.as_str() {
            "MatMul" => match weights(1).filter(matrix) {
                Some(name) => self.matmul(node, &name),
                None => self.nodes.push(node),
            },
            "Gemm" => match weights(1).filter(|_| plain_gemm(&node)) {
                Some(name) => self.gemm(node, &name),
                None => self.nodes.push(node),
            },
            "Conv" => match weights(1) {
                Some(name) => self.conv(node, &name),
                None => self.nodes.push(node),
            },
            "Gather" => match weights(0)
                .filter(matrix)
                .filter(|_| number(&node, "axis", 0) == 0)
            {
                Some(name) => self.gather(&node, &name),
                None => self.nodes.push(node),
            },
            _ => self.nodes.push(node),
        }
    }

    /// Constant nodes, and other names of constants: fp16 weights come with a Cast each.
    fn note_constant(&mut self, node: &NodeProto) {
        let constant = match node.op_type.as_str() {
            "Constant" => {
                let tensors = node.attribute.iter().filter_map(|a| a.t.as_ref());
                tensors.filter_map(Constant::of).next()
            }
            "Cast" if number(node, "to", 0) != DataType::Float as i64 => None,
            "Cast" | "Identity" => node
                .input
                .first()
                .and_then(|x| self.constants.get(x))
                .cloned(),
            "Transpose" => {
                let source = node.input.first().and_then(|x| self.constants.get(x));
                source
                    .filter(|c| c.shape.len() == 2)
                    .map(Constant::transposed)
            }
            _ => None,
        };
        if let (Some(constant), Some(output)) = (constant, node.output.first()) {
            self.constants.insert(output.clone(), constant);
        }
    }

    fn matmul(&mut self, mut node: NodeProto, name: &str) {
        node.input[1] = self.dequantised(name, false, 1);
        self.nodes.push(node);
        self.counts[0] += 1;
    }

    /// x·W + b as MatMul with `[k, n]` and Add: one form for runtimes to recognise.
    fn gemm(&mut self, node: NodeProto, name: &str) {
        let weights = self.dequantised(name, number(&node, "transB", 0) == 1, 1);
        let out = node.output[0].clone();
        let bias = node.input.get(2).filter(|bias| !bias.is_empty());
        let product = match bias {
            Some(_) => format!("{out}.product"),
            None => out.clone(),
        };
        self.push("MatMul", [&node.input[0], &weights], &product, vec![]);
        if let Some(bias) = bias {
            self.push("Add", [&product, bias], &out, vec![]);
        }
        self.counts[0] += 1;
    }

    fn conv(&mut self, mut node: NodeProto, name: &str) {
        node.input[1] = self.dequantised(name, false, 0);
        self.nodes.push(node);
        self.counts[1] += 1;
    }

    /// Takes int8 rows and their scales, so that the f32 table never exists.
    fn gather(&mut self, node: &NodeProto, name: &str) {
        let (codes, scales) = (format!("{name}.rows.q"), format!("{name}.rows.scale"));
        if self
            .done
            .insert((codes.clone(), false), String::new())
            .is_none()
        {
            let table = &self.constants[name];
            let (q, scale) = table.int8(0);
            let shape = table.shape.clone();
            self.tensors.push(bytes(&codes, &shape, q));
            self.tensors.push(floats(&scales, &[shape[0], 1], &scale));
        }
        let (ids, out) = (&node.input[1], &node.output[0]);
        let part = |part: &str| format!("{out}.{part}");
        let zero = || vec![integer("axis", 0)];
        self.push("Gather", [&codes, ids], &part("q"), zero());
        self.push("Gather", [&scales, ids], &part("scale"), zero());
        let to_f32 = vec![integer("to", DataType::Float as i64)];
        self.push("Cast", [&part("q")], &part("f32"), to_f32);
        self.push("Mul", [&part("f32"), &part("scale")], out, vec![]);
        self.counts[2] += 1;
    }

    /// The value that stands for the weights `name`, with a scale for each index of `axis`.
    fn dequantised(&mut self, name: &str, transposed: bool, axis: usize) -> String {
        let key = (format!("{name}/{axis}"), transposed);
        if let Some(made) = self.done.get(&key) {
            return made.clone();
        }
        let weights = &self.constants[name];
        let weights = if transposed {
            weights.transposed()
        } else {
            weights.clone()
        };
        let (q, scale) = weights.int8(axis);
        let stem = format!("{name}{}.{axis}", if transposed { ".t" } else { "" });
        let part = |part: &str| format!("{stem}.{part}");
        self.tensors.push(bytes(&part("q"), &weights.shape, q));
        if self.opset >= SCALE_A_CHANNEL {
            let channels = [scale.len()];
            self.tensors.push(floats(&part("scale"), &channels, &scale));
            self.tensors
                .push(bytes(&part("zero"), &channels, vec![0; scale.len()]));
            let inputs = [&part("q"), &part("scale"), &part("zero")];
            let axis = vec![integer("axis", axis as i64)];
            self.push("DequantizeLinear", inputs, &part("f32"), axis);
        } else {
            let mut shape = vec![1; weights.shape.len()];
            shape[axis] = scale.len();
            self.tensors.push(floats(&part("scale"), &shape, &scale));
            let to_f32 = vec![integer("to", DataType::Float as i64)];
            self.push("Cast", [&part("q")], &part("cast"), to_f32);
            self.push("Mul", [&part("cast"), &part("scale")], &part("f32"), vec![]);
        }
        self.done.insert(key, part("f32"));
        part("f32")
    }

    fn push<const N: usize>(
        &mut self,
        kind: &str,
        inputs: [&String; N],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) {
        self.nodes.push(NodeProto {
            input: inputs.into_iter().cloned().collect(),
            output: vec![output.into()],
            name: format!("{output}/{kind}"),
            op_type: kind.into(),
            attribute,
            ..NodeProto::default()
        });
    }
}

/// Whether a Gemm is x·W + b, W perhaps transposed.
fn plain_gemm(node: &NodeProto) -> bool {
    let one = |name: &str| {
        let found = node.attribute.iter().find(|a| a.name == name);
        found.is_none_or(|a| a.f == 1.0)
    };
    one("alpha") && one("beta") && number(node, "transA", 0) == 0
}

fn number(node: &NodeProto, name: &str, default: i64) -> i64 {
    let found = node.attribute.iter().find(|a| a.name == name);
    found.map_or(default, |a| a.i)
}

fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i,
        ..AttributeProto::default()
    }
}

fn bytes(name: &str, shape: &[usize], raw_data: Vec<u8>) -> TensorProto {
    tensor(name, shape, DataType::Int8, raw_data)
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    let raw = values.iter().flat_map(|value| value.to_le_bytes());
    tensor(name, shape, DataType::Float, raw.collect())
}

fn tensor(name: &str, shape: &[usize], kind: DataType, raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.iter().map(|d| *d as i64).collect(),
        data_type: kind as i32,
        raw_data,
        ..TensorProto::default()
    }
}
