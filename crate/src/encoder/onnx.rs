//! An ONNX file before tract reads it: linear layers with integer weights become one node each, so
//! that their weights are packed as they are and never stand in memory as f32.
//!
//! ```text
//! DequantizeLinear(W [k, n], scale) ─ MatMul(x, ·)                                 ours, a scale a column
//! DynamicQuantizeLinear(x) ─ MatMulInteger(·, W [k, n]) ─ Cast ─ Mul(·, scales)    onnxruntime's
//!     └── either, and the Add of a bias after it ──▶ QLinear(x, W i8, scale [n], bias [n])
//! ```
//! Of a file with both towers only what the asked output needs is kept. Convolutions in integers become
//! ones in f32: there are few weights in them, and tract has no fast kernel for them.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{TractErrorContext as _, bail};

use crate::kernels::nearest;

/// The operator that linear layers become; [`super::linear`] tells tract what it is.
pub(super) const LINEAR: &str = "photorecall.QLinear";

/// That operator's attribute with the name of the kernels to pack for.
pub(super) const TABLE: &str = "kernels";

/// What is wanted of a file.
pub(super) struct Wanted<'a> {
    pub input: &'a str,
    pub output: &'a str,
    /// The input's shape; a mask of the input is all ones, of the same shape.
    pub shape: &'a [usize],
    /// Name of the kernels to pack for; without one the layers stay as they are.
    pub kernels: Option<&'a str>,
}

/// Parses a file and makes of it what tract is to read.
pub(super) fn read(bytes: Vec<u8>, wanted: &Wanted) -> TractResult<ModelProto> {
    let mut model = tract_onnx::onnx().proto_model_for_read(&mut Cursor::new(bytes))?;
    let graph = model.graph.as_mut().context("a file without a graph")?;
    graph.output.retain(|output| output.name == wanted.output);
    if graph.output.is_empty() {
        bail!("no output {:?}", wanted.output);
    }
    if !graph.input.iter().any(|input| input.name == wanted.input) {
        bail!("no input {:?}", wanted.input);
    }
    // Shapes that the exporter noted, with names for what is fixed here.
    graph.value_info.clear();
    check(graph)?;
    drop_unused(graph);
    see_everything(graph, wanted);
    if let Some(kernels) = wanted.kernels {
        join_linear(graph, kernels);
    }
    drop_unused(graph);
    Ok(model)
}

/// The mask of a text says which tokens are padding. A text tower that looks backwards only and reads
/// its result where the text ends is not changed by what comes after: the mask becomes ones.
fn see_everything(graph: &mut GraphProto, wanted: &Wanted) {
    let is_mask = |name: &str| name == "attention_mask" || name == "pixel_attention_mask";
    let masks = graph.input.iter().filter(|input| is_mask(&input.name));
    let ones = masks.map(|input| TensorProto {
        name: input.name.clone(),
        dims: wanted.shape.iter().map(|d| *d as i64).collect(),
        data_type: DataType::Int64 as i32,
        int64_data: vec![1; wanted.shape.iter().product()],
        ..TensorProto::default()
    });
    let ones: Vec<_> = ones.collect();
    graph.initializer.extend(ones);
    graph.input.retain(|input| !is_mask(&input.name));
}

/// What tract takes for granted.
fn check(graph: &GraphProto) -> TractResult<()> {
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let constants = graph.initializer.iter().map(|tensor| tensor.name.as_str());
    let nodes = graph.node.iter().flat_map(|node| &node.output);
    let made: HashSet<&str> = inputs
        .chain(constants)
        .chain(nodes.map(String::as_str))
        .collect();
    for output in &graph.output {
        if !made.contains(output.name.as_str()) {
            bail!("no node makes the output {:?}", output.name);
        }
    }
    Ok(())
}

/// Who makes and who uses a value.
struct Uses<'g> {
    graph: &'g GraphProto,
    maker: HashMap<&'g str, &'g NodeProto>,
    users: HashMap<&'g str, Vec<&'g NodeProto>>,
    constants: HashMap<&'g str, &'g TensorProto>,
}

