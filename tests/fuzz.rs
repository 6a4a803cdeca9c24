//! Replays what fuzzing has found, and changes it at random for a while.
//!
//! `cargo xtask fuzz --minutes 60` changes it for so long in all, in CPU time.
//! A file that made a reader panic is kept in `tests/fuzz/corpus/READER/`, so that it is read here for
//! ever. `tests/fuzz/Cargo.toml` says how the same readers are run under libFuzzer.

mod random;
#[path = "fuzz/targets.rs"]
mod targets;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cpu_time::ProcessTime;
use photorecall::format::{self, Container, Kind};
use photorecall::index::{
    BinaryCollection, BinaryMetric, Code, CodeBits, Collection, Metric, Quantised, Recipe,
    Structure,
};
use random::Random;
use targets::{TARGETS, Target};

/// Seconds for each reader where nothing is asked for.
const SECONDS: u64 = 2;

fn corpus(reader: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fuzz/corpus")
        .join(reader);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    let mut seeds: Vec<Vec<u8>> = files
        .iter()
        .map(|file| std::fs::read(file).expect("readable"))
        .collect();
    for (manifest, segment) in targets::SAMPLES.iter() {
        match reader {
            "segment" => seeds.push(segment.clone()),
            "manifest" => seeds.push(manifest.clone()),
            "ranges" => {
                seeds.push(targets::RANGES.ranges.clone());
                seeds.push(targets::RANGES.codebook.clone());
                let container = Container::open("a sample", Kind::Segment, segment);
                let records = container.and_then(|all| all.section("records"));
                seeds.push(records.expect("there").to_vec());
                let mut vectors = Collection::new(4).expect("axes");
                vectors.add(&[1.0; 40]).expect("vectors");
                seeds.push(format::write_collection(&vectors));
                let mut near = Collection::with_metric(4, Metric::L2).expect("axes");
                let rows: Vec<f32> = (0..2100 * 4).map(|at| (at % 97) as f32).collect();
                near.add(&rows).expect("vectors");
                near.compact();
                seeds.push(format::write_collection(&near));
                let mut bits = BinaryCollection::new(64, BinaryMetric::Jaccard).expect("bytes");
                let rows: Vec<u8> = (0..2100 * 8).map(|at| (at * at % 251) as u8).collect();
                bits.add(&rows).expect("vectors");
                bits.compact();
                seeds.push(format::write_binary(&bits));
                seeds.extend(quantised());
            }
            _ => {}
        }
    }
    assert!(
        !seeds.is_empty(),
        "{}: nothing to start from",
        folder.display()
    );
    seeds
}

/// An index of each structure and code.
fn quantised() -> impl Iterator<Item = Vec<u8>> {
    let recipes = [
        (Structure::Flat, Code::F16, None),
        (
            Structure::Ivf { nlist: Some(3) },
            Code::Pq4,
            Some(Code::Int8),
        ),
        (
            Structure::Ivf { nlist: None },
            Code::RaBitQ(CodeBits::Two),
            None,
        ),
        (
            Structure::Hnsw {
                m: 3,
                ef_construction: 9,
            },
            Code::Pq8 { axes: 3 },
            None,
        ),
    ];
    recipes.into_iter().map(|(structure, code, refine)| {
        let recipe = Recipe {
            structure,
            code,
            refine,
        };
        let fill = |row: usize, out: &mut [f32]| {
            let values = out.iter_mut().enumerate();
            values.for_each(|(at, x)| *x = ((row * 31 + at * 17) % 23) as f32 / 60.0);
        };
        format::write_quantised(&Quantised::build(recipe, (40, 8), 1, &fill).0)
    })
}

/// One input made of others, as fuzzers make them: bits, numbers at their limits, pieces moved, doubled,
/// taken out or taken from another one.
fn changed(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    const ODD: [u64; 8] = [
        0,
        1,
        0x7f,
        0xff,
        0x7fff_ffff,
        0xffff_ffff,
        1 << 40,
        u64::MAX,
    ];
    const TEXT: &[u8] =
        b"\"'():;,.-+*<>={}[]\\/ \n\tnot or and tag:date:2019..near:size:0123456789eE\xc3\xa9\xff";
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(bytes.len() + 1);
        let len = random.below(24).min(bytes.len() - at);
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 => {
                let number = ODD[random.below(ODD.len())].to_le_bytes();
                let width = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            3 => drop(bytes.drain(at..at + len)),
            4 => {
                let piece = bytes[at..at + len].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let piece = other[from..(from + len).min(other.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => bytes.truncate(at),
            _ => {
                let from = random.below(TEXT.len());
                let to = (from + 1 + random.below(6)).min(TEXT.len());
                bytes.splice(at..at, TEXT[from..to].iter().copied());
            }
        }
    }
    bytes
}

fn fuzz(name: &str, target: Target, seconds: u64) -> usize {
    let seeds = corpus(name);
    for (at, seed) in seeds.iter().enumerate() {
        check(name, target, seed, at);
    }
    // Another hour changes other things.
    let seed =
        std::env::var("PHOTORECALL_FUZZ_SEED").map_or(17, |text| text.parse().expect("a number"));
    let (start, mut random, mut runs) = (ProcessTime::now(), Random(seed), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let input = changed(&seeds, &mut random);
        check(name, target, &input, runs);
        runs += 1;
    }
    runs
}

/// An input that makes the reader panic is written down to be kept.
fn check(name: &str, target: Target, input: &[u8], at: usize) {
    if catch_unwind(|| target(input)).is_err() {
        let file = std::env::temp_dir().join(format!("photorecall-fuzz-{name}-{at}"));
        std::fs::write(&file, input).expect("writable");
        panic!(
            "{name} panicked: keep {} in tests/fuzz/corpus/{name}",
            file.display()
        );
    }
}

#[test]
fn no_reader_panics_whatever_it_reads() {
    let seconds = std::env::var("PHOTORECALL_FUZZ_SECONDS").map_or(SECONDS, |text| {
        let all: u64 = text.parse().expect("a number of seconds");
        all.div_ceil(TARGETS.len() as u64)
    });
    for &(name, target) in TARGETS {
        println!(
            "{name}: {} inputs in {seconds} s of CPU time",
            fuzz(name, target, seconds)
        );
    }
}
