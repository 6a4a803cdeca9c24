//! A library of photos: a list of immutable segments, one that grows, and a manifest. Sans I/O: a
//! change returns the [`Commit`] that a store has to keep.
//!
//! ```text
//! put ─▶ growing segment (at most 4,096 rows) ─ full ─▶ sealed ─ merge ─▶ compact, without the deleted
//!                 └──────────── commit() ─▶ Commit { new segments, manifest, what to drop } ─▶ store
//! ```
//! A commit writes the growing segment whole, under a new name: its cost is bounded, and nothing that
//! is stored is ever changed in place.

pub mod ask;
mod browse;
mod clusters;
mod compaction;
mod drift;
mod duplicates;
mod manifest;
mod model;
mod opening;
mod overview;
mod photo;
mod photos;
mod places;
mod query;
pub(crate) mod ranking;
mod remote;
mod rows;
mod seal;
pub(crate) mod search;
mod segment;
pub(crate) mod vocabulary;
pub(crate) mod words;

use std::sync::Mutex;

pub use crate::index::normalise;
pub use browse::Month;
pub use clusters::{Cluster, Clustering};
pub use compaction::Merged;
pub use drift::Drift;
pub use duplicates::Duplicates;
use manifest::{Listing, Manifest};
pub use model::ModelRef;
pub use opening::{Damage, Opened, Opening};
pub use overview::{ByTime, Facets};
pub use photo::{LabelChange, Photo};
use places::Places;
pub use query::{Cursor, Found, Page, Query, Verdict, combine};
pub use remote::{Read, Remote, Span};
pub use rows::Rows;
use search::Filtered;
use segment::Segment;
pub use segment::{Beside, Shared, Stored};
pub use vocabulary::{Word, photo_of, vocabulary};

use crate::checksum::crc32;
use crate::error::Result;

/// What a store has to keep, all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Counts commits; tell it back with [`Library::committed`].
    pub generation: u64,
    /// New segments: name and bytes.
    pub put: Vec<(String, Vec<u8>)>,
    /// The manifest that replaces the one before.
    pub manifest: Vec<u8>,
    /// Segments that no manifest names any more.
    pub drop: Vec<String>,
}

/// Figures of a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Photos that can be found.
    pub photos: usize,
    /// Rows that wait for compaction.
    pub deleted: usize,
    /// Segments, the growing one counted.
    pub segments: usize,
    /// Bytes of the stored segments.
    pub bytes: u64,
    /// Axes of a vector.
    pub dim: usize,
    /// Counts commits.
    pub generation: u64,
    /// The model.
    pub model: ModelRef,
}

/// Where a photo is: segment and row.
type Place = (usize, usize);

/// A commit that the store has not acknowledged yet.
#[derive(Debug)]
struct Pending {
    generation: u64,
    changes: u64,
    /// Segment, its row count then, and where it will be.
    segments: Vec<(usize, usize, Stored)>,
    names: Vec<String>,
}

/// Photos that can be found by meaning.
#[derive(Debug)]
pub struct Library {
    model: ModelRef,
    segments: Vec<Segment>,
    places: Places,
    set_aside: Vec<String>,
    generation: u64,
    /// Counts changes; the second one as of the last acknowledged commit.
    changes: u64,
    saved_changes: Option<u64>,
    /// Names that the last acknowledged manifest has.
    names: Vec<String>,
    pending: Option<Pending>,
    /// Usual words, where they were given.
    vocabulary: Vec<Word>,
    /// What the last filter has hidden.
    filtered: Mutex<Option<Filtered>>,
    /// The drift as of so many changes.
    drift: Mutex<Option<(u64, Option<Drift>)>>,
}

impl Library {
    /// An empty library for the embeddings of one model.
    pub fn create(model: ModelRef) -> Self {
        Self {
            model,
            segments: Vec::new(),
            places: Places::default(),
            set_aside: Vec::new(),
            generation: 0,
            changes: 0,
            saved_changes: None,
            names: Vec::new(),
            pending: None,
            vocabulary: Vec::new(),
            filtered: Mutex::default(),
            drift: Mutex::default(),
        }
    }

    /// The model that the library's vectors come from.
    pub fn model(&self) -> &ModelRef {
        &self.model
    }

    /// Asks that `model` is the library's.
    ///
    /// # Errors
    /// [`Error::ModelMismatch`] when it is another.
    pub fn require_model(&self, model: &ModelRef) -> Result<()> {
        self.model.require(model)
    }

    /// Adds a photo with its embedding, a unit vector; one of the same path is replaced, and its labels
    /// stay unless the new one has some.
    ///
    /// # Errors
    /// [`Error::Dimension`] or [`Error::NoDirection`] for an embedding that cannot be one of the model's.
    pub fn put(&mut self, photo: Photo, embedding: &[f32]) -> Result<()> {
        self.model.check(embedding)?;
        let photo = match self.get(&photo.path) {
            Some(old) if !photo.is_labelled() => photo.labelled_as(old),
            _ => photo,
        };
        self.append(photo, embedding);
        Ok(())
    }

    /// Puts a photo as it is into the growing segment, in place of one of the same path.
    fn append(&mut self, photo: Photo, embedding: &[f32]) {
        self.remove(&photo.path);
        if self.segments.last().is_none_or(Segment::is_full) {
            self.segments.push(Segment::new(self.model.dim));
        }
        let at = self.segments.len() - 1;
        let row = self.segments[at].photos.len();
        self.segments[at].push(photo, embedding);
        self.places.insert((at, row), &self.segments);
        self.changes += 1;
    }

