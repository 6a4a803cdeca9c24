//! `cargo xtask bench shards`: what photos and vectors cost in one shard and in many, and what that comes to
//! for 10⁹ of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{album, bench, paths, tools};

/// Numbers of shards.
const SHARDS: [u32; 5] = [1, 2, 4, 8, 16];
const QUICK: [u32; 3] = [1, 4, 16];
const DIM: u32 = 512;
/// How often the sample album is there: each shard begins with loading the model, and must not end with it.
const ALBUMS: usize = 20;
const PROJECTED: &str = "1e9";

/// What the straight line to 10⁹ takes for granted.
const ASSUMPTIONS: [&str; 4] = [
    "machines like this one, each with its own copy of the photos or a network that is no slower than decoding",
    "photos as large as those measured here; vectors as those of the generator, 512 axes",
    "shards of as many photos as the largest measured here: the rates are those of one shard",
    "no machine fails; a scheduler's own time is not counted",
];

/// Measures, and writes the report to `out`.
pub fn bench(out: &Path, quick: bool) -> Result<()> {
    let ours = bench::program("shards")?;
    tools::run(tools::cargo().args(["build", "--release"]))?;
    let counts: &[u32] = if quick { &QUICK } else { &SHARDS };
    let vectors = if quick { 20_000 } else { 100_000 };
    let photos = photos(counts)?;
    let vectors = curve(&ours, vectors, counts)?;
    let rate = |of: &Value, what: &str| of[what].as_f64().context("a rate");
    // One shard of all is the largest.
    let (embedded, first) = photos.first().zip(vectors.first()).context("no shards")?;
    let (per_photo, per_vector) = (
        rate(embedded, "photos_per_second")?,
        rate(first, "vectors_per_second")?,
    );
    let mut plan = Command::new(paths::photorecall());
    plan.args([
        "plan",
        "--photos",
        PROJECTED,
        "--dim",
        &DIM.to_string(),
        "--json",
    ]);
    plan.args(["--photos-per-second", &per_photo.to_string()]);
    plan.args(["--vectors-per-second", &per_vector.to_string()]);
    plan.args(["--shard-photos", &first["vectors"].to_string()]);
    let projection = told(&mut plan)?;
    let report = json!({
        "photos": photos, "vectors": vectors, "projection": projection, "assumptions": ASSUMPTIONS,
    });
    std::fs::write(out, serde_json::to_vec_pretty(&report)?)?;
    print(&report);
    Ok(())
}

/// A folder of photos, built in shards one after the other.
fn photos(counts: &[u32]) -> Result<Vec<Value>> {
    let folder = albums()?;
    let work = paths::target().join("bench/shards");
    let mut lines = Vec::new();
    for shards in counts {
        if work.exists() {
            std::fs::remove_dir_all(&work)?;
        }
        let (plan, library) = (work.join("plan"), work.join("library"));
        let program = || Command::new(paths::photorecall());
        let count = shards.to_string();
        let mut planned = program();
        planned
            .args(["shard", "plan"])
            .arg(&folder)
            .args(["--json", "--shards", &count, "--out"]);
        let planned = told(planned.arg(&plan))?;
        let started = Instant::now();
        told(program().args(["shard", "train", "--json"]).arg(&plan))?;
        for shard in 0..*shards {
            told(
                program()
                    .args(["shard", "build", "--json"])
                    .arg(&plan)
                    .arg(shard.to_string()),
            )?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let started = Instant::now();
        told(
            program()
                .args(["shard", "join", "--json"])
                .arg(&plan)
                .arg("--library")
                .arg(&library),
        )?;
        let photos = planned["photos"].as_f64().context("a number of photos")?;
        lines.push(json!({
            "shards": shards, "photos": photos, "seconds": seconds, "photos_per_second": photos / seconds,
            "join_seconds": started.elapsed().as_secs_f64(),
        }));
    }
    Ok(lines)
}

/// A folder with the sample album in it, many times.
fn albums() -> Result<PathBuf> {
    let album = album::fetch()?;
    let folder = paths::target().join("bench/albums");
    for at in 0..ALBUMS {
        let copy = folder.join(at.to_string());
        std::fs::create_dir_all(&copy)?;
        for photo in std::fs::read_dir(&album)? {
            let photo = photo?;
            let path = copy.join(photo.file_name());
            if photo.file_type()?.is_file() && !path.exists() {
                std::fs::copy(photo.path(), path)?;
            }
        }
    }
    Ok(folder)
}

fn curve(program: &Path, vectors: u32, counts: &[u32]) -> Result<Vec<Value>> {
    let mut command = Command::new(program);
    command.args([vectors, DIM].iter().chain(counts).map(u32::to_string));
    // The shipped model is found beside the package.
    let output = command.current_dir(paths::root().join("crate")).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

/// The JSON that the program prints; photos that were left out are no failure.
fn told(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    if !matches!(output.status.code(), Some(0 | 3)) {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn print(report: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    println!("shards  photos/s  vectors/s  bytes a photo");
    let lines = report["photos"].as_array().into_iter().flatten();
    for (photos, vectors) in lines.zip(report["vectors"].as_array().into_iter().flatten()) {
        println!(
            "{:6}  {:8.1}  {:9.0}  {:13.0}",
            number(&photos["shards"]),
            number(&photos["photos_per_second"]),
            number(&vectors["vectors_per_second"]),
            number(&vectors["bytes_per_photo"]) + number(&vectors["ranges_bytes_per_photo"]),
        );
    }
    let plan = &report["projection"];
    let compact = plan["kinds"].as_array().into_iter().flatten();
    for kind in compact.filter(|kind| kind["index"] == "ranges") {
        println!(
            "10⁹ photos: {:.0} hours of one machine, {:.2} TB",
            number(&kind["hours"]),
            number(&kind["disk_bytes"]) / 1e12
        );
    }
}
