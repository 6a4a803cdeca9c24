//! The browser's build: wasm, glue, package, page.
//!
//! ```text
//! cargo (wasm32) ─▶ wasm-bindgen ─▶ crate/npm/dist ─ npm run build ─▶ target/www
//! ```

use std::path::Path;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use crate::{paths, tools};

/// Builds everything that a static host needs into target/www.
pub fn build(quick: bool) -> Result<()> {
    let profile = if quick { "release" } else { "web" };
    wasm(profile)?;
    tools::npm_ci()?;
    tools::run(tools::npm(&paths::npm()).args(["run", "build"]))?;
    assemble()?;
    println!("the page is in {}", paths::site().display());
    Ok(())
}

/// The wasm and its glue, in crate/npm/dist.
fn wasm(profile: &str) -> Result<()> {
    let target = "wasm32-unknown-unknown";
    tools::run(
        tools::cargo()
            .args([
                "build",
                "--package",
                "photorecall",
                "--lib",
                "--no-default-features",
            ])
            .args(["--target", target, "--profile", profile]),
    )?;
    let built = paths::target()
        .join(target)
        .join(profile)
        .join("photorecall.wasm");
    let dist = paths::npm().join("dist");
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(&built)
        .web(true)?
        .typescript(true)
        .remove_producers_section(true);
    bindgen
        .generate(&dist)
        .with_context(|| format!("wasm-bindgen on {}", built.display()))
}

/// www/ as compiled, the package and the shipped model, side by side.
fn assemble() -> Result<()> {
    let site = paths::site();
    copy_folder(&paths::npm().join("dist"), &site.join("photorecall"))?;
    let model = paths::root().join("models/photorecall-s");
    copy_folder(&model, &site.join("models/photorecall-s"))
}

/// Copies a folder's files, recursively.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
        }
    }
    Ok(())
}