impl<'g> Uses<'g> {
    fn of(graph: &'g GraphProto) -> Self {
        let (mut maker, mut users) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for node in &graph.node {
            for output in &node.output {
                maker.insert(output.as_str(), node);
            }
            for input in &node.input {
                users.entry(input.as_str()).or_default().push(node);
            }
        }
        let named = |tensor: &'g TensorProto| (tensor.name.as_str(), tensor);
        let constants = graph.initializer.iter().map(named).collect();
        Self {
            graph,
            maker,
            users,
            constants,
        }
    }

    /// The node of that kind that makes a value.
    fn made_by(&self, value: &str, kind: &str) -> Option<&'g NodeProto> {
        self.maker
            .get(value)
            .copied()
            .filter(|node| node.op_type == kind)
    }

    /// The one node that uses a value, if it is of that kind.
    fn only_user(&self, value: &str, kind: &str) -> Option<&'g NodeProto> {
        let leaves = self.graph.output.iter().any(|output| output.name == value);
        match self.users.get(value)?.as_slice() {
            [node] if node.op_type == kind && !leaves => Some(node),
            _ => None,
        }
    }

    /// A constant's shape and values as f32; integers are exact.
    fn values(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let tensor = self.constants.get(name)?;
        let shape: Option<Vec<usize>> = tensor
            .dims
            .iter()
            .map(|d| usize::try_from(*d).ok())
            .collect();
        let (shape, raw) = (shape?, &tensor.raw_data);
        let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let values: Vec<f32> = match DataType::try_from(tensor.data_type).ok()? {
            DataType::Uint8 | DataType::Int8 if raw.is_empty() => {
                tensor.int32_data.iter().map(|q| *q as f32).collect()
            }
            DataType::Uint8 => raw.iter().map(|q| f32::from(*q)).collect(),
            DataType::Int8 => raw.iter().map(|q| f32::from(*q as i8)).collect(),
            DataType::Float if raw.is_empty() => tensor.float_data.clone(),
            DataType::Float => raw.chunks_exact(4).map(number).collect(),
            _ => return None,
        };
        (values.len() == shape.iter().product::<usize>()).then_some((shape, values))
    }
}

/// A linear layer as it was found.
struct Found {
    x: String,
    /// Name of the `[k, n]` weights.
    weights: String,
    zero: Vec<f32>,
    scale: Vec<f32>,
    /// What the layer makes, before the bias.
    out: String,
}

fn join_linear(graph: &mut GraphProto, kernels: &str) {
    let uses = Uses::of(graph);
    let mut joined = Vec::new();
    for node in &graph.node {
        let found = match node.op_type.as_str() {
            "MatMul" => dequantised(&uses, node),
            "MatMulInteger" | "ConvInteger" => dynamic(&uses, node),
            _ => None,
        };
        joined.extend(found.and_then(|found| match node.op_type.as_str() {
            "ConvInteger" => in_floats(&uses, node, found),
            _ => join(&uses, found),
        }));
    }
    for Joined { mut node, tensors } in joined {
        if node.op_type == LINEAR {
            node.attribute.push(AttributeProto {
                name: TABLE.into(),
                r#type: AttributeType::String as i32,
                s: kernels.into(),
                ..AttributeProto::default()
            });
        }
        let out = &node.output[0];
        graph.node.retain(|old| !old.output.contains(out));
        graph.node.push(node);
        graph.initializer.extend(tensors);
    }
}

/// MatMul(x, DequantizeLinear(W, scale, zero)).
fn dequantised(uses: &Uses, node: &NodeProto) -> Option<Found> {
    let [x, w] = node.input.as_slice() else {
        return None;
    };
    let source = uses.made_by(w, "DequantizeLinear")?;
    let axis = |name: &str| {
        source
            .attribute
            .iter()
            .find(|a| a.name == name)
            .map(|a| a.i)
    };
    let (weights, scale) = (source.input.first()?, source.input.get(1)?);
    let (_, scale) = uses.values(scale)?;
    if scale.len() > 1 && ![1, -1].contains(&axis("axis").unwrap_or(1))
        || axis("block_size").unwrap_or(0) != 0
    {
        return None;
    }
    let zero = match source.input.get(2).filter(|name| !name.is_empty()) {
        Some(name) => uses.values(name)?.1,
        None => vec![0.0],
    };
    Some(Found {
        x: x.clone(),
        weights: weights.clone(),
        zero,
        scale,
        out: node.output.first()?.clone(),
    })
}

