//! Our side of `cargo xtask bench index`: builds the compact index, then answers line by line, so that
//! the peers can be measured between its answers. With `--codes` it tells what each code alone comes to.
//!
//! `index [--codes] BASE QUERIES…`: `.npy` files of f32 vectors; of each file of queries the ten true neighbours
//! are in the file with the same name and `.truth.npy` (i32). Input: `QUERIES RECALL`, as `0 fast`; a number
//! in place of the recall is an effort: 0 is that for `fast`, 1 that for `high`, others lie between or beyond. With
//! `together` after it, all queries are asked at once, on every core.

use std::io::{BufRead, Error, ErrorKind};

#[path = "index/codes.rs"]
mod codes;
#[path = "index/queries.rs"]
mod queries;

use cpu_time::{ProcessTime, ThreadTime};
use photorecall::Kernels;
use photorecall::index::{Bitset, Compact, Effort, Efforts, Explanation, Hit, Recall, Search};
use queries::{Queries, read};
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
    let sets: Vec<Queries> = queries
        .iter()
        .map(|path| Queries::read(path))
        .collect::<Result<_, _>>()?;
    if std::env::args().any(|arg| arg == "--codes") {
        codes::measure(&vectors, dim, &sets);
        return Ok(());
    }
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
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (set, recall) = line.split_once(' ').ok_or_else(|| unknown(&line))?;
        let set = set.parse::<usize>().ok().and_then(|set| sets.get(set));
        let set = set.ok_or_else(|| unknown(&line))?;
        let (recall, ask): (_, Ask) = match recall.strip_suffix(" together") {
            Some(recall) => (recall, together),
            None => (recall, one_by_one),
        };
        let told = match recall {
            "fast" => measure(set, (&index, &order), Recall::Fast, ask),
            "high" => measure(set, (&index, &order), Recall::High, ask),
            "exact" => measure(set, (&index, &order), Recall::Exact, ask),
            share => {
                let share = share.parse().map_err(|_| unknown(&line))?;
                measure(
                    set,
                    (&with_effort(&index, share), &order),
                    Recall::Fast,
                    ask,
                )
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

/// Answers all searches; how many seconds of a processor that takes.
type Ask = fn(&Compact, &[Search<'_>]) -> (Answers, f64);
type Answers = Vec<(Vec<Hit>, Explanation)>;

fn one_by_one(index: &Compact, searches: &[Search<'_>]) -> (Answers, f64) {
    let started = ThreadTime::now();
    let search = |search| index.search(search, Kernels::best());
    let answers = searches.iter().map(search).collect();
    (answers, started.elapsed().as_secs_f64())
}

fn together(index: &Compact, searches: &[Search<'_>]) -> (Answers, f64) {
    let started = ProcessTime::now();
    let answers = index.search_batch(searches, Kernels::best());
    (answers, started.elapsed().as_secs_f64())
}

fn measure(
    set: &Queries,
    (index, order): (&Compact, &[u32]),
    recall: Recall,
    ask: Ask,
) -> serde_json::Value {
    let hidden = Bitset::new(index.len());
    let queries = set.vectors.chunks_exact(set.dim);
    let searches: Vec<Search<'_>> = queries
        .map(|query| Search {
            query,
            k: 10,
            hidden: &hidden,
            recall,
        })
        .collect();
    let (answers, seconds) = ask(index, &searches);
    json!({
        "recall": set.recall(answers.iter().map(|(hits, _)| &hits[..]), order),
        "qps_cpu": answers.len() as f64 / seconds,
        "how": answers.last().map(|(_, how)| how),
    })
}
