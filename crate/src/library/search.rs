//! Searching a library: filter, rank, group, cut a page out.
//!
//! ```text
//! filter ─▶ hidden rows of each segment ─▶ nearest by vector ┐
//!                                 photos by words in names ──┴▶ ranked ─▶ groups ─▶ page
//! ```
//! A photo is ranked by cosine + σ·w: σ is the deviation of the query's cosines over the library, and w
//! what its names are worth ([`Share::worth`]). A photo without a word in its names has w = 0, so that
//! a query that no name knows is ranked by meaning alone. As w ≥ 0, the best of both are among the
//! nearest by vector and the photos with names: nothing that belongs on a page is missed.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::PoisonError;

use super::ask::{Day, Filter};
use super::ranking::{Ranked, SAMPLE, best_first, cut, deviation_of};
use super::segment::Segment;
use super::vocabulary::judge;
use super::words::{self, Share, Words};
use super::{Found, Library, Page, Photo, Place, Query};
use crate::error::Result;
use crate::format::Record;
use crate::index::{Bitset, Recall, Search};
use crate::kernels::Kernels;

impl Library {
    /// The photos that a query asks for, best first: [`Library::page`] without what goes with it.
    ///
    /// # Errors
    /// As [`Library::page`].
    pub fn search(&self, query: &Query) -> Result<Vec<Found>> {
        Ok(self.page(query)?.found)
    }

    /// A page of the photos that a query asks for, best first: every segment is searched, the answers
    /// merged. Without an embedding, they come the newest first.
    ///
    /// # Errors
    /// [`Error::Dimension`](crate::Error::Dimension) or [`Error::NoDirection`](crate::Error::NoDirection)
    /// for an embedding that cannot be one of the model's.
    pub fn page(&self, query: &Query) -> Result<Page> {
        if let Some(embedding) = &query.embedding {
            self.model.check(embedding)?;
        }
        let hidden = self.hidden(query);
        let total = hidden.iter().map(|set| set.len() - set.count()).sum();
        let named = self.named(query, &hidden);
        // Only names are weighed by it.
        let deviation = match &query.embedding {
            Some(of) if !named.is_empty() => self.deviation(of),
            _ => None,
        };
        let before = query.after.as_ref().map_or(0, |cursor| cursor.offset);
        // One more than the page: whether there is a next one.
        let wanted = query.offset.saturating_add(query.k).saturating_add(1);
        let mut depth = before.saturating_add(wanted).min(total);
        loop {
            let ranked = match &query.embedding {
                Some(of) => self.nearest((of, query.recall), depth, &hidden, &named, deviation),
                None => self.newest(&hidden, depth),
            };
            // By cosine: a name is no reason to believe that a photo fits.
            let best = ranked
                .iter()
                .max_by(|a, b| a.score.total_cmp(&b.score))
                .filter(|_| query.embedding.is_some())
                .copied();
            let reaches_all = depth >= total || ranked.len() >= total;
            let (page, is_whole) = cut(ranked, query);
            if is_whole || reaches_all {
                let verdict = best.and_then(|best| {
                    let photo = self.embedding(&best.photo.path)?;
                    judge(&self.vocabulary, &photo, best.score)
                });
                return Ok(Page {
                    total,
                    verdict,
                    ..page
                });
            }
            depth = depth.saturating_mul(2).min(total);
        }
    }

    pub(super) fn photo_at(&self, (segment, row): Place) -> &Photo {
        self.segments[segment].photos.get(row)
    }

