//! The npm package, as a registry would take it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{paths, tools, web};

/// Builds everything, then `npm pack` into target/npm.
pub fn package() -> Result<()> {
    web::build(web::For::Others)?;
    println!("the package is {}", pack()?.display());
    Ok(())
}

/// `npm pack` of what is built into target/npm; returns the file.
pub fn pack() -> Result<PathBuf> {
    let out = paths::target().join("npm");
    // One of an earlier version would be taken for this one.
    if out.is_dir() {
        std::fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    std::fs::create_dir_all(&out)?;
    tools::run(
        tools::npm(&paths::npm())
            .args(["pack", "--silent", "--pack-destination"])
            .arg(&out),
    )?;
    packed(&out)
}

fn packed(folder: &Path) -> Result<PathBuf> {
    let mut files = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .find(|file| file.extension().is_some_and(|ending| ending == "tgz"))
        .with_context(|| format!("no package in {}", folder.display()))
}
