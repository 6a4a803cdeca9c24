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
        let score: f64 = row
            .iter()
            .zip(query)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum();
        top.offer(Hit {
            id: id as u32,
            score: score as f32,
        });
    }
    top.into_hits()
}

#[cfg(test)]
mod tests {
    use super::*;

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
