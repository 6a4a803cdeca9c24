//! Our side of `cargo xtask bench encoder`, natively: loads a model and answers line by line, so that the
//! peers can be measured between its answers.
//!
//! `encoder convert IN OUT`: an ONNX file in f32 to int8. `encoder run FOLDER TENSOR TEXT…`: a model's
//! folder, a file with the image tower's input, and texts. Input: `image RUNS` or `text AT RUNS`.

use std::io::{BufRead, Error, ErrorKind, Result};

use cpu_time::ThreadTime;
use photorecall::Kernels;
use photorecall::encoder::{Folder, Model, convert};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["convert", from, to] => {
            let converted = convert::to_int8(from, &std::fs::read(from)?);
            std::fs::write(to, converted.map_err(Error::other)?.onnx)
        }
        ["run", folder, tensor, texts @ ..] => run(folder, tensor, texts),
        // As `cargo test --benches` starts it.
        _ => Ok(()),
    }
}

fn run(folder: &str, tensor: &str, texts: &[&str]) -> Result<()> {
    let started = std::time::Instant::now();
    let model = Model::load(&Folder::new(folder), Kernels::best()).map_err(Error::other)?;
    let text = model.text().map_err(Error::other)?;
    let ids: Vec<_> = texts
        .iter()
        .map(|said| text.tokenizer().ids(said))
        .collect();
    let told = json!({
        "kernels": Kernels::best().name(),
        "load_ms": 1e3 * started.elapsed().as_secs_f64(),
        "ids": ids,
    });
    println!("{told}");
    let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let tensor: Vec<f32> = std::fs::read(tensor)?.chunks_exact(4).map(number).collect();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words.as_slice() {
            ["image", runs] => measure(number_of(runs)?, || model.image().embed(&tensor)),
            ["text", at, runs] => {
                let ids = ids.get(number_of(at)?).ok_or_else(|| unknown(&line))?;
                measure(number_of(runs)?, || text.embed_ids(ids))
            }
            _ => Err(unknown(&line)),
        };
        println!("{}", answer?);
    }
    Ok(())
}

fn number_of(word: &str) -> Result<usize> {
    word.parse().map_err(|_| unknown(word))
}

fn unknown(line: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("not `image RUNS` or `text AT RUNS`: {line}"),
    )
}

/// CPU milliseconds of each run, and what came of the last one.
fn measure(
    runs: usize,
    embed: impl Fn() -> std::result::Result<Vec<f32>, photorecall::Error>,
) -> Result<Value> {
    let mut times = Vec::new();
    let mut embedding = Vec::new();
    for _ in 0..runs {
        let started = ThreadTime::now();
        embedding = embed().map_err(Error::other)?;
        times.push(1e3 * started.elapsed().as_secs_f64());
    }
    Ok(json!({ "ms": times, "embedding": embedding }))
}
