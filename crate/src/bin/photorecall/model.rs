//! From a name or a folder to a loaded model.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use photorecall::Kernels;
use photorecall::encoder::{Folder, MANIFEST, Model, ReadFile};

/// The name of the model inside this program.
pub const SHIPPED: &str = "photorecall-s";

/// The shipped model's files, so that the program works with no download and no path.
struct Embedded;

macro_rules! shipped_file {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../models/photorecall-s/",
            $name
        ))
    };
}

impl ReadFile for Embedded {
    fn read(&self, name: &str) -> photorecall::Result<Vec<u8>> {
        let bytes: &[u8] = match name {
            "manifest.json" => shipped_file!("manifest.json"),
            "image.onnx" => shipped_file!("image.onnx"),
            "text.onnx" => shipped_file!("text.onnx"),
            "merges.txt" => shipped_file!("merges.txt"),
            _ => {
                return Err(photorecall::Error::Io {
                    path: format!("{SHIPPED}/{name}"),
                    source: std::io::ErrorKind::NotFound.into(),
                });
            }
        };
        Ok(bytes.to_vec())
    }
}

/// Loads `choice`: a model's folder, the shipped model's name, or that of one that was fetched or
/// imported.
pub fn load(choice: &str) -> anyhow::Result<Model> {
    let kernels = Kernels::best();
    match locate(choice)? {
        None => Model::load(&Embedded, kernels),
        Some(folder) => Model::load(&Folder::new(&folder), kernels),
    }
    .with_context(|| format!("model {choice}"))
}

/// One file of the model `choice`, as it lies.
pub fn read_file(choice: &str, name: &str) -> anyhow::Result<Vec<u8>> {
    Ok(match locate(choice)? {
        None => Embedded.read(name)?,
        Some(folder) => Folder::new(&folder).read(name)?,
    })
}

/// What to note of a choice so that it is found again from another working directory.
pub fn lasting_name(choice: &str) -> anyhow::Result<String> {
    let path = Path::new(choice);
    if choice == SHIPPED || !path.is_dir() {
        return Ok(choice.to_owned());
    }
    let full = path.canonicalize().with_context(|| choice.to_owned())?;
    Ok(full.to_string_lossy().into_owned())
}

/// The folder of a model; `None` is the shipped one.
fn locate(choice: &str) -> anyhow::Result<Option<PathBuf>> {
    if choice == SHIPPED {
        return Ok(None);
    }
    let named = crate::models::models_folder().map(|models| models.join(choice));
    let found = [Some(PathBuf::from(choice)), named.ok()]
        .into_iter()
        .flatten()
        .find(|folder| folder.join(MANIFEST).is_file());
    match found {
        Some(folder) => Ok(Some(folder)),
        None => bail!(
            "no model {choice} here: `photorecall model list` shows what can be fetched by name; a \
             folder is a model by its {MANIFEST}"
        ),
    }
}
