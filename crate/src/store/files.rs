//! A library in a folder: a file a segment, and the manifest.
//!
//! ```text
//! DIR/library.manifest      replaced whole by each commit
//! DIR/00000003-0000.segment never changed
//! DIR/library.lock          held by the one writer
//! ```
//! A commit is lasting in this order: segments written and synced, manifest renamed into place, folder
//! synced, then what the manifest no longer names is removed. A process killed in between leaves the
//! old library whole, and at most files that no manifest names; the next writer removes those.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::library::{Commit, Library, ModelRef, Opened, Rows};

/// The manifest's file name.
pub const MANIFEST: &str = "library.manifest";
const LOCK: &str = "library.lock";
const SEGMENT_ENDING: &str = "segment";
const RANGES_ENDING: &str = "ranges";
const CODEBOOK_ENDING: &str = ".codebook";

/// A folder that holds a library.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    /// Held while this store may write.
    lock: Option<File>,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.display().to_string();
    |source| Error::Io { path, source }
}

impl FileStore {
    /// Opens `folder` for writing, and makes it when it is not there.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process writes to it.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(io(folder))?;
        let lock = lock(folder)?;
        let store = Self {
            folder: folder.to_owned(),
            lock: Some(lock),
        };
        store.remove_leftovers()?;
        Ok(store)
    }

    /// Opens a folder that is there, to read only: no lock is taken, a writer may work beside it.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn read_only(folder: &Path) -> Result<Self> {
        fs::metadata(folder).map_err(io(folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            lock: None,
        })
    }

    /// Reads and checks the library; `None` when the folder has none.
    ///
    /// # Errors
    /// When the manifest is damaged or too new. A damaged segment is no error: it is set aside.
    pub fn load(&self) -> Result<Option<Opened>> {
        let Some(manifest) = self.manifest()? else {
            return Ok(None);
        };
        Library::open(&manifest, |name| self.read(name)).map(Some)
    }

    /// How many photos the library has, by its manifest; `None` when the folder has none.
    ///
    /// # Errors
    /// When the manifest is damaged or too new.
    pub fn count(&self) -> Result<Option<usize>> {
        self.manifest()?.map(|of| Library::count(&of)).transpose()
    }

    /// The model of the library and its segments one after the other; `None` when the folder has none.
    ///
    /// # Errors
    /// As [`Library::rows`].
    pub fn rows(&self) -> Result<Option<(ModelRef, impl Iterator<Item = Result<Rows>>)>> {
        let Some(manifest) = self.manifest()? else {
            return Ok(None);
        };
        Library::rows(&manifest, |name| self.read(name)).map(Some)
    }

    fn manifest(&self) -> Result<Option<Vec<u8>>> {
        let path = self.folder.join(MANIFEST);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(&path)(error)),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        if !is_segment(name) {
            return Err(Error::Missing {
                name: name.to_owned(),
            });
        }
        let path = self.folder.join(name);
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Missing {
                name: name.to_owned(),
            }),
            read => read.map_err(io(&path)),
        }
    }

    /// Keeps a commit; when it returns, the commit outlasts a crash of the machine.
    ///
    /// # Errors
    /// When a file cannot be written: the library is then as it was before.
    ///
    /// # Panics
    /// When the store was opened to read only.
    pub fn store(&self, commit: &Commit) -> Result<()> {
        assert!(self.lock.is_some(), "a store that was opened to read only");
        for (name, bytes) in &commit.put {
            self.write(name, bytes)?;
        }
        // The segments' names must last before a manifest counts on them.
        self.sync_folder()?;
        self.write(MANIFEST, &commit.manifest)?;
        self.sync_folder()?;
        for name in commit.drop.iter().filter(|name| is_segment(name)) {
            // What cannot be removed now is removed by the next writer.
            let _ = fs::remove_file(self.folder.join(name));
            let _ = fs::remove_file(self.folder.join(name).with_extension(RANGES_ENDING));
        }
        Ok(())
    }

    /// Writes the files by which single ranges of the library's segments can be read; how many.
    ///
    /// # Errors
    /// When there is no library, or a part of it is damaged.
    ///
    /// # Panics
    /// When the store was opened to read only.
    pub fn add_ranges(&self) -> Result<usize> {
        let manifest = self.manifest()?.ok_or_else(|| Error::Missing {
            name: self.folder.join(MANIFEST).display().to_string(),
        })?;
        let commit = Library::ranged(&manifest, |name| self.read(name))?;
        self.store(&commit)?;
        let ranges = commit.put.iter().filter(|(name, _)| is_ranges(name));
        Ok(ranges.count())
    }

    /// Whether the folder may become the library of `manifest`: false when it is that already.
    ///
    /// # Errors
    /// When it holds another library.
    pub fn adopts(&self, manifest: &[u8]) -> Result<bool> {
        match self.manifest()? {
            None => Ok(true),
            Some(there) if there == manifest => Ok(false),
            Some(_) => Err(io(&self.folder)(std::io::Error::new(
                std::io::ErrorKind::AlreadyExists,
                "the folder holds another library",
            ))),
        }
    }

    /// Gives a file of the same file system a name in the library too; nothing is copied.
    ///
    /// # Errors
    /// When the file cannot be linked.
    pub fn link(&self, file: &Path, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        let _ = fs::remove_file(&path);
        fs::hard_link(file, &path).map_err(io(&path))
    }

    /// Makes the folder the library of `manifest`, whose segments were linked.
    ///
    /// # Errors
    /// As [`FileStore::store`].
    ///
    /// # Panics
    /// As [`FileStore::store`].
    pub fn adopt(&self, manifest: Vec<u8>) -> Result<()> {
        self.store(&Commit {
            generation: 1,
            put: Vec::new(),
            manifest,
            drop: Vec::new(),
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        let mut file = NamedTempFile::new_in(&self.folder).map_err(io(&path))?;
        file.write_all(bytes)
            .and_then(|()| file.as_file().sync_all())
            .map_err(io(&path))?;
        file.persist(&path)
            .map_err(|error| io(&path)(error.error))?;
        Ok(())
    }

    fn sync_folder(&self) -> Result<()> {
        // Windows has no such call for folders; there the rename itself is lasting.
        if cfg!(unix) {
            File::open(&self.folder)
                .and_then(|folder| folder.sync_all())
                .map_err(io(&self.folder))?;
        }
        Ok(())
    }

    /// Removes segments and temporary files that a killed writer left.
    fn remove_leftovers(&self) -> Result<()> {
        let Some(manifest) = self.manifest()? else {
            return Ok(());
        };
        // A manifest that cannot be read names nothing: then nothing is removed.
        let Ok(kept) = Library::kept_names(&manifest) else {
            return Ok(());
        };
        for entry in fs::read_dir(&self.folder)
            .map_err(io(&self.folder))?
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = segment_of(&name);
            let named = owner.or_else(|| is_codebook(&name).then(|| name.clone()));
            let is_left = named.is_some_and(|named| !kept.contains(&named));
            if name.starts_with(".tmp") || is_left {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

/// Whether a name is one that this crate gives to segments: no path, no other file.
pub fn is_segment(name: &str) -> bool {
    let stem = name
        .strip_suffix(SEGMENT_ENDING)
        .and_then(|stem| stem.strip_suffix('.'));
    stem.is_some_and(|stem| {
        !stem.is_empty()
            && stem
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
    })
}

/// Whether a name is one that this crate gives to the files beside segments.
pub fn is_ranges(name: &str) -> bool {
    name.ends_with(RANGES_ENDING) && segment_of(name).is_some()
}

/// Whether a name is one that this crate gives to the codebooks that ranges files share.
pub fn is_codebook(name: &str) -> bool {
    let stem = name.strip_suffix(CODEBOOK_ENDING);
    stem.is_some_and(|stem| !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The segment that a file is or belongs to.
fn segment_of(name: &str) -> Option<String> {
    let stem = name.strip_suffix(RANGES_ENDING);
    let segment = stem.map_or(name.to_owned(), |stem| format!("{stem}{SEGMENT_ENDING}"));
    is_segment(&segment).then_some(segment)
}

/// Takes the writer's lock. The system lets go of it when the process ends, however it ends.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io(&path))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).map_err(io(&path))?;
            write!(file, "process {}", std::process::id()).map_err(io(&path))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(Error::Locked {
                path: folder.display().to_string(),
                holder,
            })
        }
        Err(TryLockError::Error(error)) => Err(io(&path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_segment_names_are_read_or_removed() {
        assert!(is_segment("00000001-0000.segment"));
        for name in [
            "../00000001-0000.segment",
            "library.manifest",
            ".segment",
            "a.segment",
            "1.segment/",
        ] {
            assert!(!is_segment(name), "{name}");
        }
    }

    #[test]
    fn two_writers_are_told_apart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = FileStore::open(folder.path()).expect("free");
        let error = FileStore::open(folder.path()).expect_err("taken");
        assert_eq!(error.code(), "locked");
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(first);
        FileStore::open(folder.path()).expect("free again");
    }
}
