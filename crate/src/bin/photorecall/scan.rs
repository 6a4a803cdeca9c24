//! What lies in a folder, against what a library holds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail};
use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;
use photorecall::library::{Library, Photo};

/// File name endings that are taken for photos. Kinds that cannot be decoded are among them, so
/// that they are named in the list of what was skipped.
const ENDINGS: &[&str] = &[
    "apng", "arw", "avif", "bmp", "cr2", "cr3", "dng", "gif", "heic", "heif", "hif", "jfif", "jp2",
    "jpe", "jpeg", "jpg", "jxl", "nef", "orf", "png", "psd", "raf", "rw2", "svg", "tif", "tiff",
    "webp",
];

/// A file that may be a photo.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The name in the library: below the root, with `/`.
    pub path: String,
    pub file: PathBuf,
    pub bytes: u64,
    pub modified_ms: i64,
}

/// What a walk found.
#[derive(Default)]
pub struct Scan {
    pub candidates: Vec<Candidate>,
    /// Files and folders that could not be looked at, with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// Walks `folder`; names are taken below `root`.
pub fn walk(folder: &Path, root: &Path, exclude: &[String], hidden: bool) -> anyhow::Result<Scan> {
    let mut globs = OverrideBuilder::new(folder);
    for glob in exclude {
        globs
            .add(&format!("!{glob}"))
            .with_context(|| format!("--exclude {glob}"))?;
    }
    let walker = WalkBuilder::new(folder)
        .standard_filters(false)
        .hidden(!hidden)
        .overrides(globs.build()?)
        .sort_by_file_path(|a, b| a.cmp(b))
        .build();
    let mut scan = Scan::default();
    for entry in walker {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                scan.take(entry.path(), root);
            }
            Ok(_) => {}
            Err(error) => scan
                .unreadable
                .push((folder.display().to_string(), error.to_string())),
        }
    }
    Ok(scan)
}

impl Scan {
    /// Takes one file if its name is a photo's.
    pub fn take(&mut self, file: &Path, root: &Path) {
        if !is_photo(file) {
            return;
        }
        match candidate(file, root) {
            Ok(candidate) => self.candidates.push(candidate),
            Err(error) => self
                .unreadable
                .push((file.display().to_string(), format!("{error:#}"))),
        }
    }
}

/// Whether a name is a photo's.
pub fn is_photo(file: &Path) -> bool {
    let ending = file.extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
}

/// A file with what is known of it; its name is taken below `root`.
pub fn candidate(file: &Path, root: &Path) -> anyhow::Result<Candidate> {
    let about = file.metadata()?;
    let below = file.strip_prefix(root).unwrap_or(file);
    let Some(path) = below.to_str() else {
        bail!("its name is not valid UTF-8");
    };
    let modified = about.modified()?;
    let modified_ms = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    };
    Ok(Candidate {
        path: path.replace(std::path::MAIN_SEPARATOR, "/"),
        file: file.to_owned(),
        bytes: about.len(),
        modified_ms,
    })
}

/// Which candidates need a look, and which photos of the library are gone from the root.
pub struct Plan {
    pub fresh: Vec<Candidate>,
    pub unchanged: usize,
    /// Paths of the library that no candidate has, by digest: each may turn out to be renamed.
    pub gone: HashMap<String, Vec<String>>,
}

/// Whether a photo is the candidate's, with all that this version wants to know of it.
fn is_current(photo: &Photo, candidate: &Candidate) -> bool {
    (photo.bytes, photo.modified_ms) == (candidate.bytes, candidate.modified_ms)
        && photo.phash.is_some()
}

/// Compares by path, size and time of change; `below_root` says which photos a full walk covers.
pub fn plan(
    library: &Library,
    candidates: Vec<Candidate>,
    below_root: impl Fn(&str) -> bool,
) -> Plan {
    let seen: std::collections::HashSet<&str> =
        candidates.iter().map(|c| c.path.as_str()).collect();
    let mut gone: HashMap<String, Vec<String>> = HashMap::new();
    for photo in library.photos() {
        if below_root(&photo.path) && !seen.contains(photo.path.as_str()) {
            gone.entry(photo.digest.clone())
                .or_default()
                .push(photo.path.clone());
        }
    }
    let before = candidates.len();
    let fresh: Vec<Candidate> = candidates
        .into_iter()
        .filter(|c| {
            library
                .get(&c.path)
                .is_none_or(|photo| !is_current(photo, c))
        })
        .collect();
    Plan {
        unchanged: before - fresh.len(),
        fresh,
        gone,
    }
}