/// Mul(Cast(MatMulInteger(xq, W, x zero, zero)), x scale · scale), with xq by DynamicQuantizeLinear.
fn dynamic(uses: &Uses, node: &NodeProto) -> Option<Found> {
    let [xq, w, x_zero, zero] = node.input.as_slice() else {
        return None; // without zero points: not what onnxruntime writes
    };
    let source = uses.made_by(xq, "DynamicQuantizeLinear")?;
    if source.output.get(2) != Some(x_zero) {
        return None;
    }
    let cast = uses.only_user(node.output.first()?, "Cast")?;
    let product = uses.only_user(cast.output.first()?, "Mul")?;
    let scales = product
        .input
        .iter()
        .find(|input| **input != cast.output[0])?;
    let scales = uses.made_by(scales, "Mul")?;
    let x_scale = source.output.get(1)?;
    if !scales.input.contains(x_scale) {
        return None;
    }
    let scale = scales.input.iter().find(|input| *input != x_scale)?;
    Some(Found {
        x: source.input.first()?.clone(),
        weights: w.clone(),
        zero: uses.values(zero)?.1,
        scale: uses.values(scale)?.1,
        out: product.output.first()?.clone(),
    })
}

/// A node that takes a layer's place, and its constants.
struct Joined {
    node: NodeProto,
    tensors: Vec<TensorProto>,
}

/// A convolution with integer weights `[out, …]` as the one in floats that it stands for.
fn in_floats(uses: &Uses, node: &NodeProto, found: Found) -> Option<Joined> {
    let tensor = uses.constants.get(found.weights.as_str())?;
    let (shape, mut weights) = uses.values(&found.weights)?;
    let channels = *shape.first()?;
    let fits = |values: &[f32]| values.len() == 1 || values.len() == channels;
    if channels == 0 || !fits(&found.zero) || !fits(&found.scale) {
        return None;
    }
    let length = (weights.len() / channels).max(1);
    for (channel, filter) in weights.chunks_mut(length).enumerate() {
        let (zero, scale) = (
            found.zero[channel % found.zero.len()],
            found.scale[channel % found.scale.len()],
        );
        filter.iter_mut().for_each(|w| *w = (*w - zero) * scale);
    }
    let name = format!("{}.weights", found.out);
    let mut values = floats(name.clone(), weights);
    values.dims.clone_from(&tensor.dims);
    let node = NodeProto {
        input: vec![found.x, name],
        name: found.out.clone(),
        output: vec![found.out],
        op_type: "Conv".into(),
        attribute: node.attribute.clone(),
        ..NodeProto::default()
    };
    Some(Joined {
        node,
        tensors: vec![values],
    })
}

/// `None` when the weights are no sound integer matrix: then the layer stays as it is.
fn join(uses: &Uses, found: Found) -> Option<Joined> {
    let tensor = uses.constants.get(found.weights.as_str())?;
    let (k, n) = match tensor.dims.as_slice() {
        [k, n] => (usize::try_from(*k).ok()?, usize::try_from(*n).ok()?),
        _ => return None,
    };
    let signed = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Int8 => true,
        DataType::Uint8 => false,
        _ => return None,
    };
    let raw = tensor.raw_data.as_slice();
    let fits = |values: &[f32]| values.len() == 1 || values.len() == n;
    if n == 0 || Some(raw.len()) != k.checked_mul(n) || !fits(&found.zero) || !fits(&found.scale) {
        return None;
    }
    let column = |values: &[f32]| -> Vec<f32> { values.iter().copied().cycle().take(n).collect() };
    let (zero, mut scale) = (column(&found.zero), column(&found.scale));
    let weights = symmetric(raw, signed, &zero, &mut scale);
    let (bias, out) = match bias_after(uses, &found.out, n) {
        Some((bias, out)) => (Some(bias), out),
        None => (None, found.out),
    };
    let name = |part: &str| format!("{out}.{part}");
    let mut input = vec![found.x, name("weights"), name("scale")];
    let mut tensors = vec![
        TensorProto {
            name: name("weights"),
            dims: tensor.dims.clone(),
            data_type: DataType::Int8 as i32,
            raw_data: weights,
            ..TensorProto::default()
        },
        floats(name("scale"), scale),
    ];
    if let Some(bias) = bias {
        input.push(name("bias"));
        tensors.push(floats(name("bias"), bias));
    }
    let node = NodeProto {
        input,
        name: out.clone(),
        output: vec![out],
        op_type: LINEAR.into(),
        ..NodeProto::default()
    };
    Some(Joined { node, tensors })
}

