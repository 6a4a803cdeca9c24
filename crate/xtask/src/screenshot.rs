//! The README's picture.

use std::process::Command;

use anyhow::Result;

use crate::{album, paths, tools, web};

/// Shows the sample album in the page, searches it, writes www/screenshot.jpg.
pub fn screenshot(words: &str) -> Result<()> {
    web::build(false)?;
    let script = paths::root().join("tests/browser/screenshot.mjs");
    let out = paths::root().join("www/screenshot.jpg");
    tools::run(
        Command::new("node")
            .arg(script)
            .args([&album::fetch()?, &out])
            .arg(words)
            .env("CHROMIUM", tools::chromium()?)
            .env("PHOTORECALL_SITE", paths::site()),
    )
}
