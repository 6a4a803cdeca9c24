//! Our side of `cargo xtask bench shards`: drawn vectors, indexed in ever more shards.
//!
//! `shards VECTORS DIM SHARDS…` prints one line of JSON for each number of shards. What is timed is all that
//! `photorecall shard` does once vectors are there: the codebook, the segments, the files beside them.

use std::time::Instant;

use serde_json::json;

#[path = "../../tests/collection.rs"]
mod collection;
use collection::{Vectors, build, model};

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let [count, dim, shards @ ..] = numbers.as_slice() else {
        // As `cargo test --benches` starts it.
        return;
    };
    let mut vectors = Vectors::new(*dim, (*count as f64).sqrt() as usize);
    let rows: Vec<f32> = (0..*count).flat_map(|_| vectors.photo()).collect();
    for shards in shards {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let started = Instant::now();
        build(folder.path(), &rows, *shards, &model(*dim));
        let seconds = started.elapsed().as_secs_f64();
        let bytes = |ending: &str| -> u64 {
            let files = std::fs::read_dir(folder.path()).expect("there").flatten();
            let files = files.filter(|file| file.path().extension().is_some_and(|of| of == ending));
            files
                .map(|file| file.metadata().expect("there").len())
                .sum()
        };
        let told = json!({
            "shards": shards,
            "vectors": count,
            "dim": dim,
            "seconds": seconds,
            "vectors_per_second": *count as f64 / seconds,
            "bytes_per_photo": bytes("segment") as f64 / *count as f64,
            "ranges_bytes_per_photo": bytes("ranges") as f64 / *count as f64,
        });
        println!("{told}");
    }
}
