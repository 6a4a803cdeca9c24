//! Vectors in halves: IEEE 754 binary16, two bytes an axis.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::parallel::fill_rows;
use crate::kernels::Kernels;

/// Rows of vectors in halves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Halves {
    dim: usize,
    /// `[rows, dim]`
    values: Vec<f16>,
}

impl Halves {
    /// Of `rows` vectors `[dim]`; `vector(row, out)` fills one in.
    pub(super) fn encode(
        (rows, dim): (usize, usize),
        vector: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        let mut values = vec![f16::ZERO; rows * dim];
        fill_rows(&mut values, dim, |row, out| {
            let mut x = vec![0.0; dim];
            vector(row, &mut x);
            out.convert_from_f32_slice(&x);
        });
        Self { dim, values }
    }

    /// From stored values `[rows, dim]`, which need not be whole yet: see [`Halves::is_whole`].
    pub fn from_stored(dim: usize, values: Vec<f16>) -> Self {
        Self { dim, values }
    }

    /// The values `[rows, dim]`, to be stored.
    pub fn values(&self) -> &[f16] {
        &self.values
    }

    /// Whether there are `rows` rows of `dim` axes, and every number is finite.
    pub fn is_whole(&self, rows: usize, dim: usize) -> bool {
        self.dim == dim
            && rows.checked_mul(dim) == Some(self.values.len())
            && self.values.iter().all(|x| x.is_finite())
    }

    /// The inner products of `query` `[dim]` with `rows`, appended to `products`.
    pub(super) fn products(
        &self,
        query: &[f32],
        rows: impl Iterator<Item = usize>,
        kernels: &Kernels,
        products: &mut Vec<f32>,
    ) {
        let mut row = vec![0.0; self.dim];
        for at in rows {
            self.values[at * self.dim..][..self.dim].convert_to_f32_slice(&mut row);
            products.push(kernels.dot_f32(query, &row));
        }
    }
}
