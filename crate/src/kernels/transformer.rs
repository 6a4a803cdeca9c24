//! What a transformer's layer does besides its matrix products.

use super::attention::{AttentionShape, MOST_TOKENS};
use super::packed::AttentionScratch;
use super::{Kernels, Norm};

/// Attention's signature: query, key, value; shape; mask; output; scratch.
type Attention =
    unsafe fn([&[f32]; 3], AttentionShape, Option<&[f32]>, &mut [f32], &mut AttentionScratch);

/// One instruction set's functions for it.
pub(super) struct Transformer {
    pub layer_norm: unsafe fn(&[f32], Norm, &mut [f32]),
    pub attention: Attention,
    pub quick_gelu: unsafe fn(&mut [f32]),
    pub gelu: unsafe fn(&mut [f32]),
    pub softmax_rows: unsafe fn(&mut [f32], usize),
}

impl Kernels {
    fn transformer(&self) -> &Transformer {
        self.transformer.as_ref().expect("a build that encodes")
    }

    /// Normalises rows (Ba, Kiros and Hinton 2016).
    ///
    /// # Panics
    /// When `x` has no whole rows, or the norm not as many columns as the output.
    pub fn layer_norm(&self, x: &[f32], norm: Norm, out: &mut [f32]) {
        let k = norm.scale.len();
        assert!(k > 0 && x.len().is_multiple_of(k), "rows of {k}");
        assert_eq!((norm.bias.len(), out.len()), (k, x.len()), "a norm of {k}");
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.transformer().layer_norm)(x, norm, out) }
    }

    /// softmax(q·kᵀ·scale + mask)·v for every head; `q`, `k`, `v` and `out` are `[t, heads, d]`, the
    /// additive mask is `[t, t]`.
    ///
    /// # Panics
    /// When a length is not the shape's.
    pub fn attention(
        &self,
        qkv: [&[f32]; 3],
        shape: AttentionShape,
        mask: Option<&[f32]>,
        out: &mut [f32],
        scratch: &mut AttentionScratch,
    ) {
        let AttentionShape { t, heads, d, .. } = shape;
        assert!(
            qkv.iter().all(|x| x.len() == t * heads * d),
            "q, k, v [{t}, {heads}, {d}]"
        );
        assert_eq!(out.len(), t * heads * d, "output [{t}, {heads}, {d}]");
        assert!(
            mask.is_none_or(|mask| mask.len() == t * t),
            "mask [{t}, {t}]"
        );
        assert!(t > 0 && heads > 0 && d > 0, "an empty attention");
        assert!(t <= MOST_TOKENS, "{t} tokens");
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.transformer().attention)(qkv, shape, mask, out, scratch) }
    }

    /// x·σ(1.702·x) in place, as CLIP was trained with.
    pub fn quick_gelu(&self, x: &mut [f32]) {
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.transformer().quick_gelu)(x) }
    }

    /// x·Φ(x) in place (Hendrycks and Gimpel 2016), erf to 5·10⁻⁷.
    pub fn gelu(&self, x: &mut [f32]) {
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.transformer().gelu)(x) }
    }

    /// The softmax of each row of `columns` values, in place.
    ///
    /// # Panics
    /// When the length is no multiple of `columns`.
    pub fn softmax_rows(&self, x: &mut [f32], columns: usize) {
        assert!(
            columns > 0 && x.len().is_multiple_of(columns),
            "rows of {columns}"
        );
        // SAFETY: `choice` found this table's instructions.
        unsafe { (self.transformer().softmax_rows)(x, columns) }
    }
}
