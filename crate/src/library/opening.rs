//! From a manifest and its segments to a library, one segment after the other: only one of them is there as
//! bytes at a time.

use std::collections::VecDeque;

use super::Library;
use super::manifest::{Listing, Manifest};
use super::places::Places;
use super::segment::{Segment, Stored};
use crate::error::{Error, Result};
use crate::index::Bitset;

/// A segment that could not be read; the rest of the library can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment's name.
    pub segment: String,
    /// What is wrong with it.
    pub reason: String,
    /// The photos to be indexed again, where the segment's list of them is whole.
    pub photos: Option<Vec<String>>,
}

/// A library that was opened.
#[derive(Debug)]
pub struct Opened {
    /// What can be searched.
    pub library: Library,
    /// What was set aside.
    pub damaged: Vec<Damage>,
}

/// A library that is being opened. Every byte is checked here, once.
#[derive(Debug)]
pub struct Opening {
    library: Library,
    waiting: VecDeque<(Stored, Bitset)>,
    damaged: Vec<Damage>,
}

impl Opening {
    /// Begins with the manifest.
    ///
    /// # Errors
    /// When it is damaged or too new.
    pub fn new(manifest: &[u8]) -> Result<Self> {
        let Manifest { listing, deleted } = Manifest::from_bytes(manifest)?;
        let mut library = Library::create(listing.model);
        library.generation = listing.generation;
        library.set_aside = listing.set_aside;
        library.saved_changes = Some(0);
        let names = listing.segments.iter().map(|stored| stored.name.clone());
        library.names = names.collect();
        Ok(Self {
            library,
            waiting: listing.segments.into_iter().zip(deleted).collect(),
            damaged: Vec::new(),
        })
    }

    /// The segment to be read next; `None` when all were.
    pub fn needs(&self) -> Option<&str> {
        self.waiting.front().map(|(stored, _)| stored.name.as_str())
    }

    /// Takes the bytes of the next segment, or why there are none. One that cannot be read is set aside.
    ///
    /// # Errors
    /// When the segment is too new.
    pub fn take(&mut self, bytes: Result<Vec<u8>>) -> Result<()> {
        let Some((stored, deleted)) = self.waiting.pop_front() else {
            return Ok(());
        };
        let read = bytes.map_err(|error| (error, None)).and_then(|bytes| {
            Segment::from_bytes(&bytes, &stored, deleted, &self.library.model)
                .map_err(|error| (error, Segment::salvage_paths(&stored.name, &bytes)))
        });
        match read {
            Ok(segment) => self.library.segments.push(segment),
            Err((error @ Error::NewerVersion { .. }, _)) => return Err(error),
            Err((error, photos)) => self.damaged.push(Damage {
                segment: stored.name,
                reason: error.to_string(),
                photos,
            }),
        }
        Ok(())
    }

    /// What can be searched, and what was set aside.
    pub fn finish(self) -> Opened {
        let Self {
            mut library,
            damaged,
            ..
        } = self;
        let names = damaged.iter().map(|part| part.segment.clone());
        library.set_aside.extend(names);
        library.changes = u64::from(!damaged.is_empty());
        library.places = Places::of(&library.segments);
        Opened { library, damaged }
    }
}

impl Library {
    /// The names of the segments that [`Library::open`] will read, for stores that read ahead.
    ///
    /// # Errors
    /// When the manifest is damaged or too new.
    pub fn segment_names(manifest: &[u8]) -> Result<Vec<String>> {
        let segments = Manifest::from_bytes(manifest)?.listing.segments;
        Ok(segments.into_iter().map(|stored| stored.name).collect())
    }

    /// Every name that a store must keep, but for what lies beside a segment under its name: the segments,
    /// their codebooks, and what was set aside.
    ///
    /// # Errors
    /// When the manifest is damaged or too new.
    pub fn kept_names(manifest: &[u8]) -> Result<Vec<String>> {
        let Listing {
            segments,
            set_aside,
            ..
        } = Manifest::from_bytes(manifest)?.listing;
        let names = segments
            .into_iter()
            .flat_map(|stored| [Some(stored.name), stored.codebook.map(|shared| shared.name)]);
        Ok(names.flatten().chain(set_aside).collect())
    }

    /// Opens a library; `read` gives a segment's bytes. A segment that cannot be read is set aside and
    /// named.
    ///
    /// # Errors
    /// When the manifest itself is damaged or too new, or a segment is too new.
    pub fn open(manifest: &[u8], mut read: impl FnMut(&str) -> Result<Vec<u8>>) -> Result<Opened> {
        let mut opening = Opening::new(manifest)?;
        while let Some(name) = opening.needs() {
            let bytes = read(name);
            opening.take(bytes)?;
        }
        Ok(opening.finish())
    }
}
