//! `cargo xtask test-ray`: shards built by a real cluster, and by one that loses a worker and a node.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{album, paths, tools};

/// Sets Ray up and runs the test.
pub fn test() -> Result<()> {
    let tests = paths::root().join("tests/ray");
    let folder = paths::target().join("ray");
    let python = tools::environment(&folder.join("python"), &tests.join("requirements.txt"))?;
    tools::run(tools::cargo().args(["build", "--release"]))?;
    let work = folder.join("work");
    if work.exists() {
        std::fs::remove_dir_all(&work)?;
    }
    std::fs::create_dir_all(&work)?;
    let program = paths::photorecall();
    if !program.is_file() {
        bail!("{} was not built", program.display());
    }
    tools::run(
        Command::new(python)
            .arg(tests.join("faults.py"))
            .arg(program)
            .arg(paths::root().join("crate/ray/photorecall_ray.py"))
            .arg(photos()?)
            .arg(&work),
    )
}

/// Enough photos for a shard to take some seconds where they are, the sample album elsewhere.
fn photos() -> Result<std::path::PathBuf> {
    let real = paths::root().join("../shared/photos/images");
    if real.is_dir() {
        return Ok(real);
    }
    println!(
        "NOT RUN with ../shared/photos, which is not there: the sample album is built instead"
    );
    album::fetch()
}
