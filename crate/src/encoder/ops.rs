//! Operators of ours that stand in tract's graphs.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;

use crate::kernels::{AttentionScratch, AttentionShape, GemmScratch, Kernels, PackedI8};

/// Kernels as part of an operator's identity: tables are told apart by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table(pub &'static Kernels);

/// What tract's `Rewriter` asks of its context; rules are always given a table.
impl Default for Table {
    fn default() -> Self {
        Self(Kernels::best())
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for Table {}

impl Hash for Table {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

/// A tensor's values in a row.
fn values(tensor: &Tensor) -> TractResult<&[f32]> {
    tensor.try_as_plain_ram()?.as_slice::<f32>()
}

/// Fills a fresh tensor.
fn filled(shape: &[usize], fill: impl FnOnce(&mut [f32])) -> TractResult<TVec<TValue>> {
    let mut out = Tensor::zero::<f32>(shape)?;
    fill(out.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
    Ok(tvec!(out.into_tvalue()))
}

/// x · W + b with int8 weights: `[…, m, k]` → `[…, m, n]`.
#[derive(Debug, Clone)]
pub(super) struct QLinear {
    pub weights: Arc<PackedI8>,
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
        "QLinear".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        let (k, n) = (self.weights.k(), self.weights.n());
        Ok(vec![format!(
            "[{}, {k}] x [{k}, {n}] on {}",
            self.rows,
            self.table.0.name()
        )])
    }

    op_as_typed_op!();
}

impl EvalOp for QLinear {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let x = values(&inputs[0])?;
        filled(&self.shape, |out| {
            self.table.0.gemm_i8(
                x,
                self.rows,
                &self.weights,
                out,
                &mut GemmScratch::default(),
            );
        })
    }
}

impl TypedOp for QLinear {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&*self.shape)))
    }

    as_op!();
}

/// softmax(q·kᵀ·scale + mask)·v over `[t, heads, d]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FusedAttention {
    pub shape: AttentionShape,
    /// `[t, t]`, added to the scores.
    pub mask: Option<Arc<Tensor>>,
    pub table: Table,
}

impl Eq for FusedAttention {}

impl Hash for FusedAttention {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let AttentionShape { t, heads, d, scale } = self.shape;
        (t, heads, d, scale.to_bits(), &self.mask).hash(state);
    }
}

impl Op for FusedAttention {
    fn name(&self) -> StaticName {
        "FusedAttention".into()
    }

    op_as_typed_op!();
}

impl EvalOp for FusedAttention {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let qkv = [
            values(&inputs[0])?,
            values(&inputs[1])?,
            values(&inputs[2])?,
        ];
        let mask = self.mask.as_deref().map(values).transpose()?;
        let AttentionShape { t, heads, d, .. } = self.shape;
        filled(&[t, heads, d], |out| {
            self.table
                .0
                .attention(qkv, self.shape, mask, out, &mut AttentionScratch::default());
        })
    }
}

impl TypedOp for FusedAttention {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let AttentionShape { t, heads, d, .. } = self.shape;
        Ok(tvec!(f32::fact([t, heads, d])))
    }

    as_op!();
}

/// x·σ(1.702·x).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct QuickGelu {
    pub table: Table,
}

impl Op for QuickGelu {
    fn name(&self) -> StaticName {
        "QuickGelu".into()
    }

    op_as_typed_op!();
}

impl EvalOp for QuickGelu {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut x = args_1!(inputs).into_tensor();
        self.table
            .0
            .quick_gelu(x.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(tvec!(x.into_tvalue()))
    }
}

impl TypedOp for QuickGelu {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].clone()))
    }

    as_op!();
}
