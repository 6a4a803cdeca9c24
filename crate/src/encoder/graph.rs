//! One ONNX graph, ready to run.

use std::collections::BTreeMap;
use std::sync::Arc;

use tract_onnx::prelude::*;

use super::linear::FromOnnx;
use super::{onnx, rules};
use crate::error::{Error, Result};
use crate::kernels::Kernels;

/// Which nodes run on our kernels, and what is left to tract.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct RewriteReport {
    /// Rule → how many times it matched.
    pub rewritten: BTreeMap<&'static str, usize>,
    /// Operator → how many nodes tract runs.
    pub left: BTreeMap<String, usize>,
}

/// A loaded graph of one input and one output.
pub(super) struct Graph {
    file: String,
    plan: Arc<TypedRunnableModel>,
    shape: Vec<usize>,
    report: RewriteReport,
}

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
        let (plan, report) = prepared.map_err(|error| wrong(file, &error))?;
        Ok(Self {
            file: file.to_owned(),
            plan,
            shape,
            report,
        })
    }

    pub fn report(&self) -> &RewriteReport {
        &self.report
    }

    pub fn run_f32(&self, values: &[f32]) -> Result<Vec<f32>> {
        self.run(Tensor::from_shape(&self.shape, values))
    }

    pub fn run_ids(&self, ids: &[i64]) -> Result<Vec<f32>> {
        self.run(Tensor::from_shape(&self.shape, ids))
    }

    fn run(&self, input: TractResult<Tensor>) -> Result<Vec<f32>> {
        let run = || -> TractResult<Vec<f32>> {
            let outputs = self.plan.run(tvec!(input?.into()))?;
            let output = outputs[0].cast_to::<f32>()?;
            Ok(output
                .to_plain_array_view::<f32>()?
                .iter()
                .copied()
                .collect())
        };
        run().map_err(|error| wrong(&self.file, &error))
    }
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
) -> TractResult<(Arc<TypedRunnableModel>, RewriteReport)> {
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
    let model = model.into_optimized()?;
    let mut left = BTreeMap::new();
    for node in model.nodes() {
        let name = node.op.name().into_owned();
        if !["Const", "Source"].contains(&name.as_str()) && !rewritten.contains_key(name.as_str()) {
            *left.entry(name).or_default() += 1;
        }
    }
    Ok((model.into_runnable()?, RewriteReport { rewritten, left }))
}