fn floats(name: String, values: Vec<f32>) -> TensorProto {
    TensorProto {
        name,
        dims: vec![values.len() as i64],
        data_type: DataType::Float as i32,
        float_data: values,
        ..TensorProto::default()
    }
}

/// Codes of `[k, n]` without a zero point, q ∈ [-127, 127]. Where a column's do not fit, it is coded
/// again with a scale of its own; a per-tensor code leaves room for that, since few columns use all of it.
fn symmetric(raw: &[u8], signed: bool, zero: &[f32], scale: &mut [f32]) -> Vec<u8> {
    let n = scale.len();
    let is_centred = signed && zero.iter().all(|zero| *zero == 0.0);
    if is_centred && !raw.contains(&(i8::MIN as u8)) {
        return raw.to_vec(); // as `convert` writes it
    }
    let code = |q: u8, column: usize| {
        let q = if signed {
            f32::from(q as i8)
        } else {
            f32::from(q)
        };
        q - zero[column]
    };
    let mut most = vec![0f32; n];
    for row in raw.chunks_exact(n) {
        for (column, (&q, most)) in row.iter().zip(&mut most).enumerate() {
            *most = most.max(code(q, column).abs());
        }
    }
    let wider: Vec<f32> = most
        .iter()
        .map(|m| if *m > 127.0 { m / 127.0 } else { 1.0 })
        .collect();
    scale
        .iter_mut()
        .zip(&wider)
        .for_each(|(scale, wider)| *scale *= wider);
    let mut codes = raw.to_vec();
    for row in codes.chunks_exact_mut(n) {
        for (column, q) in row.iter_mut().enumerate() {
            *q = nearest(code(*q, column) / wider[column]) as u8;
        }
    }
    codes
}

/// The bias that is added to `value`, of one number a column, and the name of the sum.
fn bias_after(uses: &Uses, value: &str, n: usize) -> Option<(Vec<f32>, String)> {
    let add = uses.only_user(value, "Add")?;
    let other = add.input.iter().find(|input| *input != value)?;
    let (shape, bias) = uses.values(other)?;
    let one_a_column = bias.len() == n && shape.last() == Some(&n);
    // A bias of more axes than the product would add axes to it; leading ones of one do not count here.
    (one_a_column && shape.len() <= 2).then(|| (bias, add.output[0].clone()))
}

/// Drops nodes and constants that no output needs.
pub(super) fn drop_unused(graph: &mut GraphProto) {
    let mut needed: HashSet<String> = graph.output.iter().map(|o| o.name.clone()).collect();
    let makers: HashMap<String, usize> = (graph.node.iter().enumerate())
        .flat_map(|(at, node)| node.output.iter().map(move |output| (output.clone(), at)))
        .collect();
    let mut open: Vec<String> = needed.iter().cloned().collect();
    let mut kept = vec![false; graph.node.len()];
    while let Some(value) = open.pop() {
        let Some(&at) = makers.get(&value) else {
            continue;
        };
        if std::mem::replace(&mut kept[at], true) {
            continue;
        }
        // A subgraph may use any value; which, only its nodes tell.
        if graph.node[at].attribute.iter().any(|a| a.g.is_some()) {
            return;
        }
        for input in &graph.node[at].input {
            if needed.insert(input.clone()) {
                open.push(input.clone());
            }
        }
    }
    let mut kept = kept.into_iter();
    graph.node.retain(|_| kept.next().unwrap_or(true));
    graph
        .initializer
        .retain(|tensor| needed.contains(&tensor.name));
}
