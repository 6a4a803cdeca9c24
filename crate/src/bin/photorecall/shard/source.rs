//! Where photos come from: a folder, a list, a tar archive, an object store.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::store;
use crate::scan::{self, Candidate};

/// One photo to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The name in the library.
    pub path: String,
    /// A file, or an address in an object store.
    pub at: String,
    /// Where it begins in a tar archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    pub bytes: u64,
    pub modified_ms: i64,
}

/// What a source turned out to be.
pub enum Origin {
    Folder(PathBuf),
    Tar(PathBuf),
    List(PathBuf),
    Store(String),
}

/// Takes one photo.
pub type Take<'a> = &'a mut dyn FnMut(Input) -> anyhow::Result<()>;

impl Origin {
    pub fn of(source: &str) -> anyhow::Result<Self> {
        let path = match source.strip_prefix("file://") {
            Some(path) => Path::new(path),
            None if source.contains("://") => return Ok(Self::Store(source.to_owned())),
            None => Path::new(source),
        };
        let path = path
            .canonicalize()
            .with_context(|| path.display().to_string())?;
        Ok(match path.extension() {
            _ if path.is_dir() => Self::Folder(path),
            Some(ending) if ending.eq_ignore_ascii_case("tar") => Self::Tar(path),
            _ => Self::List(path),
        })
    }

    /// The folder that paths are below.
    pub fn root(&self) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.clone()),
            Self::List(list) => list.parent().map(Path::to_owned),
            _ => None,
        }
    }

    /// Hands all photos over, in an order that is the same each time; what could not be looked at.
    pub fn list(&self, take: Take<'_>) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Folder(folder) => list_folder(folder, take),
            Self::Tar(tar) => list_tar(tar, take).map(|()| Vec::new()),
            Self::List(list) => list_file(list, take),
            Self::Store(address) => store::list(address, take).map(|()| Vec::new()),
        }
    }
}

fn of_candidate(candidate: Candidate) -> anyhow::Result<Input> {
    let at = candidate.file.to_str().context("a path that is no UTF-8")?;
    Ok(Input {
        at: at.to_owned(),
        path: candidate.path,
        offset: None,
        bytes: candidate.bytes,
        modified_ms: candidate.modified_ms,
    })
}

fn list_folder(folder: &Path, take: Take<'_>) -> anyhow::Result<Vec<String>> {
    let scan = scan::walk(folder, folder, &[], false)?;
    for candidate in scan.candidates {
        take(of_candidate(candidate)?)?;
    }
    let told = |(path, reason): (String, String)| format!("{path}: {reason}");
    Ok(scan.unreadable.into_iter().map(told).collect())
}

/// A path or an address a line; empty lines and those that begin with `#` are none.
fn list_file(list: &Path, take: Take<'_>) -> anyhow::Result<Vec<String>> {
    let root = list.parent().unwrap_or(Path::new("/"));
    let (mut seen, mut unreadable) = (HashSet::new(), Vec::new());
    for line in BufReader::new(File::open(list)?).lines() {
        let line = line.with_context(|| format!("{}: not a list", list.display()))?;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || !seen.insert(line.to_owned()) {
            continue;
        }
        let named = match line.contains("://") {
            true => store::head(line),
            false => scan::candidate(&root.join(line), root).and_then(of_candidate),
        };
        match named {
            Ok(input) => take(input)?,
            Err(error) => unreadable.push(format!("{line}: {error:#}")),
        }
    }
    Ok(unreadable)
}

fn list_tar(tar: &Path, take: Take<'_>) -> anyhow::Result<()> {
    let name = tar.to_str().context("a path that is no UTF-8")?;
    let broken = || format!("{name}: not a whole tar archive");
    let mut archive = tar::Archive::new(File::open(tar).with_context(|| name.to_owned())?);
    for entry in archive.entries_with_seek().with_context(broken)? {
        let entry = entry.with_context(broken)?;
        let path = entry.path().with_context(broken)?.into_owned();
        if !entry.header().entry_type().is_file() || !scan::is_photo(&path) {
            continue;
        }
        let path = path.to_str().context("a name in it that is no UTF-8")?;
        take(Input {
            path: path.trim_start_matches("./").to_owned(),
            at: name.to_owned(),
            offset: Some(entry.raw_file_position()),
            bytes: entry.size(),
            modified_ms: entry.header().mtime().unwrap_or(0) as i64 * 1000,
        })?;
    }
    Ok(())
}

/// Why a photo's bytes are not there.
pub enum Unread {
    /// It is gone, or changed since the plan was made: it is left out.
    Gone(String),
    /// The disk or the network failed: the shard is to be tried again.
    Failed(anyhow::Error),
}

impl Input {
    /// The photo's bytes.
    pub fn read(&self) -> Result<Vec<u8>, Unread> {
        if self.at.contains("://") {
            return store::read(self);
        }
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Unread::Gone("it is gone since the plan was made".into())
            }
            _ => Unread::Failed(anyhow::Error::from(error).context(self.at.clone())),
        };
        let mut file = File::open(&self.at).map_err(failed)?;
        let mut bytes = Vec::new();
        match self.offset {
            Some(offset) => {
                file.seek(SeekFrom::Start(offset)).map_err(failed)?;
                file.take(self.bytes).read_to_end(&mut bytes)
            }
            None => {
                if file.metadata().map_err(failed)?.len() != self.bytes {
                    return Err(changed());
                }
                file.take(self.bytes + 1).read_to_end(&mut bytes)
            }
        }
        .map_err(failed)?;
        match bytes.len() as u64 == self.bytes {
            true => Ok(bytes),
            false => Err(changed()),
        }
    }
}

/// A file of another length than it was planned with.
pub fn changed() -> Unread {
    Unread::Gone("it was changed since the plan was made: make another plan".into())
}
