//! Where things lie.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.ancestors().nth(2).unwrap_or(xtask).to_owned()
}

/// Cargo's target folder: where this very program was built.
pub fn target() -> PathBuf {
    let built = std::env::current_exe().ok();
    let folder = built
        .as_deref()
        .and_then(|exe| exe.ancestors().nth(2))
        .map(Path::to_owned);
    folder.unwrap_or_else(|| root().join("target"))
}

/// The npm package's project; the page is compiled with its tools too.
pub fn npm() -> PathBuf {
    root().join("crate/npm")
}

/// The assembled static site.
pub fn site() -> PathBuf {
    target().join("www")
}

/// The command line, as `cargo build --release` leaves it.
pub fn photorecall() -> PathBuf {
    target()
        .join("release")
        .join(format!("photorecall{}", std::env::consts::EXE_SUFFIX))
}
