//! Flat search over f32 rows: what recall is measured against.

use super::Hit;
use super::top::Top;

/// The `k` rows of `vectors` `[rows, dim]` with the largest inner product with `query` `[dim]`, each
/// summed in f64, best first.
///
/// # Panics
/// When the lengths do not fit `dim`.
pub fn search(vectors: &[f32], dim: usize, query: &[f32], k: usize) -> Vec<Hit> {
    assert!(
        dim > 0 && vectors.len().is_multiple_of(dim) && query.len() == dim,
        "rows of {dim}"
    );
    let mut top = Top::new(k);
    for (id, row) in vectors.chunks_exact(dim).enumerate() {
        top.offer(Hit {
            id: id as u32,
            score: dot(row, query) as f32,
        });
    }
    top.into_hits()
}

/// Σ aᵢ·bᵢ in f64, in an order that is the same on every machine; sums that do not wait for each other.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    const SUMS: usize = 8;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<SUMS>(), b.as_chunks::<SUMS>());
    let mut sums = [0f64; SUMS];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(*a) * f64::from(*b);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += f64::from(*a) * f64::from(*b);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_all_axes() {
        for len in [0, 1, 7, 8, 9, 31] {
            let (a, b): (Vec<f32>, Vec<f32>) = (1..=len).map(|x| (x as f32, 2.0)).unzip();
            assert_eq!(dot(&a, &b), f64::from(len * (len + 1)), "{len} axes");
        }
    }

    #[test]
    fn best_first_and_ties_by_id() {
        let rows = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
        let ids: Vec<u32> = search(&rows, 2, &[0.0, 1.0], 3)
            .iter()
            .map(|hit| hit.id)
            .collect();
        assert_eq!(ids, [0, 2, 3]);
    }
}
