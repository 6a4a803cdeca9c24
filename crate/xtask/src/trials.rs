//! Trials that are too long for every day: kills by the hundred, an hour of fuzzing.

use std::process::Command;

use anyhow::Result;

use crate::{paths, tools, web};

/// Kills of the command line; the test that makes them says so too.
const NATIVE: &str = "killed_commands_lose_nothing_that_was_done_200";
const TABS: &str = "50";

/// Kills the command line 200 times and 50 tabs, at random moments; fails where anything that was
/// acknowledged is gone, damaged or there twice.
pub fn kills() -> Result<()> {
    tools::run(&mut durable())?;
    web::build(web::For::Here)?;
    let mut tabs = Command::new("node");
    tabs.current_dir(paths::root())
        .args(["tests/browser/kills.mjs", TABS]);
    tabs.env("CHROMIUM", tools::chromium()?);
    tools::run(tabs.env("PHOTORECALL_SITE", paths::site()))
}

fn durable() -> Command {
    let mut test = tests("durability");
    test.args(["--", "--ignored", "--exact", "--nocapture", NATIVE]);
    test
}

/// Changes what every reader of bytes reads, for so many minutes of CPU time in all.
pub fn fuzz(minutes: u64) -> Result<()> {
    let mut fuzz = tests("fuzz");
    fuzz.args(["--", "--nocapture"]);
    tools::run(fuzz.env("PHOTORECALL_FUZZ_SECONDS", (60 * minutes).to_string()))
}

fn tests(name: &str) -> Command {
    let mut test = tools::cargo();
    test.args([
        "test",
        "--release",
        "--package",
        "photorecall",
        "--test",
        name,
    ]);
    test
}
