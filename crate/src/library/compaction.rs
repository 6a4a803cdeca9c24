//! Compaction: segments into fewer, without the deleted rows, a step at a time.
//!
//! ```text
//! due ─▶ merge (from a copy of the library, anywhere) ─▶ Merged { segment, origins } ─▶ adopt ─▶ commit
//!          minutes, at most 65,536 rows                                                one change
//! ```
//! Photos are found, added and removed between `merge` and `adopt`: `origins` says where each row was, so that
//! what was deleted meanwhile is deleted in the new segment too.
//!
//! Centroids and codebook are frozen: rows that are added later get codes by what was learnt before, until
//! they have [drifted](super::Drift) away from it or are too many for its lists. They are learnt again then,
//! from the rows of the new segment.

use super::photos::Photos;
use super::places::Places;
use super::segment::{Segment, Stored};
use super::{Library, Place};
use crate::error::{Error, Result};
use crate::index::{Bitset, Codebook, Lists, Vectors};

/// Rows of a segment that compaction writes, at most: what bounds its memory and its time.
const COMPACTED_ROWS: usize = 65_536;
/// Flat segments, without the one that grows, after which it is time to compact.
const FLAT_SEGMENTS: usize = 4;
/// Of so many rows one deleted is too many …
const DELETED_SHARE: usize = 4;
/// … where there are at least so many.
const DELETED_LEAST: usize = 256;
/// Lists are as many as suit the rows when they are learnt; they serve until they would be so many times too
/// few or too many.
const LISTS_RANGE: usize = 2;

/// How much is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What pays.
    Needed,
    /// Whatever can be.
    All,
}

/// A step of compaction that was done apart from the library: see [`Library::merge`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    /// The names of the segments whose rows are in it.
    pub sources: Vec<String>,
    /// The bytes of the new segment; empty where no row is left.
    pub segment: Vec<u8>,
    /// Where each of its rows was `[rows, 2]`: which of the sources, and which row of that.
    pub origins: Vec<u32>,
}

impl Library {
    /// Whether [`Library::merge`] has something to do: flat segments have piled up, the photos in them have
    /// drifted, or many rows of a segment are deleted.
    pub fn wants_compaction(&self) -> bool {
        !self.due(Extent::Needed).is_empty()
    }

    /// Does the next step of compaction and changes nothing: a new segment from some of those that are stored.
    /// It can be made from a copy of the library, on another thread or in another tab's worker, and then be
    /// [adopted](Library::adopt). `None` when nothing would be gained.
    pub fn merge(&self) -> Option<Merged> {
        self.merge_of(&self.due(Extent::Needed))
    }

    /// As [`Library::merge`], until nothing is left to be merged: every deleted row goes.
    pub fn merge_all(&self) -> Option<Merged> {
        self.merge_of(&self.due(Extent::All))
    }

    fn merge_of(&self, due: &[usize]) -> Option<Merged> {
        let named = due
            .iter()
            .map(|at| Some(self.segments[*at].stored.as_ref()?.name.clone()));
        let sources: Vec<String> = named.collect::<Option<_>>()?;
        if sources.is_empty() {
            return None;
        }
        let rows = self.live_places(due.iter().copied());
        let (segment, origins) = match self.merged(&rows) {
            None => (Vec::new(), Vec::new()),
            Some((segment, order)) => {
                let origin = |at: u32| {
                    let (segment, row) = rows[at as usize];
                    let source = due.iter().position(|due| *due == segment);
                    [source.expect("one of those due") as u32, row as u32]
                };
                let origins = order.into_iter().flat_map(origin).collect();
                (segment.to_bytes(&self.model), origins)
            }
        };
        Some(Merged {
            sources,
            segment,
            origins,
        })
    }

    /// Puts a new segment in the place of its sources; what was deleted since is deleted in it too. False, and
    /// nothing changes, when a source is not there any more as it was. No commit may be on its way to the
    /// store. Commit afterwards.
    ///
    /// # Errors
    /// [`Error::Damaged`] for bytes that are no segment of the sources' rows.
    pub fn adopt(&mut self, merged: &Merged) -> Result<bool> {
        let place = |name: &String| {
            let is_it = |stored: &Stored| stored.name == *name;
            self.segments
                .iter()
                .position(|segment| segment.stored.as_ref().is_some_and(is_it))
        };
        let Some(sources) = merged.sources.iter().map(place).collect::<Option<Vec<_>>>() else {
            return Ok(false);
        };
        let Some(last) = sources.iter().max().copied() else {
            return Ok(false);
        };
        let deleted = self.deleted_since(&sources, &merged.origins);
        let deleted = deleted.ok_or_else(|| Error::Damaged {
            what: "a merged segment".into(),
            reason: "other rows than its sources have",
        })?;
        let segment = match deleted.len() {
            0 => None,
            _ => Some(Segment::merged(&merged.segment, deleted, &self.model)?),
        };
        let mut at = 0..;
        self.segments.retain(|_| {
            let at = at.next().expect("without an end");
            !sources.contains(&at)
        });
        if let Some(segment) = segment {
            self.segments.insert(last + 1 - sources.len(), segment);
        }
        self.rearranged();
        Ok(true)
    }

    /// Merges all segments into large ones without the deleted rows, all steps at once; a large one without
    /// deleted rows is left as it is. Commit afterwards.
    pub fn compact(&mut self) {
        let done = |segment: &Segment| {
            segment.photos.len() == COMPACTED_ROWS
                && segment.vectors.mean().is_some()
                && segment.deleted.count() == 0
        };
        let all = 0..self.segments.len();
        let rows = self.live_places(all.filter(|at| !done(&self.segments[*at])));
        let merged: Vec<Segment> = rows
            .chunks(COMPACTED_ROWS)
            .filter_map(|rows| Some(self.merged(rows)?.0))
            .collect();
        self.segments.retain(done);
        self.segments.extend(merged);
        self.rearranged();
    }

