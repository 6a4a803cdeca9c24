//! A model's folder below the models' folder: files first, the manifest last, so that a folder with a
//! manifest is always whole.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use photorecall::encoder::{FileEntry, MANIFEST};
use photorecall::image::hex;
use sha2::{Digest, Sha256};

use super::known::Known;

/// Where fetched and imported models lie: `$PHOTORECALL_MODELS`, or this user's data folder.
pub fn models_folder() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("PHOTORECALL_MODELS") {
        return Ok(named.into());
    }
    let data = dirs::data_dir().context("no data folder for this user: set $PHOTORECALL_MODELS")?;
    Ok(data.join("photorecall").join("models"))
}

/// Feeds a file into a hash; returns its length.
pub fn hash_file(path: &Path, hash: &mut Sha256) -> anyhow::Result<u64> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
    loop {
        let read = file
            .read(&mut buffer)
            .with_context(|| path.display().to_string())?;
        if read == 0 {
            return Ok(bytes);
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Whether a file is what the manifest says.
pub fn is_as_promised(path: &Path, entry: &FileEntry) -> anyhow::Result<bool> {
    if !path
        .metadata()
        .is_ok_and(|about| about.len() == entry.bytes)
    {
        return Ok(false);
    }
    let mut hash = Sha256::new();
    hash_file(path, &mut hash)?;
    Ok(hex(hash.finalize()) == entry.sha256)
}

/// Makes a model's folder; `get` brings a file that is not there yet to the path it is given.
pub fn install(
    known: &Known,
    mut get: impl FnMut(&str, &FileEntry, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = models_folder()?.join(&known.manifest.name);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for (name, entry) in &known.manifest.files {
        let path = folder.join(name);
        if !is_as_promised(&path, entry)? {
            get(name, entry, &path)?;
            if !is_as_promised(&path, entry)? {
                bail!(
                    "{} is not the {name} that {} asks for",
                    path.display(),
                    known.manifest.name
                );
            }
        }
    }
    let mut manifest = tempfile::NamedTempFile::new_in(&folder)?;
    manifest.write_all(known.json.as_bytes())?;
    manifest.as_file().sync_all()?;
    manifest.persist(folder.join(MANIFEST))?;
    Ok(folder)
}
