//! Trials that are too long for every day: kills by the hundred, an hour of fuzzing.

use std::process::Command;

use anyhow::Result;

use crate::{paths, tools, web};

/// The tests' names, and what the scripts are told.
const NATIVE: &str = "killed_commands_lose_nothing_that_was_done_200";
const INTERRUPTED: &str = "indexing_10000_photos_goes_on_where_it_was_killed";
const TABS: &str = "50";
const PHOTOS: &str = "10000";

/// Kills the command line 200 times and 50 tabs, at random moments; fails where anything that was
/// acknowledged is gone, damaged or there twice. Then 10,000 photos are indexed by either, with kills: fails where
/// one that was stored is encoded again.
pub fn kills() -> Result<()> {
    for (file, name) in [("durability", NATIVE), ("interrupted", INTERRUPTED)] {
        let mut test = tests(file);
        tools::run(test.args(["--", "--ignored", "--exact", "--nocapture", name]))?;
    }
    web::build(web::For::Here)?;
    let chromium = tools::chromium()?;
    for (script, count) in [("kills", TABS), ("interrupted", PHOTOS)] {
        let mut tabs = Command::new("node");
        tabs.current_dir(paths::root())
            .args([&format!("tests/browser/{script}.mjs"), count])
            .env("CHROMIUM", &chromium)
            .env("PHOTORECALL_SITE", paths::site());
        tools::run(&mut tabs)?;
    }
    Ok(())
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
