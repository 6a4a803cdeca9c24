//! Where a model's files come from.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Gives a model's file by its name.
pub trait ReadFile {
    /// The file's bytes.
    ///
    /// # Errors
    /// When there is no such file or it cannot be read.
    fn read(&self, name: &str) -> Result<Vec<u8>>;

    /// The SHA-256 of the file's `bytes`, lower-case hex; whoever knows it need not compute it again.
    fn digest(&self, name: &str, bytes: &[u8]) -> String {
        let _ = name;
        crate::image::digest(bytes)
    }
}

/// Files that are in memory already, as in the browser.
#[derive(Debug, Default)]
pub struct Files(pub HashMap<String, Vec<u8>>);

impl ReadFile for Files {
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.0.get(name).cloned().ok_or_else(|| Error::Missing {
            name: name.to_owned(),
        })
    }
}

/// A folder.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone)]
pub struct Folder(std::path::PathBuf);

#[cfg(not(target_arch = "wasm32"))]
impl Folder {
    /// The files of `path`; nothing is read yet.
    pub fn new(path: impl Into<std::path::PathBuf>) -> Self {
        Self(path.into())
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl ReadFile for Folder {
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.0.join(name);
        std::fs::read(&path).map_err(|source| Error::Io {
            path: path.display().to_string(),
            source,
        })
    }
}
