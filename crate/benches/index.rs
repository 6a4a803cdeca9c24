//! Our side of `cargo xtask bench index`: builds the compact index, then answers line by line, so that
//! the peers can be measured between its answers.
//!
//! `index BASE QUERIES…`: `.npy` files of f32 vectors; of each file of queries the ten true neighbours
//! are in the file with the same name and `.truth.npy` (i32). Input: `QUERIES RECALL`, as `0 fast`; a number
//! in place of the recall is an effort: 0 is that for `fast`, 1 that for `high`, others lie between or beyond.

use std::io::{BufRead, Error, ErrorKind};

use cpu_time::{ProcessTime, ThreadTime};
use photorecall::Kernels;
use photorecall::index::{Bitset, Compact, Effort, Efforts, Recall, Search};
use serde_json::json;

fn main() -> std::io::Result<()> {
    let paths: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    let Some((base, queries)) = paths.split_first() else {
        // As `cargo test --benches` starts it.
        return Ok(());
    };
    let (vectors, dim) = read(base, f32::from_le_bytes)?;
    let rows = vectors.len() / dim;
    let started = ProcessTime::now();
    let vector = |row: usize, out: &mut [f32]| out.copy_from_slice(&vectors[row * dim..][..dim]);
    let (index, order) = Compact::build(rows, dim, 1, None, &vector);
    let parts = index.parts();
    let resident = parts.scan.codes.len()
        + 4 * parts.scan.codebook.len()
        + parts.lists.centroids.codes.len()
        + parts.graph.links.len()
        + 4 * parts.graph.starts.len();
    let fine = parts.fine.codes.len() + 8 * rows;
    let told = json!({
        "kernels": Kernels::best().name(),
        "rows_per_cpu_second": rows as f64 / started.elapsed().as_secs_f64(),
        "bytes_per_vector": (resident + fine) as f64 / rows as f64,
        "resident_bytes_per_vector": resident as f64 / rows as f64,
        "plan": parts.plan,
    });
    println!("{told}");
    let sets: Vec<Queries> = queries
        .iter()
        .map(|path| Queries::read(path))
        .collect::<Result<_, _>>()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (set, recall) = line.split_once(' ').ok_or_else(|| unknown(&line))?;
        let set = set.parse::<usize>().ok().and_then(|set| sets.get(set));
        let set = set.ok_or_else(|| unknown(&line))?;
        let told = match recall {
            "fast" => set.measure(&index, &order, Recall::Fast),
            "high" => set.measure(&index, &order, Recall::High),
            "exact" => set.measure(&index, &order, Recall::Exact),
            share => {
                let share = share.parse().map_err(|_| unknown(&line))?;
                set.measure(&with_effort(&index, share), &order, Recall::Fast)
            }
        };
        println!("{told}");
    }
    Ok(())
}

fn unknown(line: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("not `QUERIES RECALL`: {line}"),
    )
}

/// The same index, whose [`Recall::Fast`] lies so far on the way to [`Recall::High`], or beyond.
fn with_effort(index: &Compact, share: f32) -> Compact {
    let mut parts = index.parts().clone();
    let plan = &mut parts.plan;
    let leaning = plan.leaning.as_mut().map(|leaning| &mut leaning.efforts);
    for efforts in [&mut plan.photo, &mut plan.word].into_iter().chain(leaning) {
        efforts.fast = between(efforts, share);
    }
    Compact::from_parts(index.dim(), parts).expect("the plan alone was changed")
}

fn between(efforts: &Efforts, share: f32) -> Effort {
    let Efforts { fast, high } = efforts;
    let number = |a: f32, b: f32| a + (b - a) * share;
    let count = |a: u32, b: u32, least| number(a as f32, b as f32).max(least) as u32;
    Effort {
        nprobe: count(fast.nprobe, high.nprobe, 1.0),
        gap: match fast.gap.max(high.gap) < f32::MAX {
            true => number(fast.gap, high.gap),
            false => f32::MAX,
        },
        rerank: count(fast.rerank, high.rerank, 10.0),
        ef: count(fast.ef, high.ef, 0.0),
        recall: 0.0,
    }
}

struct Queries {
    vectors: Vec<f32>,
    dim: usize,
    truth: Vec<i32>,
}

impl Queries {
    fn read(path: &str) -> std::io::Result<Self> {
        let (vectors, dim) = read(path, f32::from_le_bytes)?;
        let (truth, _) = read(&path.replace(".npy", ".truth.npy"), i32::from_le_bytes)?;
        Ok(Self {
            vectors,
            dim,
            truth,
        })
    }

    fn measure(&self, index: &Compact, order: &[u32], recall: Recall) -> serde_json::Value {
        let hidden = Bitset::new(index.len());
        let started = ThreadTime::now();
        let mut answers = Vec::new();
        for query in self.vectors.chunks_exact(self.dim) {
            let search = Search {
                query,
                k: 10,
                hidden: &hidden,
                recall,
            };
            answers.push(index.search(&search, Kernels::best()));
        }
        let seconds = started.elapsed().as_secs_f64();
        let right = |((hits, _), truth): (&(Vec<_>, _), &[i32])| {
            let found =
                |hit: &&photorecall::index::Hit| truth.contains(&(order[hit.id as usize] as i32));
            hits.iter().filter(found).count()
        };
        let found: usize = answers
            .iter()
            .zip(self.truth.chunks_exact(10))
            .map(right)
            .sum();
        json!({
            "recall": found as f64 / self.truth.len() as f64,
            "qps_cpu": answers.len() as f64 / seconds,
            "how": answers.last().map(|(_, how)| how),
        })
    }
}

/// The numbers of a two-dimensional `.npy` file and its width.
fn read<T>(path: &str, number: fn([u8; 4]) -> T) -> std::io::Result<(Vec<T>, usize)> {
    let bytes = std::fs::read(path)?;
    let wrong = || {
        Error::new(
            ErrorKind::InvalidData,
            format!("{path}: not an .npy file of two dimensions"),
        )
    };
    let header_len = bytes
        .get(8..10)
        .map(|len| usize::from(u16::from_le_bytes([len[0], len[1]])));
    let start = 10 + header_len.ok_or_else(wrong)?;
    let header = String::from_utf8_lossy(bytes.get(10..start).ok_or_else(wrong)?);
    let shape = header
        .split("'shape': (")
        .nth(1)
        .and_then(|rest| rest.split(')').next());
    let width = shape.and_then(|shape| shape.split(',').nth(1)?.trim().parse().ok());
    let numbers = bytes[start..]
        .as_chunks()
        .0
        .iter()
        .map(|value| number(*value));
    Ok((numbers.collect(), width.ok_or_else(wrong)?))
}
