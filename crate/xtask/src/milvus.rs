//! `cargo xtask test-milvus`: a library in real servers.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{paths, tools};

/// The server listens on all interfaces: the tests and it get a network of their own, with loopback alone.
const LOOPBACK_ALONE: &str = "ip link set lo up && exec \"$@\"";

/// Sets both servers up and runs the tests.
pub fn test() -> Result<()> {
    let lite = program("lite", "milvus-lite")?;
    let server = program("server", "milvus-server")?;
    let tests = [
        "test",
        "--release",
        "--package",
        "photorecall",
        "--test",
        "milvus",
    ];
    tools::run(tools::cargo().args(tests).arg("--no-run"))?;
    let cargo = tools::cargo();
    let mut alone = Command::new("unshare");
    alone
        .args(["--map-root-user", "--net", "sh", "-c", LOOPBACK_ALONE, "sh"])
        .arg(cargo.get_program())
        .args(tests)
        .args(["--offline", "--", "--test-threads=1", "--nocapture"])
        .current_dir(paths::root())
        .env("PHOTORECALL_MILVUS_LITE", lite)
        .env("PHOTORECALL_MILVUS_SERVER", server);
    tools::run(&mut alone)
}

/// A server's program, in a Python environment of its own.
fn program(kind: &str, name: &str) -> Result<PathBuf> {
    let folder = paths::target().join("milvus").join(kind);
    let wanted = paths::root().join(format!("tests/milvus/{kind}.txt"));
    let python = tools::environment(&folder, &wanted)?;
    Ok(python.with_file_name(name))
}
