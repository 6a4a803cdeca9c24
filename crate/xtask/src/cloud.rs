//! `cargo xtask test-cloud`: shards whose photos lie in object stores, each a real server on loopback.

use std::process::Command;

use anyhow::Result;

use crate::{album, paths, tools};

const AZURITE: &str = "azurite@3.35.0";

/// Sets the stores up, builds the program with `--features cloud` and runs the test.
pub fn test() -> Result<()> {
    let tests = paths::root().join("tests/cloud");
    let folder = paths::target().join("cloud");
    let python = tools::environment(&folder.join("python"), &tests.join("requirements.txt"))?;
    let npm = folder.join("npm");
    tools::npm_install(&npm, &[AZURITE])?;
    tools::run(tools::cargo().args(["build", "--release", "--features", "cloud"]))?;
    tools::run(
        Command::new(python)
            .arg(tests.join("stores.py"))
            .arg(paths::photorecall())
            .arg(album::fetch()?)
            .arg(npm.join("node_modules/azurite/dist/src/blob/main.js"))
            .arg(folder.join("work")),
    )
}
