//! The browser's build: wasm, glue, package, page.
//!
//! ```text
//! cargo (wasm32) ─▶ wasm-bindgen ─▶ crate/npm/dist ─ npm run build ─▶ target/www
//! ```

use std::path::Path;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::{album, paths, simd, tools};

/// For whom the browser's files are built. They do the same.
#[derive(Clone, Copy)]
pub enum For {
    /// Tests, trials, the demo.
    Here,
    /// Those who download it: a third smaller, minutes longer to link.
    Others,
}

impl For {
    fn profile(self) -> &'static str {
        match self {
            Self::Here => "web",
            Self::Others => "ship",
        }
    }
}

/// Builds everything that a static host needs into target/www.
pub fn build(whom: For) -> Result<()> {
    wasm(whom.profile())?;
    tools::npm_ci()?;
    let mut npm = tools::npm(&paths::npm());
    npm.args(["run", "build"])
        .env("PHOTORECALL_SITE", paths::site());
    if let Some(album) = album::for_page() {
        npm.env("PHOTORECALL_ALBUM", album);
    }
    tools::run(&mut npm)?;
    simd::check()?;
    println!("the page is in {}", paths::site().display());
    Ok(())
}

/// The wasm and its glue in crate/npm/dist: once for every engine, once for those with relaxed SIMD; and both with
/// the index alone.
fn wasm(profile: &str) -> Result<()> {
    let dist = paths::npm().join("dist");
    bind(profile, "photos,relaxed-simd", None, &dist.join("relaxed"))?;
    bind(profile, "photos", None, &dist)?;
    vectors()
}

/// The index alone and its glue in crate/npm/dist/vectors.
pub fn vectors() -> Result<()> {
    // For size: what takes time is spelled out for that. It links in seconds.
    let dist = paths::npm().join("dist/vectors");
    bind("ship", "relaxed-simd", Some("s"), &dist.join("relaxed"))?;
    bind("ship", "", Some("s"), &dist)
}

/// Builds the crate with features, and an `opt-level` of its own, and its glue into a folder. Neither changes
/// the crates below: those are built once.
fn bind(profile: &str, features: &str, opt_level: Option<&str>, folder: &Path) -> Result<()> {
    let target = "wasm32-unknown-unknown";
    tools::rust_target(target)?;
    let opt_level = opt_level.map(|level| {
        format!("--config=profile.{profile}.package.photorecall.opt-level=\"{level}\"")
    });
    tools::run(
        tools::cargo()
            .args(["rustc", "--package", "photorecall", "--lib"])
            .args(["--crate-type", "cdylib", "--no-default-features"])
            .args(["--features", features])
            .args(["--target", target, "--profile", profile])
            .args(opt_level),
    )?;
    let built = paths::target()
        .join(target)
        .join(profile)
        .join("photorecall.wasm");
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(&built)
        .web(true)?
        .typescript(true)
        .remove_producers_section(true)
        // A panic tells its message and place by itself.
        .remove_name_section(true)
        // `init()` without arguments finds the wasm beside the glue.
        .omit_default_module_path(false);
    bindgen
        .generate(folder)
        .with_context(|| format!("wasm-bindgen on {}", built.display()))
}
