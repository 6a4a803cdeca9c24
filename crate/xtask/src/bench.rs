//! `cargo xtask bench index`: ours beside the peers, in one run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, tools};

/// Vectors like CLIP's are made by this program, which is not part of the project.
const GENERATOR: &str = "../shared/vectors/generate.py";

/// Measures the index and writes the report to `out`.
pub fn index(out: &Path, quick: bool) -> Result<()> {
    let generator = paths::root().join(GENERATOR);
    if !generator.exists() {
        bail!("{GENERATOR} is not there: the vectors to measure with cannot be made");
    }
    let benches = paths::root().join("crate/benches");
    let folder = paths::target().join("bench");
    let python = tools::environment(&folder.join("python"), &benches.join("requirements.txt"))?;
    let ours = program()?;
    let mut bench = Command::new(python);
    bench
        .arg(benches.join("index.py"))
        .args([&ours, &generator, &folder.join("vectors"), out]);
    if quick {
        bench.arg("--quick");
    }
    tools::run(&mut bench)
}

/// The bench program, built.
fn program() -> Result<PathBuf> {
    let mut build = tools::cargo();
    build.args(["bench", "--package", "photorecall", "--bench", "index"]);
    build.args(["--no-run", "--message-format", "json"]);
    let told = build.output().context("cargo bench --no-run")?;
    if !told.status.success() {
        bail!("{}", String::from_utf8_lossy(&told.stderr));
    }
    let told = String::from_utf8_lossy(&told.stdout);
    let made = told
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["kind"][0] == "bench")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    made.context("cargo did not say where the bench program is")
}
