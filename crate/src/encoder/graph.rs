//! One ONNX graph, ready to run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::TractErrorContext as _;

use super::linear::FromOnnx;
use super::pattern::f32_values;
use super::{onnx, rules, shorten};
use crate::error::{Error, Result};
use crate::kernels::Kernels;

/// Which nodes run on our kernels, and what is left to tract.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct RewriteReport {
    /// Rule → how many times it matched.
    pub rewritten: BTreeMap<&'static str, usize>,
    /// Operator → how many nodes tract runs.
    pub left: BTreeMap<String, usize>,
    /// Whether a text is run at its own length, without the padding.
    pub own_length: bool,
}

/// A loaded graph of one input and one output.
pub(super) struct Graph {
    file: String,
    plan: Arc<TypedRunnableModel>,
    /// What shorter plans are made of; a text tower's alone.
    typed: Option<TypedModel>,
    /// Of a text tower, by the number of ids.
    shorter: Mutex<BTreeMap<usize, Arc<TypedRunnableModel>>>,
    shape: Vec<usize>,
    report: RewriteReport,
}

/// Ids by which the lengths of a text tower's plans differ.
const LENGTH_STEP: usize = 4;

/// The least cosine of a text's two vectors, with and without its padding, at which the padding may go.
const SAME: f64 = 0.9999;

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph({}, {:?})", self.file, self.shape)
    }
}

impl Graph {
    /// A graph whose input is f32 of that shape.
    pub fn image(
        file: &str,
        bytes: Vec<u8>,
        input: &str,
        output: &str,
        shape: [usize; 4],
        kernels: &'static Kernels,
    ) -> Result<Self> {
        Self::load(
            file,
            bytes,
            (input, f32::fact(shape).into()),
            output,
            shape.to_vec(),
            Some(kernels),
        )
    }

    /// A graph whose input is `length` ids.
    pub fn text(
        file: &str,
        bytes: Vec<u8>,
        input: &str,
        output: &str,
        length: usize,
        kernels: &'static Kernels,
    ) -> Result<Self> {
        let shape = [1, length];
        Self::load(
            file,
            bytes,
            (input, i64::fact(shape).into()),
            output,
            shape.to_vec(),
            Some(kernels),
        )
    }

    /// Without kernels tract runs everything as the file has it, linear layers in f32.
    pub fn load(
        file: &str,
        bytes: Vec<u8>,
        (input, fact): (&str, InferenceFact),
        output: &str,
        shape: Vec<usize>,
        kernels: Option<&'static Kernels>,
    ) -> Result<Self> {
        let prepared = prepare(bytes, (input, fact), output, &shape, kernels);
        let prepared = prepared.map_err(|error| wrong(file, &error))?;
        Ok(Self {
            file: file.to_owned(),
            plan: prepared.plan,
            typed: Some(prepared.typed).filter(|_| shape.len() == 2),
            shorter: Mutex::default(),
            shape,
            report: prepared.report,
        })
    }

    pub fn report(&self) -> &RewriteReport {
        &self.report
    }

    pub fn run_f32(&self, values: &[f32]) -> Result<Vec<f32>> {
        self.run(&self.plan, Tensor::from_shape(&self.shape, values))
    }

    pub fn run_ids(&self, ids: &[i64]) -> Result<Vec<f32>> {
        let used = used(ids);
        if self.report.own_length && used < ids.len() && self.shape[1..] == [ids.len()] {
            return self.run_shorter(&ids[..used]);
        }
        self.run(&self.plan, Tensor::from_shape(&self.shape, ids))
    }

    /// From now on a text is run at its own length, if `ids`, a padded text, show that it may be.
    pub fn try_shorter(&mut self, ids: &[i64]) {
        let used = used(ids);
        let whole = self.run(&self.plan, Tensor::from_shape(&self.shape, ids));
        let short = self.run_shorter(&ids[..used]);
        let same = whole.is_ok_and(|whole| short.is_ok_and(|short| cosine(&whole, &short) >= SAME));
        self.report.own_length = used < ids.len() && same;
        if !self.report.own_length {
            self.typed = None;
            self.shorter = Mutex::default();
        }
    }

    fn run_shorter(&self, ids: &[i64]) -> Result<Vec<f32>> {
        let known = |plans: &Mutex<BTreeMap<_, _>>| {
            let plans = plans.lock().unwrap_or_else(PoisonError::into_inner);
            plans.get(&ids.len()).cloned()
        };
        let plan = match known(&self.shorter) {
            Some(plan) => plan,
            None => {
                let of = |typed| shorten::shortened(typed, self.shape[1], ids.len());
                let short = self
                    .typed
                    .as_ref()
                    .context("no tower of texts")
                    .and_then(of);
                let plan = short.and_then(|model| model.into_optimized()?.into_runnable());
                let plan = plan.map_err(|error| wrong(&self.file, &error))?;
                let mut plans = self.shorter.lock().unwrap_or_else(PoisonError::into_inner);
                plans.entry(ids.len()).or_insert(plan).clone()
            }
        };
        self.run(&plan, Tensor::from_shape(&[1, ids.len()], ids))
    }

