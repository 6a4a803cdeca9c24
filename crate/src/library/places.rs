//! Where each path is: a table of places alone, as the paths lie in the segments.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::Place;
use super::segment::Segment;

/// Segment and row of each photo that can be found.
#[derive(Debug, Default)]
pub(super) struct Places {
    table: HashTable<Place>,
    hasher: RandomState,
}

fn path(segments: &[Segment], (segment, row): Place) -> &str {
    segments[segment].photos.path(row)
}

impl Places {
    /// Of all photos that are not deleted; of one path, the last one.
    pub fn of(segments: &[Segment]) -> Self {
        let mut places = Self::default();
        let live = |segment: &Segment| segment.photos.len() - segment.deleted.count();
        let photos = segments.iter().map(live).sum();
        let hasher = places.hasher.clone();
        let hash = |place: &Place| hasher.hash_one(path(segments, *place));
        places.table.reserve(photos, hash);
        for (at, segment) in segments.iter().enumerate() {
            for row in segment.live_rows() {
                places.insert((at, row), segments);
            }
        }
        places
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn get(&self, wanted: &str, segments: &[Segment]) -> Option<Place> {
        let is_it = |place: &Place| path(segments, *place) == wanted;
        self.table
            .find(self.hasher.hash_one(wanted), is_it)
            .copied()
    }

    /// Notes where a photo is, in the place of one of the same path.
    pub fn insert(&mut self, place: Place, segments: &[Segment]) {
        let wanted = path(segments, place);
        let hash = |place: &Place| self.hasher.hash_one(path(segments, *place));
        let is_it = |place: &Place| path(segments, *place) == wanted;
        let entry = self.table.entry(self.hasher.hash_one(wanted), is_it, hash);
        entry.insert(place);
    }

    pub fn remove(&mut self, wanted: &str, segments: &[Segment]) -> Option<Place> {
        let is_it = |place: &Place| path(segments, *place) == wanted;
        let hash = self.hasher.hash_one(wanted);
        let found = self.table.find_entry(hash, is_it).ok()?;
        Some(found.remove().0)
    }
}