    /// The segments that the next step takes.
    fn due(&self, extent: Extent) -> Vec<usize> {
        let all = extent == Extent::All;
        let live = |at: &usize| {
            let segment = &self.segments[*at];
            segment.photos.len() - segment.deleted.count()
        };
        let is_compact = |at: &usize| self.segments[*at].vectors.mean().is_some();
        let is_worn = |at: &usize| {
            let (rows, deleted) = (
                self.segments[*at].photos.len(),
                self.segments[*at].deleted.count(),
            );
            if all {
                return deleted > 0;
            }
            deleted >= DELETED_LEAST && deleted * DELETED_SHARE > rows
        };
        let grows =
            |at: &usize| !all && at + 1 == self.segments.len() && !self.segments[*at].is_full();
        let every = 0..self.segments.len();
        let flat = |at: &usize| !is_compact(at) && !grows(at);
        let flats: Vec<usize> = every.clone().filter(flat).collect();
        // Fewer rows would become a flat segment again, and be due for ever.
        let has_drifted = || {
            let rows: usize = flats.iter().map(live).sum();
            rows >= Vectors::COMPACT_ROWS && self.drift().is_some_and(|drift| drift.is_too_far())
        };
        let has_piled = all || flats.len() >= FLAT_SEGMENTS || has_drifted();
        let first = every
            .clone()
            .filter(|at| is_worn(at) || (has_piled && flat(at)));
        // Small ones join, the smallest first, so that they do not stay small.
        let mut small: Vec<usize> = every
            .filter(|at| has_piled && is_compact(at) && !is_worn(at))
            .collect();
        small.sort_by_key(live);
        let mut left = COMPACTED_ROWS;
        let fits = |at: &usize| {
            let rest = left.checked_sub(live(at));
            left = rest.unwrap_or(left);
            rest.is_some()
        };
        let mut due: Vec<usize> = first.chain(small).filter(fits).collect();
        due.sort_unstable();
        let gains = match due.as_slice() {
            [only] => is_worn(only) || (!is_compact(only) && live(only) >= Vectors::COMPACT_ROWS),
            several => !several.is_empty(),
        };
        if gains { due } else { Vec::new() }
    }

    fn live_places(&self, segments: impl Iterator<Item = usize>) -> Vec<Place> {
        segments
            .flat_map(|at| self.segments[at].live_rows().map(move |row| (at, row)))
            .collect()
    }

    /// A segment of some rows, and which of them each of its rows is; `None` of none.
    fn merged(&self, rows: &[Place]) -> Option<(Segment, Vec<u32>)> {
        if rows.is_empty() {
            return None;
        }
        let vector = |at: usize, out: &mut [f32]| {
            let (segment, row) = rows[at];
            self.segments[segment].vectors.decode_into(row, out);
        };
        let (vectors, order) = match self.frozen_for(rows.len()) {
            Some(codebook) => Vectors::build_with(&codebook, rows.len(), &vector),
            None => {
                // Frozen even so: a vector that was decoded keeps its mean.
                let mean = self.newest_compact().and_then(|of| of.vectors.mean());
                Vectors::build(rows.len(), self.model.dim, mean, &vector)
            }
        };
        let mut photos = Photos::default();
        for at in &order {
            let (segment, row) = rows[*at as usize];
            photos.push_from(&self.segments[segment].photos, row);
        }
        Some((Segment::of(photos, vectors), order))
    }

    /// What so many rows are to be encoded by, where it need not be learnt again.
    fn frozen_for(&self, rows: usize) -> Option<Codebook> {
        let codebook = self.newest_compact()?.vectors.codebook()?;
        let (lists, wanted) = (codebook.centroids.len(), Lists::count_for(rows));
        let fits = lists * LISTS_RANGE >= wanted && lists <= wanted * LISTS_RANGE;
        (fits && !self.drift().is_some_and(|drift| drift.is_too_far())).then_some(codebook)
    }

    /// The segment whose codebook is the library's.
    pub(super) fn newest_compact(&self) -> Option<&Segment> {
        let mut newest_first = self.segments.iter().rev();
        newest_first.find(|segment| segment.vectors.mean().is_some())
    }

    /// Which rows of a merged segment are deleted by now; `None` unless every row of the sources that is not
    /// deleted is in it, once.
    fn deleted_since(&self, sources: &[usize], origins: &[u32]) -> Option<Bitset> {
        let (pairs, rest) = origins.as_chunks::<2>();
        let mut deleted = Bitset::new(pairs.len());
        let rows_of = |at: &usize| Bitset::new(self.segments[*at].photos.len());
        let mut seen: Vec<Bitset> = sources.iter().map(rows_of).collect();
        for (at, [source, row]) in pairs.iter().enumerate() {
            let (source, row) = (*source as usize, *row as usize);
            let rows = seen.get_mut(source)?;
            if row >= rows.len() || !rows.insert(row) {
                return None;
            }
            if self.segments[sources[source]].deleted.contains(row) {
                deleted.insert(at);
            }
        }
        let live =
            |at: &usize| self.segments[*at].photos.len() - self.segments[*at].deleted.count();
        let left: usize = sources.iter().map(live).sum();
        let kept = pairs.len() - deleted.count();
        (rest.is_empty() && kept == left).then_some(deleted)
    }

    /// Segments are at other places now.
    fn rearranged(&mut self) {
        self.pending = None;
        self.changes += 1;
        self.places = Places::of(&self.segments);
    }
}