    /// Takes a photo out; says whether it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        let Some((segment, row)) = self.places.remove(path, &self.segments) else {
            return false;
        };
        self.segments[segment].deleted.insert(row);
        self.changes += 1;
        true
    }

    /// Gives the photo at `from` a new path and new facts; its embedding, its labels and what is known
    /// of its pixels stay. Says whether it was there.
    pub fn rename(&mut self, from: &str, photo: Photo) -> bool {
        let Some((embedding, old)) = self.embedding(from).zip(self.get(from).cloned()) else {
            return false;
        };
        self.remove(from);
        let photo = Photo {
            width: old.width,
            height: old.height,
            phash: photo.phash.or(old.phash),
            ..photo
        };
        self.append(photo.labelled_as(&old), &embedding);
        true
    }

    /// Changes the labels of photos; returns how many of the paths are there. A photo that is changed
    /// moves to the growing segment, as a new one does: the cost of the commit is bounded.
    pub fn label<P: AsRef<str>>(
        &mut self,
        paths: impl IntoIterator<Item = P>,
        change: &LabelChange,
    ) -> usize {
        let mut found = 0;
        for path in paths {
            let Some(photo) = self.get(path.as_ref()) else {
                continue;
            };
            found += 1;
            let changed = change.apply(photo);
            if changed != *photo
                && let Some(embedding) = self.embedding(path.as_ref())
            {
                self.append(changed, &embedding);
            }
        }
        found
    }

    /// The photo of a path.
    pub fn get(&self, path: &str) -> Option<&Photo> {
        let (segment, row) = self.places.get(path, &self.segments)?;
        Some(self.segments[segment].photos.get(row))
    }

    /// All photos.
    pub fn photos(&self) -> impl Iterator<Item = &Photo> {
        self.segments
            .iter()
            .flat_map(|segment| segment.live().map(|(_, photo)| photo))
    }

    /// The vector of a photo, to f16.
    pub fn embedding(&self, path: &str) -> Option<Vec<f32>> {
        let (segment, row) = self.places.get(path, &self.segments)?;
        Some(self.segments[segment].vectors.vector(row))
    }

    /// What the store has to keep for all changes so far to last; `None` when there are none. Until
    /// [`Library::committed`] tells that the store did, the next call gives the changes again.
    pub fn commit(&mut self) -> Option<Commit> {
        if self.saved_changes == Some(self.changes) {
            return None;
        }
        let generation = self
            .pending
            .as_ref()
            .map_or(self.generation, |pending| pending.generation)
            + 1;
        let (mut put, mut fresh, mut listed) = (Vec::new(), Vec::new(), Vec::new());
        for (at, segment) in self.segments.iter().enumerate() {
            let stored = segment.stored.clone().unwrap_or_else(|| {
                let bytes = segment.to_bytes(&self.model);
                let stored = Stored {
                    name: format!("{generation:08}-{at:04}.segment"),
                    bytes: bytes.len() as u64,
                    crc32: crc32(&bytes),
                    photos: segment.photos.len(),
                    ranges: None,
                    codebook: None,
                };
                put.push((stored.name.clone(), bytes));
                fresh.push((at, segment.photos.len(), stored.clone()));
                stored
            });
            listed.push(stored);
        }
        let names: Vec<String> = listed.iter().map(|stored| stored.name.clone()).collect();
        let keeps = |name: &String| names.contains(name) || self.set_aside.contains(name);
        let drop = self
            .names
            .iter()
            .filter(|name| !keeps(name))
            .cloned()
            .collect();
        let listing = Listing {
            generation,
            model: self.model.clone(),
            segments: listed,
            set_aside: self.set_aside.clone(),
        };
        let deleted = self
            .segments
            .iter()
            .map(|segment| segment.deleted.clone())
            .collect();
        let manifest = Manifest { listing, deleted }.to_bytes();
        self.pending = Some(Pending {
            generation,
            changes: self.changes,
            segments: fresh,
            names,
        });
        Some(Commit {
            generation,
            put,
            manifest,
            drop,
        })
    }

    /// The store keeps the commit of this generation. A generation that was overtaken is passed over.
    pub fn committed(&mut self, generation: u64) {
        let Some(pending) = self
            .pending
            .take_if(|pending| pending.generation == generation)
        else {
            return;
        };
        for (at, rows, stored) in pending.segments {
            let segment = &mut self.segments[at];
            // Rows that came while the store was writing are in no stored segment yet.
            if segment.photos.len() == rows {
                segment.stored = Some(stored);
            }
        }
        self.generation = generation;
        self.saved_changes = Some(pending.changes);
        self.names = pending.names;
    }

    /// Figures of the library.
    pub fn stats(&self) -> Stats {
        Stats {
            photos: self.places.len(),
            deleted: self
                .segments
                .iter()
                .map(|segment| segment.deleted.count())
                .sum(),
            segments: self.segments.len(),
            bytes: self
                .segments
                .iter()
                .filter_map(|s| s.stored.as_ref())
                .map(|stored| stored.bytes)
                .sum(),
            dim: self.model.dim,
            generation: self.generation,
            model: self.model.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
