//! Every test, natively and in the browser.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{album, paths, tools, web};

/// Sets up and runs: format, lints, unit and integration tests, then the browser's.
pub fn test() -> Result<()> {
    tools::run(tools::cargo().args(["fmt", "--all", "--check"]))?;
    tools::run(tools::cargo().args(["build", "--release"]))?;
    golden_towers()?;
    tools::run(tools::cargo().args([
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    tools::run(tools::cargo().args(["test", "--release", "--workspace"]))?;
    web::build(false)?;
    let chromium = tools::chromium()?;
    let album = album::fetch()?;
    let mut scripts: Vec<_> = std::fs::read_dir(paths::root().join("tests/browser"))
        .context("tests/browser")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".test.mjs"))
        .collect();
    scripts.sort();
    tools::run(
        Command::new("node")
            .args(["--test", "--test-concurrency=1"])
            .args(scripts)
            .current_dir(paths::root())
            .env("CHROMIUM", chromium)
            .env("PHOTORECALL_SITE", paths::site())
            .env("PHOTORECALL_BIN", paths::photorecall())
            .env("PHOTORECALL_ALBUM", album),
    )
}

/// Random-weight towers and what onnxruntime makes of them, for the golden tests to read.
fn golden_towers() -> Result<()> {
    let golden = paths::root().join("tests/golden");
    let python = tools::python(&golden.join("requirements.txt"))?;
    let out = paths::root().join("target/golden");
    std::fs::create_dir_all(&out)?;
    towers(&python, &golden, &out)
}

fn towers(python: &Path, golden: &Path, out: &Path) -> Result<()> {
    tools::run(Command::new(python).arg(golden.join("towers.py")).arg(out))
}
