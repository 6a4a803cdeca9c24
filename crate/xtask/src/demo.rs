//! The main job on a fresh machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{album, paths, tools, web};

/// Builds, indexes `folder` (or the sample album), serves the page.
pub fn demo(folder: Option<PathBuf>, port: u16, serve: bool) -> Result<()> {
    let folder = match folder {
        Some(folder) if !folder.is_dir() => bail!("{} is not a folder", folder.display()),
        Some(folder) => folder.canonicalize()?,
        None => album::fetch()?,
    };
    let native = || tools::run(tools::cargo().args(["build", "--release"]));
    tools::side_by_side(native, || web::build(web::For::Here))?;
    let library = paths::target().join("demo-library").join(name_of(&folder));
    let mut index = Command::new(paths::photorecall());
    index
        .arg("index")
        .arg(&folder)
        .arg("--library")
        .arg(&library);
    let status = index.status()?;
    // 3 says that some files were skipped: they have been listed, the rest is there.
    if !matches!(status.code(), Some(0 | 3)) {
        bail!("indexing {} ended with {status}", folder.display());
    }
    if serve {
        let port = port.to_string();
        tools::run(
            Command::new(paths::photorecall())
                .arg("serve")
                .arg(&library)
                .args(["--port", &port]),
        )?;
    }
    Ok(())
}

/// One library a folder, whatever its path: the path's letters and digits.
fn name_of(folder: &std::path::Path) -> String {
    folder
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect()
}
