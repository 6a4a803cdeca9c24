//! One pass over a graph: nodes with weights in f32 become nodes with weights in int8.

use std::collections::HashMap;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Smaller constants stay as they are: they save nothing.
const SMALL: usize = 64;

/// The first opset whose DequantizeLinear has a scale a channel.
const SCALE_A_CHANNEL: i64 = 13;

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
pub(super) struct Pass {
    opset: i64,
    constants: HashMap<String, Constant>,
    pub nodes: Vec<NodeProto>,
    pub tensors: Vec<TensorProto>,
    /// Linear layers, convolutions, tables.
    pub counts: [usize; 3],
    /// Weights that several nodes share are converted once: (name, transposed) → what stands for it.
    done: HashMap<(String, bool), String>,
}

impl Pass {
    pub fn over(graph: &GraphProto, opset: i64) -> Self {
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

    /// Takes the next node.
    pub fn node(&mut self, node: NodeProto) {
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