    /// For each segment the rows that may not be found.
    fn hidden(&self, query: &Query) -> Vec<Cow<'_, Bitset>> {
        let mut hidden: Vec<Cow<'_, Bitset>> = match &query.filter {
            Some(filter) => self.filtered(filter).into_iter().map(Cow::Owned).collect(),
            None => {
                let deleted = self.segments.iter().map(|segment| &segment.deleted);
                deleted.map(Cow::Borrowed).collect()
            }
        };
        for path in &query.exclude {
            if let Some((segment, row)) = self.places.get(path, &self.segments) {
                hidden[segment].to_mut().insert(row);
            }
        }
        hidden
    }

    /// For each segment the rows that are deleted or do not pass a filter. Those of the last filter are kept:
    /// the next page, or other words among the same photos, go through no records again.
    fn filtered(&self, filter: &Filter) -> Vec<Bitset> {
        // What is in it is written whole: a thread that panicked leaves it as good as any.
        let mut last = self.filtered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |last: &&Filtered| last.changes == self.changes && last.filter == *filter;
        if let Some(known) = last.as_ref().filter(is_known) {
            return known.hidden.clone();
        }
        let hidden = self.segments.iter().map(|segment| {
            let mut hidden = segment.deleted.clone();
            for row in segment.live_rows() {
                if !filter.holds(&segment.photos.glance(row)) {
                    hidden.insert(row);
                }
            }
            hidden
        });
        let hidden: Vec<Bitset> = hidden.collect();
        *last = Some(Filtered {
            filter: filter.clone(),
            changes: self.changes,
            hidden: hidden.clone(),
        });
        hidden
    }

    /// The photos with words of the query in their names.
    fn named(&self, query: &Query, hidden: &[Cow<'_, Bitset>]) -> HashMap<Place, Share> {
        if query.embedding.is_none() || query.names.trim().is_empty() {
            return HashMap::new();
        }
        let words: Vec<&Words> = self.segments.iter().map(Segment::words).collect();
        let mut named = words::look_up(&query.names, &words, self.places.len());
        named.retain(|(segment, row), _| !hidden[*segment].contains(*row));
        named
    }

    /// The deviation of a query's cosines over the library, by a sample at even steps.
    fn deviation(&self, embedding: &[f32]) -> Option<f32> {
        let step = self.places.len().div_ceil(SAMPLE).max(1);
        let cosines: Vec<f32> = self
            .segments
            .iter()
            .flat_map(|segment| {
                let sampled = segment.live_rows().step_by(step);
                sampled.map(|row| cosine(segment, row, embedding))
            })
            .collect();
        deviation_of(&cosines)
    }

    /// The best by vector and names, best first; of equal ranks by path, so that a page goes on where the
    /// one before ended.
    fn nearest(
        &self,
        (embedding, recall): (&[f32], Recall),
        depth: usize,
        hidden: &[Cow<'_, Bitset>],
        named: &HashMap<Place, Share>,
        deviation: Option<f32>,
    ) -> Vec<Ranked<'_>> {
        let mut scores: HashMap<Place, f32> = HashMap::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let search = Search {
                query: embedding,
                k: depth,
                hidden: &hidden[at],
                recall,
            };
            let (hits, _) = segment.vectors.search(&search, Kernels::best());
            scores.extend(hits.iter().map(|hit| ((at, hit.id as usize), hit.score)));
        }
        for &(at, row) in named.keys() {
            let own = || cosine(&self.segments[at], row, embedding);
            scores.entry((at, row)).or_insert_with(own);
        }
        let ranked = scores
            .into_iter()
            .map(|(place, score)| {
                let worth = named.get(&place).map_or(0.0, |share| share.worth());
                Ranked::new(self.photo_at(place), score, worth, deviation)
            })
            .collect();
        best_first(ranked, depth)
    }

    /// The newest of the photos that may be found, first; of one time, by path.
    fn newest(&self, hidden: &[Cow<'_, Bitset>], depth: usize) -> Vec<Ranked<'_>> {
        let mut found = self.timed(|segment, row| !hidden[segment].contains(row));
        if depth < found.len() {
            found.select_nth_unstable_by(depth, Timed::newest_first);
            found.truncate(depth);
        }
        found.sort_unstable_by(Timed::newest_first);
        let photos = found.iter().map(|of| self.photo_at(of.place));
        photos.map(Ranked::by_time).collect()
    }

    /// The photos of the rows that are wanted, with their times.
    pub(super) fn timed(&self, wanted: impl Fn(usize, usize) -> bool) -> Vec<Timed<'_>> {
        let mut timed = Vec::with_capacity(self.places.len());
        for (at, segment) in self.segments.iter().enumerate() {
            for row in segment.live_rows().filter(|row| wanted(at, *row)) {
                let record = segment.photos.record(row);
                timed.push(Timed {
                    time: time_of(&record),
                    path: record.path,
                    place: (at, row),
                });
            }
        }
        timed
    }
}

/// What a filter has hidden, as of one state of the library.
#[derive(Debug)]
pub(super) struct Filtered {
    filter: Filter,
    changes: u64,
    hidden: Vec<Bitset>,
}

/// A photo by its time.
pub(super) struct Timed<'a> {
    time: f64,
    path: &'a str,
    pub place: Place,
}

impl Timed<'_> {
    pub fn newest_first(&self, other: &Self) -> Ordering {
        let by_path = || self.path.cmp(other.path);
        other.time.total_cmp(&self.time).then_with(by_path)
    }
}

/// Seconds since 1970, local time, by the camera or else by the file.
pub(crate) fn time_of(photo: &Record<'_>) -> f64 {
    let day = Day::of_record(photo).number() as f64 * 86_400.0;
    let field = |from: usize| -> Option<f64> {
        let digits = photo.taken?.get(from..from + 2)?;
        digits.parse().ok()
    };
    match (field(11), field(14), field(17)) {
        (Some(hours), Some(minutes), Some(seconds)) => {
            day + 3600.0 * hours + 60.0 * minutes + seconds
        }
        _ => day + photo.modified_ms.rem_euclid(86_400_000) as f64 / 1000.0,
    }
}

fn cosine(segment: &Segment, row: usize, embedding: &[f32]) -> f32 {
    let vector = segment.vectors.vector(row);
    let products = vector.iter().zip(embedding);
    products
        .map(|(x, y)| f64::from(*x) * f64::from(*y))
        .sum::<f64>() as f32
}
