//! The npm package, as a registry would take it.

use anyhow::Result;

use crate::{paths, tools, web};

/// `npm pack` into target/npm.
pub fn package() -> Result<()> {
    web::build(false)?;
    let out = paths::target().join("npm");
    std::fs::create_dir_all(&out)?;
    tools::run(
        tools::npm(&paths::npm())
            .args(["pack", "--pack-destination"])
            .arg(&out),
    )
}
