//! Operators of ours that stand in tract's graphs.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;

use crate::kernels::{Aligned, AttentionScratch, AttentionShape, Kernels, Rows};

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
pub(super) fn values(tensor: &Tensor) -> TractResult<&[f32]> {
    tensor.try_as_plain_ram()?.as_slice::<f32>()
}

/// Fills a fresh tensor.
pub(super) fn filled(shape: &[usize], fill: impl FnOnce(&mut [f32])) -> TractResult<TVec<TValue>> {
    let mut out = Tensor::zero::<f32>(shape)?;
    fill(out.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
    Ok(tvec!(out.into_tvalue()))
}

/// What operators need while they run.
#[derive(Default)]
pub(super) struct Scratch {
    pub rows: Rows,
    pub attention: AttentionScratch,
    /// Matrices between the layers of a block.
    pub between: [Aligned<f32>; 4],
}

/// Lends a thread's scratch, which keeps its memory from one operator to the next.
pub(super) fn with_scratch<R>(use_it: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    SCRATCH.with_borrow_mut(use_it)
}

/// What is added to an attention's scores.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Mask {
    None,
    /// `[t, t]`, the same for every input.
    Constant(Arc<Tensor>),
    /// `[t, t]`, or `[t]` for all queries alike: the operator's fourth input.
    Input,
}

/// softmax(q·kᵀ·scale + mask)·v over `[t, heads, d]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FusedAttention {
    pub shape: AttentionShape,
    pub mask: Mask,
    pub table: Table,
}

impl Eq for FusedAttention {}

impl Hash for FusedAttention {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let AttentionShape { t, heads, d, .. } = self.shape;
        let (scale, causal) = (self.shape.scale.to_bits(), self.shape.causal);
        (t, heads, d, scale, causal, &self.mask).hash(state);
    }
}

impl FusedAttention {
    /// Into `out` `[t, heads, d]`; `mask` is the operator's fourth input.
    pub fn run(
        &self,
        qkv: [&[f32]; 3],
        mask: Option<&TValue>,
        out: &mut [f32],
        scratch: &mut AttentionScratch,
    ) -> TractResult<()> {
        let t = self.shape.t;
        let every_query;
        let mask = match (&self.mask, mask) {
            (Mask::Constant(mask), _) => Some(values(mask)?),
            (Mask::Input, Some(mask)) => match values(mask)? {
                row if row.len() == t => {
                    every_query = row.repeat(t);
                    Some(&*every_query)
                }
                whole => Some(whole),
            },
            _ => None,
        };
        let kernels = self.table.0;
        kernels.attention(qkv, self.shape, mask, out, scratch);
        Ok(())
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
        let [q, k, v] = [0, 1, 2].map(|at| values(&inputs[at]));
        let (qkv, mask) = ([q?, k?, v?], inputs.get(3));
        let AttentionShape { t, heads, d, .. } = self.shape;
        let mut done = Ok(());
        let filled = filled(&[t, heads, d], |out| {
            done = with_scratch(|scratch| self.run(qkv, mask, out, &mut scratch.attention));
        });
        done.and(filled)
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
