//! Bytes against recall: each code by itself, scanned whole.

use photorecall::Kernels;
use photorecall::index::{Bitset, Code, CodeBits, Depth, Hit, Quantised, Recipe, Structure};
use rayon::prelude::*;
use serde_json::json;

use super::queries::Queries;

/// How many times as many rows as are asked for are ranked again, as with the peer's codes.
const AGAIN: usize = 20;

/// Codes with what ranks again.
type Pairs = Vec<(Code, Option<Code>)>;

fn families(dim: usize) -> [(&'static str, Pairs); 5] {
    let alone = |codes: &[Code]| codes.iter().map(|code| (*code, None)).collect();
    let again = |codes: &[Code]| codes.iter().map(|code| (*code, Some(Code::Int8))).collect();
    let rotated = CodeBits::ALL.map(Code::RaBitQ);
    let wide = [dim / 16, dim / 8, dim / 4].map(|bytes| Code::Pq8 { axes: dim / bytes });
    [
        ("photorecall PQ, 8 bits", alone(&wide)),
        (
            "photorecall PQ, 4 bits, alone and with 8 bits an axis again",
            {
                let four = [Code::Pq4];
                [alone(&four), again(&four)].concat()
            },
        ),
        ("photorecall RaBitQ, 1, 2, 4 bits", alone(&rotated)),
        ("photorecall RaBitQ, 8 bits an axis again", again(&rotated)),
        (
            "photorecall 8 and 16 bits an axis",
            alone(&[Code::Int8, Code::F16]),
        ),
    ]
}

/// Tells, a line a code, its family, bytes a vector and recall@10 of each set of queries.
pub fn measure(vectors: &[f32], dim: usize, sets: &[Queries]) {
    let rows = vectors.len() / dim;
    let vector = |row: usize, out: &mut [f32]| out.copy_from_slice(&vectors[row * dim..][..dim]);
    for (family, recipes) in families(dim) {
        for (code, refine) in recipes {
            let recipe = Recipe {
                structure: Structure::Flat,
                code,
                refine,
            };
            let (index, order) = Quantised::build(recipe, (rows, dim), 1, &vector);
            let (scanned, finer) = index.bytes();
            let recalls: Vec<f64> = sets.iter().map(|set| recall(&index, &order, set)).collect();
            let told = json!({
                "family": family,
                "code": format!("{code:?}"),
                "bytes_per_vector": ((scanned + finer) as f64 / rows as f64).round(),
                "recall_at_10": recalls,
            });
            println!("{told}");
        }
    }
}

fn recall(index: &Quantised, order: &[u32], set: &Queries) -> f64 {
    let hidden = Bitset::new(index.len());
    let depth = Depth {
        rerank: AGAIN * 10,
        ..Depth::default()
    };
    let answers: Vec<Vec<Hit>> = set
        .vectors
        .par_chunks_exact(set.dim)
        .map(|query| index.search(query, 10, depth, &hidden, Kernels::best()))
        .collect();
    set.recall(answers.iter().map(|hits| &hits[..]), order)
}
