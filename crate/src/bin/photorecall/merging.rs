//! Compaction beside indexing.
//!
//! ```text
//! writer   put, commit ─ wants_compaction ─┐            put, commit, …            ┌ adopt, commit
//! thread                                   └ opens a copy of what is stored, merges ┘
//! ```
//! The thread only reads: a process that ends while it works loses its work and nothing else.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::anyhow;
use photorecall::library::{Library, Merged};
use photorecall::store::files::FileStore;

use crate::index::commit;

/// Merges segments of the library in a folder while others are added.
pub struct Merging {
    folder: PathBuf,
    running: Option<JoinHandle<photorecall::Result<Option<Merged>>>>,
}

impl Merging {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            running: None,
        }
    }

    /// After a commit: takes over what is ready, begins what is due.
    pub fn tend(&mut self, store: &FileStore, library: &mut Library) -> anyhow::Result<()> {
        if let Some(ready) = self.running.take_if(|running| running.is_finished()) {
            take_over(ready, store, library)?;
        }
        if self.running.is_none() && library.wants_compaction() {
            let folder = self.folder.clone();
            self.running = Some(std::thread::spawn(move || {
                let opened = FileStore::read_only(&folder)?.load()?;
                Ok(opened.and_then(|opened| opened.library.merge()))
            }));
        }
        Ok(())
    }

    /// After the last commit: does what is left.
    pub fn finish(self, store: &FileStore, library: &mut Library) -> anyhow::Result<()> {
        if let Some(running) = self.running {
            take_over(running, store, library)?;
        }
        while let Some(merged) = library.merge() {
            library.adopt(&merged)?;
            commit(store, library)?;
        }
        Ok(())
    }
}

fn take_over(
    ready: JoinHandle<photorecall::Result<Option<Merged>>>,
    store: &FileStore,
    library: &mut Library,
) -> anyhow::Result<()> {
    let merged = ready.join().map_err(|_| anyhow!("compaction panicked"))?;
    // What could not be read, as while a segment was replaced, is merged another time.
    if let Ok(Some(merged)) = merged
        && library.adopt(&merged)?
    {
        commit(store, library)?;
    }
    Ok(())
}
