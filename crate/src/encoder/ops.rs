//! Operators of ours that stand in tract's graphs.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;

use crate::kernels::{AttentionScratch, AttentionShape, Kernels};

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
        let AttentionShape { t, heads, d, .. } = self.shape;
        let every_query;
        let mask = match &self.mask {
            Mask::None => None,
            Mask::Constant(mask) => Some(values(mask)?),
            Mask::Input => match values(&inputs[3])? {
                row if row.len() == t => {
                    every_query = row.repeat(t);
                    Some(&*every_query)
                }
                whole => Some(whole),
            },
        };
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