    fn run(&self, plan: &Arc<TypedRunnableModel>, input: TractResult<Tensor>) -> Result<Vec<f32>> {
        let run = || -> TractResult<Vec<f32>> {
            let outputs = plan.run(tvec!(input?.into()))?;
            let output = outputs[0].cast_to::<f32>()?;
            f32_values(&output)
        };
        run().map_err(|error| wrong(&self.file, &error))
    }
}

/// How many ids a text has with the first of its padding, which is what it ends with again and again.
fn used(ids: &[i64]) -> usize {
    let last = ids.last();
    let text = ids.iter().rposition(|id| Some(id) != last);
    let used = text.map_or(1, |at| at + 1) + 1;
    used.next_multiple_of(LENGTH_STEP).min(ids.len())
}

pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// A model before and after it was optimised, and what became of its layers.
struct Prepared {
    typed: TypedModel,
    plan: Arc<TypedRunnableModel>,
    report: RewriteReport,
}

fn wrong(file: &str, error: &TractError) -> Error {
    Error::Graph {
        file: file.to_owned(),
        reason: format!("{error:#}"),
    }
}

fn prepare(
    bytes: Vec<u8>,
    (input, fact): (&str, InferenceFact),
    output: &str,
    shape: &[usize],
    kernels: Option<&'static Kernels>,
) -> TractResult<Prepared> {
    let mut framework = tract_onnx::onnx();
    framework.op_register.insert(onnx::LINEAR, FromOnnx::build);
    // Neither the file nor its parsed form is kept beside the graph that is made of it.
    let wanted = onnx::Wanted {
        input,
        output,
        shape,
        kernels: kernels.map(Kernels::name),
    };
    let mut model = framework.model_for_proto_model(&onnx::read(bytes, &wanted)?)?;
    model.select_inputs_by_name([input])?;
    model.select_outputs_by_name([output])?;
    let model = model
        .with_input_fact(0, fact)?
        .into_typed()?
        .into_decluttered()?;
    let (model, rewritten) = match kernels {
        Some(kernels) => rules::apply(model, kernels)?,
        None => (model, BTreeMap::new()),
    };
    let typed = model.clone();
    let model = model.into_optimized()?;
    let mut left = BTreeMap::new();
    for node in model.nodes() {
        let name = node.op.name().into_owned();
        if !["Const", "Source"].contains(&name.as_str()) && !rewritten.contains_key(name.as_str()) {
            *left.entry(name).or_default() += 1;
        }
    }
    let report = RewriteReport {
        rewritten,
        left,
        own_length: false,
    };
    Ok(Prepared {
        typed,
        plan: model.into_runnable()?,
        report,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text tower of two layers, as `tests/golden/architectures.py` writes them, and its input.
    fn tower(name: &str, length: usize) -> Option<(Graph, Vec<i64>)> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/golden/architectures")
            .join(name);
        let Ok(bytes) = std::fs::read(folder.join("text.onnx")) else {
            println!("NOT RUN: {} is not there", folder.display());
            return None;
        };
        let numbers = std::fs::read(folder.join("text.f32")).expect("an input");
        let id = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]) as i64;
        let ids = numbers.chunks_exact(4).map(id).take(length).collect();
        let (kernels, input) = (Kernels::best(), "input_ids");
        let graph = Graph::text(name, bytes, input, "embeds", length, kernels).expect("a tower");
        Some((graph, ids))
    }

    #[test]
    fn a_text_that_looks_backwards_is_run_at_its_own_length() {
        let Some((mut graph, ids)) = tower("clip-vit-b32", 77) else {
            return;
        };
        let padded = graph.run_ids(&ids).expect("runs");
        graph.try_shorter(&ids);
        assert!(graph.report().own_length);
        let short = graph.run_ids(&ids).expect("runs");
        assert_eq!(short, padded, "nine ids and the padding after them");
        assert_eq!(graph.shorter.lock().expect("sound").len(), 1);
        // A text that fills the context.
        let full: Vec<i64> = (0..77).map(|at| 1000 + at).collect();
        graph.run_ids(&full).expect("runs");
        assert_eq!(graph.shorter.lock().expect("sound").len(), 1);
    }

    #[test]
    fn a_text_that_sees_its_padding_keeps_it() {
        let Some((mut graph, ids)) = tower("siglip", 64) else {
            return;
        };
        let padded = graph.run_ids(&ids).expect("runs");
        graph.try_shorter(&ids);
        assert!(!graph.report().own_length);
        assert_eq!(graph.run_ids(&ids).expect("runs"), padded);
    }

    #[test]
    fn a_text_ends_where_its_padding_begins() {
        let padded = |text: &[i64], pad| {
            let mut ids = text.to_vec();
            ids.resize(16, pad);
            used(&ids)
        };
        assert_eq!(padded(&[1, 5, 9], 9), 4, "the end is the padding");
        assert_eq!(
            padded(&[1, 5, 5, 9], 0),
            8,
            "the padding is an id of its own"
        );
        assert_eq!(padded(&[], 9), 4);
        assert_eq!(used(&(0..16).collect::<Vec<_>>()), 16);
    }
}
