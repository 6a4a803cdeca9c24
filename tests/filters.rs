//! Filtered searches find what exact ones do. `cargo xtask bench library` measures 100,000 photos.

mod filtered;

use filtered::{Vectors, library, measure};
use photorecall::library::ModelRef;

const DIM: usize = 256;

#[test]
fn filtered_searches_find_what_exact_ones_do() {
    let mut vectors = Vectors::new(3, DIM);
    let model = ModelRef {
        name: "m".into(),
        digest: "d".into(),
        dim: DIM,
    };
    let (library, rows) = library(12_000, model, &mut vectors);
    let queries: Vec<Vec<f32>> = (0..50).map(|_| vectors.draw()).collect();
    for of in measure(&library, &rows, &queries) {
        let (share, recall) = (of.share as f64 / 10.0, of.recall);
        println!(
            "{share:5.1} % match: recall@10 {recall:.3}, {:.2} ms, then {:.2} ms",
            of.first_ms, of.ms
        );
        assert!(recall >= 0.95, "{share} % match: recall@10 {recall}");
    }
}
