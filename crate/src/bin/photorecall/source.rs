//! Where a library's photos and model lie on this machine: `source.json` in the library's folder.
//! The library itself carries no path of the machine, so that it can be served or copied.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

const FILE: &str = "source.json";

/// This machine's side of a library.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Source {
    /// The folder that was indexed; relative paths of photos start here.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The model's name or folder.
    #[serde(default)]
    pub model: Option<String>,
    /// Whether black borders are trimmed.
    #[serde(default)]
    pub trim_borders: bool,
}

impl Source {
    /// Reads the note; a library without one (copied from elsewhere) has an empty one.
    pub fn load(library: &Path) -> anyhow::Result<Self> {
        let path = library.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "{}: not a valid note of the source; remove it and index again",
                    path.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Writes the note whole or not at all.
    pub fn store(&self, library: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(library).with_context(|| library.display().to_string())?;
        let mut file = tempfile::NamedTempFile::new_in(library)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.as_file().sync_all()?;
        file.persist(library.join(FILE))?;
        Ok(())
    }

    /// The model to use: the one asked for, else the noted one, else the shipped one.
    pub fn model<'a>(&'a self, asked: Option<&'a str>) -> &'a str {
        asked
            .or(self.model.as_deref())
            .unwrap_or(crate::model::SHIPPED)
    }

    /// The file of a photo of the library.
    pub fn file(&self, photo_path: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(photo_path),
            None => PathBuf::from(photo_path),
        }
    }
}
