//! `cargo xtask bench index`, `encoder`, `first-visit`: ours beside the peers, in one run; `bench library`: ours alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{album, paths, tools, web};

/// Vectors like CLIP's are made by this program, which is not part of the project.
const GENERATOR: &str = "../shared/vectors/generate.py";

/// The index's peers in the browser.
const VECTORS: [&str; 2] = ["hnswlib-wasm@0.8.2", "edgevec@0.9.0"];

/// Measures the index, natively and in headless Chromium, over so many vectors, and writes the report to `out`.
pub fn index(out: &Path, quick: bool, sizes: &[usize]) -> Result<()> {
    let generator = paths::root().join(GENERATOR);
    if !generator.exists() {
        bail!("{GENERATOR} is not there: the vectors to measure with cannot be made");
    }
    let benches = paths::root().join("crate/benches");
    let folder = paths::target().join("bench");
    let python = tools::environment(&folder.join("python"), &benches.join("requirements.txt"))?;
    tools::npm_ci()?;
    tools::npm_install(&folder.join("browser"), &VECTORS)?;
    // Neither needs photos, whose crates take minutes to build.
    let ours = built("index", &["--no-default-features"])?;
    web::vectors()?;
    let mut bench = Command::new(python);
    bench
        .arg(benches.join("index.py"))
        .args([&ours, &generator, &folder])
        .arg(out);
    if quick {
        bench.arg("--quick");
    }
    if !sizes.is_empty() {
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        bench.args(["--sizes", &sizes.join(",")]);
    }
    tools::run(bench.env("CHROMIUM", tools::chromium()?))
}

/// The peer in the browser.
const ORT_WEB: &str = "onnxruntime-web@1.30.0";

/// Measures the encoder, natively and in headless Chromium, and writes the report to `out`.
pub fn encoder(out: &Path, quick: bool) -> Result<()> {
    let root = paths::root();
    let python = tools::python(&root.join("tests/golden/requirements.txt"))?;
    let folder = paths::target().join("bench/encoder");
    let peers = folder.join("web");
    tools::npm_install(&peers, &[ORT_WEB])?;
    tools::run(tools::cargo().args(["build", "--release"]))?;
    let ours = program("encoder")?;
    web::build(web::For::Here)?;
    let mut bench = Command::new(python);
    bench.arg(root.join("crate/benches/encoder.py"));
    bench.args([&ours, &paths::photorecall(), &folder]);
    bench.arg(out);
    if quick {
        bench.arg("--quick");
    }
    bench.env("CHROMIUM", tools::chromium()?);
    tools::run(bench.env("PHOTORECALL_SITE", paths::site()))
}

/// Measures a library of many photos, in headless Chromium and natively, and writes the report to `out`.
pub fn library(out: &Path, quick: bool) -> Result<()> {
    let ours = program("library")?;
    web::build(web::For::Here)?;
    let mut bench = Command::new("node");
    bench.arg(paths::root().join("crate/benches/library.mjs"));
    bench.args([&ours, &paths::target().join("bench/library"), out]);
    bench.arg(if quick { "20000" } else { "100000" });
    bench.env("CHROMIUM", tools::chromium()?);
    tools::run(bench.env("PHOTORECALL_SITE", paths::site()))
}

/// What a page of the same purpose is usually made of.
const TRANSFORMERS: &str = "@huggingface/transformers@4.3.1";

/// Measures a first visit until the first result, and writes the report to `out`.
pub fn first_visit(out: &Path, quick: bool) -> Result<()> {
    web::build(web::For::Others)?;
    let peer = paths::target().join("bench/first-visit");
    tools::npm_install(&peer, &[TRANSFORMERS])?;
    let mut node = Command::new("node");
    node.arg(paths::root().join("crate/benches/first_visit.mjs"));
    node.args([&peer, &album::fetch()?]).arg(out);
    if quick {
        node.arg("--quick");
    }
    node.env("CHROMIUM", tools::chromium()?);
    tools::run(node.env("PHOTORECALL_SITE", paths::site()))
}

/// A bench program, built.
pub fn program(name: &str) -> Result<PathBuf> {
    built(name, &[])
}

fn built(name: &str, features: &[&str]) -> Result<PathBuf> {
    let mut build = tools::cargo();
    build.args(["bench", "--package", "photorecall", "--bench", name]);
    build.args(features);
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
