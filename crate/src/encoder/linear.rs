//! x · W + b as an operator of ours, and how tract comes by it from an ONNX node.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::*;

use super::ops::{Table, filled, values, with_scratch};
use crate::kernels::{Before, Kernels, PackedF32, PackedI8, Then};

/// A packed matrix `[k, n]`.
#[derive(Debug)]
pub(super) enum Weights {
    /// Integers; the activations become integers too.
    I8(PackedI8),
    /// Floats, for single rows: they are over before their activations are quantised.
    F32(PackedF32),
}

impl Weights {
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::I8(w) => (w.k(), w.n()),
            Self::F32(w) => (w.k(), w.n()),
        }
    }
}

/// x · W + b with constant weights: `[…, m, k]` → `[…, m, n]`.
#[derive(Debug, Clone)]
pub(super) struct QLinear {
    pub weights: Arc<Weights>,
    pub shape: TVec<usize>,
    pub rows: usize,
    pub table: Table,
}

impl PartialEq for QLinear {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.weights, &other.weights) && self.shape == other.shape
    }
}

impl Eq for QLinear {}

impl Hash for QLinear {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (Arc::as_ptr(&self.weights) as usize, &self.shape).hash(state);
    }
}

impl Op for QLinear {
    fn name(&self) -> StaticName {
        match *self.weights {
            Weights::I8(_) => "QLinear".into(),
            Weights::F32(_) => "Linear".into(),
        }
    }

    fn info(&self) -> TractResult<Vec<String>> {
        let (k, n) = self.weights.shape();
        let (rows, table) = (self.rows, self.table.0.name());
        Ok(vec![format!("[{rows}, {k}] x [{k}, {n}] on {table}")])
    }

    op_as_typed_op!();
}

impl EvalOp for QLinear {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (x, kernels) = (values(&inputs[0])?, self.table.0);
        filled(&self.shape, |out| match &*self.weights {
            Weights::I8(w) => with_scratch(|scratch| {
                kernels.quantise(x, w.k(), Before::Nothing, &mut scratch.rows);
                kernels.multiply(&scratch.rows, w, Then::Store, out);
            }),
            Weights::F32(w) => kernels.gemm_f32(x, self.rows, w, out),
        })
    }
}

impl TypedOp for QLinear {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&*self.shape)))
    }

    as_op!();
}

/// The node that [`super::onnx`] makes: x, W i8 `[k, n]`, scale `[n]`, and a bias `[n]` or none.
#[derive(Debug, Clone)]
pub(super) struct FromOnnx {
    biased: bool,
    table: Table,
}

impl FromOnnx {
    /// For tract's register of operators; the node names the kernels' table.
    pub fn build(
        _context: &ParsingContext,
        node: &NodeProto,
    ) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
        let name = node.get_attr::<String>(super::onnx::TABLE)?;
        let kernels =
            Kernels::by_name(&name).with_context(|| format!("no kernels {name:?} here"))?;
        let op = Self {
            biased: node.input.len() == 4,
            table: Table(kernels),
        };
        Ok((expand(op), vec![]))
    }
}

impl Expansion for FromOnnx {
    fn name(&self) -> StaticName {
        super::onnx::LINEAR.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3 + usize::from(self.biased))?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, f32::datum_type())?;
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        s.given_2(&inputs[0].shape, &inputs[1].shape, move |s, mut x, w| {
            let (Some(last), [k, n]) = (x.last_mut(), &*w) else {
                bail!("a linear layer of x {x:?} and weights {w:?}");
            };
            ensure!(
                last == k,
                "a linear layer of {last} values, the weights take {k}"
            );
            *last = n.clone();
            s.equals(&outputs[0].shape, x)
        })
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let constant = |at: usize| -> TractResult<Arc<Tensor>> {
            let fact = model.outlet_fact(inputs[at])?;
            fact.konst.clone().context("weights that are no constant")
        };
        let (weights, scale) = (constant(1)?, constant(2)?);
        let bias = self.biased.then(|| constant(3)).transpose()?;
        let bias = bias.as_deref().map(values).transpose()?;
        let &[k, n] = weights.shape() else {
            bail!("weights of shape {:?}", weights.shape());
        };
        let q = weights.try_as_plain_ram()?.as_slice::<i8>()?;
        let scale = values(&scale)?;
        let x = model.outlet_fact(inputs[0])?.shape.as_concrete();
        let mut shape: TVec<usize> = x.context("an input of no fixed shape")?.into();
        let rows = shape.iter().rev().skip(1).product();
        *shape.last_mut().context("an input without axes")? = n;
        let kernels = self.table.0;
        let packed = if rows < 2 {
            let of = |(at, q): (usize, &i8)| f32::from(*q) * scale[at % n];
            let w: Vec<f32> = q.iter().enumerate().map(of).collect();
            Weights::F32(kernels.pack_f32(&w, k, n, bias))
        } else {
            Weights::I8(kernels.pack_i8(q, k, n, scale, bias))
        };
        let op = QLinear {
            weights: Arc::new(packed),
            shape,
            rows,
            table: self.table,
        };
        model.wire_node(prefix, op, &inputs[..1])
    }
}
