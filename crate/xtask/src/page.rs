//! The page, looked at from outside: Lighthouse, Firefox, pictures.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::{album, paths, tools, web};

const LIGHTHOUSE: &[&str] = &["lighthouse@12.2.3"];
const PUPPETEER: &[&str] = &["puppeteer-core@24.8.2"];

/// A script of tests/browser, with what every one of them needs.
fn script(name: &str) -> Result<Command> {
    let mut node = Command::new("node");
    node.arg(paths::root().join("tests/browser").join(name))
        .current_dir(paths::root())
        .env("CHROMIUM", tools::chromium()?)
        .env("PHOTORECALL_SITE", paths::site());
    Ok(node)
}

/// Scores of the built page as a phone and as a desktop; fails below 95.
pub fn lighthouse(out: &Path) -> Result<()> {
    web::build(web::For::Others)?;
    let folder = paths::target().join("lighthouse");
    tools::npm_install(&folder, LIGHTHOUSE)?;
    tools::run(script("lighthouse.mjs")?.arg(&folder).arg(out))
}

/// The page and the package in Firefox.
pub fn firefox() -> Result<()> {
    web::build(web::For::Here)?;
    let folder = paths::target().join("puppeteer");
    tools::npm_install(&folder, PUPPETEER)?;
    tools::run(
        Command::new("node")
            .args(["--test", "--test-reporter=spec"])
            .arg(paths::root().join("tests/browser/firefox.mjs"))
            .env("FIREFOX", tools::firefox()?)
            .env("PHOTORECALL_PUPPETEER", folder)
            .env("PHOTORECALL_SITE", paths::site()),
    )
}

/// The README's pictures: the page's main states, with the sample album.
pub fn screenshots() -> Result<()> {
    web::build(web::For::Here)?;
    let out = paths::root().join("www/screenshots");
    tools::run(script("screenshots.mjs")?.args([album::fetch()?, out]))
}
