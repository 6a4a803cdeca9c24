//! Every test, natively and in the browser.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{album, package, paths, tools, web};

const PACKAGES: [&str; 2] = ["photorecall", "xtask"];

/// Sets up and runs: format, lints, unit and integration tests, then the browser's.
pub fn test() -> Result<()> {
    tools::run(tools::cargo().args(["fmt", "--all", "--check"]))?;
    let web = || web::build(web::For::Here).and_then(|()| package::pack());
    let packed = tools::side_by_side(native, web)?;
    browser(&packed)
}

/// Cargo, with clippy's lints as errors for the packages of this workspace. What `cargo clippy` does in a pass
/// of its own over all dependencies is done here while the tests are compiled.
fn linted() -> Command {
    let mut cargo = tools::cargo();
    cargo.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver").env(
        "CLIPPY_ARGS",
        "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
    );
    cargo
}

fn tests_of(package: &str) -> Command {
    let mut cargo = linted();
    cargo.args(["test", "--release", "--package", package]);
    cargo
}

/// Builds the program and what needs no browser, in one go, so that no core waits for the other; what the tests say comes when
/// they are done.
fn native() -> Result<()> {
    tools::side_by_side(golden_towers, || {
        // One package at a time, as `cargo build` selects them: together they would agree on other features
        // of what they share, and everything would be compiled again.
        PACKAGES.into_iter().try_for_each(|package| {
            tools::run(tests_of(package).args(["--all-targets", "--no-run"]))
        })
    })?;
    for package in PACKAGES {
        tools::run_apart(tests_of(package).env("PHOTORECALL_RANGES", ranges()))?;
    }
    Ok(())
}

fn browser(packed: &Path) -> Result<()> {
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
            .args(["--test", "--test-concurrency=2"])
            .args(scripts)
            .current_dir(paths::root())
            .env("CHROMIUM", chromium)
            .env("PHOTORECALL_SITE", paths::site())
            .env("PHOTORECALL_BIN", paths::photorecall())
            .env("PHOTORECALL_PACKAGE", packed)
            .env("PHOTORECALL_ALBUM", album)
            .env("PHOTORECALL_RANGES", ranges()),
    )
}

/// A library that the native tests leave for the browser's.
fn ranges() -> std::path::PathBuf {
    paths::target().join("ranges")
}

/// Random-weight towers and what onnxruntime makes of them, for the golden tests to read.
fn golden_towers() -> Result<()> {
    let golden = paths::root().join("tests/golden");
    let python = tools::python(&golden.join("requirements.txt"))?;
    let out = paths::root().join("target/golden");
    std::fs::create_dir_all(&out)?;
    let shared = paths::root().join("../shared");
    towers(&python, &golden, &out, &shared.join("photos/images"))?;
    let mut architectures = Command::new(&python);
    architectures.arg(golden.join("architectures.py"));
    tools::run(architectures.arg(out.join("architectures")))?;
    whole_vocabulary(&python, &golden, &out, &shared.join("clip"))
}

fn towers(python: &Path, golden: &Path, out: &Path, photos: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command.arg(golden.join("towers.py")).arg(out);
    if there(photos) {
        command.arg("--photos").arg(photos);
    }
    tools::run(&mut command)
}

/// CLIP's whole vocabulary, and the ids that CLIP's own tokenizer gives odd strings with it.
fn whole_vocabulary(python: &Path, golden: &Path, out: &Path, clip: &Path) -> Result<()> {
    if !there(clip) {
        return Ok(());
    }
    let merges = clip.join("bpe_simple_vocab_16e6.txt.gz");
    let mut command = Command::new(python);
    command
        .arg(golden.join("tokenizer.py"))
        .arg(clip.join("simple_tokenizer.py.ref"))
        .args([merges.as_path(), Path::new("49408")])
        .arg(out.join("clip-tokenizer.json"))
        .arg(out.join("clip-merges.txt"));
    tools::run(&mut command)
}

/// Whether data that is not the project's to publish lies beside it; says so when it does not.
fn there(data: &Path) -> bool {
    let there = data.is_dir();
    if !there {
        println!("NOT RUN: the tests that read {}", data.display());
    }
    there
}
