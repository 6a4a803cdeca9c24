//! A library that lies on a host and is read in ranges, as queries need them. Sans I/O: a question that
//! cannot be answered yet says which bytes it needs, and is put again when they are there.
//!
//! ```text
//! manifest, ranges files ─▶ Remote
//! page(query) ─▶ Needs [spans of segments] ─ fetched elsewhere ─▶ give ─▶ page(query) ─▶ … ─▶ Ready
//!               1. the blocks of the nearest lists   2. the best rows' codes   3. the records of the hits
//! ```
//! Spans are whole blocks of 4 KiB, each checked when it is given; the same part of a segment is always
//! the same span, so that whoever fetches them can keep them. Only the nearest lists of all segments
//! together are looked into, and only the best rows of all: at most [`MOST_ROWS`], and as many lists as leave
//! an opening and its first query within [`FIRST_BYTES`].

mod part;

use std::collections::{BTreeMap, HashMap, HashSet};

use part::{Codebooks, Form, Missing, Part, blocks_of};
pub use part::{Read, Span};

use super::manifest::Manifest;
use super::ranking::{Ranked, best_first, cut};
use super::segment::{Beside, Stored};
use super::vocabulary::{self, judge};
use super::{ModelRef, Page, Photo, Place, Query, Stats, Word};
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::index::{Hit, Lvq, Probe, Recall, Search};
use crate::kernels::Kernels;

/// Bytes that an opening and its first query read, about, where the opening leaves that much.
const FIRST_BYTES: u64 = 14_800_000;
/// Bytes of lists that a query reads, at least, however large the opening was.
const LEAST_LIST_BYTES: u64 = 1 << 20;
/// Rows that a query compares, at most, unless more are asked for.
const MOST_ROWS: usize = 512;
/// Rows that are compared for each one that is wanted.
const ROWS_EACH: usize = 4;
/// Bytes that are kept from query to query; spans that are needed again are given again.
const KEPT_BYTES: usize = 64 << 20;

/// A library of which only some is here.
#[derive(Debug)]
pub struct Remote {
    model: ModelRef,
    generation: u64,
    parts: Vec<Part>,
    /// Bytes that were read before any query.
    opened: u64,
    /// Photos whose records were read.
    met: HashMap<Place, Photo>,
    places: HashMap<String, Place>,
    vocabulary: Vec<Word>,
}

macro_rules! ready {
    ($read:expr) => {
        match $read {
            Read::Ready(value) => value,
            Read::Needs(spans) => return Ok(Read::Needs(spans)),
        }
    };
}

/// What [`Remote::files`] names.
fn files_of(segments: &[Stored]) -> Vec<(String, Beside)> {
    let beside = |stored: &Stored| match stored.ranges {
        Some(beside) => (stored.ranges_name(), beside),
        None => {
            let Stored { bytes, crc32, .. } = *stored;
            (stored.name.clone(), Beside { bytes, crc32 })
        }
    };
    let shared = segments
        .iter()
        .filter_map(|stored| stored.codebook.as_ref());
    let codebooks: BTreeMap<_, _> = shared
        .map(|shared| (shared.name.clone(), shared.beside))
        .collect();
    segments.iter().map(beside).chain(codebooks).collect()
}

impl Remote {
    /// The files that [`Remote::open`] reads, each with its length and checksum: for each segment the one
    /// beside it, or the segment itself; and the codebooks, which come last.
    ///
    /// # Errors
    /// When the manifest is damaged or too new.
    pub fn files(manifest: &[u8]) -> Result<Vec<(String, Beside)>> {
        Ok(files_of(&Manifest::from_bytes(manifest)?.listing.segments))
    }

    /// Bytes of all segments; `None` when none of them can be read in ranges.
    ///
    /// # Errors
    /// When the manifest is damaged or too new.
    pub fn whole_bytes(manifest: &[u8]) -> Result<Option<u64>> {
        let segments = Manifest::from_bytes(manifest)?.listing.segments;
        let is_possible = segments.iter().any(|stored| stored.ranges.is_some());
        Ok(is_possible.then(|| segments.iter().map(|stored| stored.bytes).sum()))
    }

    /// Opens a library by its manifest; `read` gives the files that [`Remote::files`] names.
    ///
    /// # Errors
    /// When a file is missing, damaged or too new.
    pub fn open(manifest: &[u8], mut read: impl FnMut(&str) -> Result<Vec<u8>>) -> Result<Self> {
        let Manifest { listing, deleted } = Manifest::from_bytes(manifest)?;
        let files = files_of(&listing.segments);
        let mut remote = Self {
            model: listing.model,
            generation: listing.generation,
            parts: Vec::new(),
            opened: manifest.len() as u64 + files.iter().map(|(_, file)| file.bytes).sum::<u64>(),
            met: HashMap::new(),
            places: HashMap::new(),
            vocabulary: Vec::new(),
        };
        let mut codebooks = Codebooks::default();
        for (stored, deleted) in listing.segments.into_iter().zip(deleted) {
            let part = Part::open(stored, deleted, &remote.model, &mut codebooks, &mut read)?;
            remote.parts.push(part);
        }
        Ok(remote)
    }

    /// The model that the library's vectors come from.
    pub fn model(&self) -> &ModelRef {
        &self.model
    }

    /// As [`Library::require_model`](super::Library::require_model).
    ///
    /// # Errors
    /// [`Error::ModelMismatch`] when it is another.
    pub fn require_model(&self, model: &ModelRef) -> Result<()> {
        self.model.require(model)
    }

    /// As [`Library::set_vocabulary`](super::Library::set_vocabulary), for verdicts.
    ///
    /// # Errors
    /// For a vector that cannot be one of the model's.
    pub fn set_vocabulary(&mut self, words: Vec<Word>) -> Result<()> {
        vocabulary::check(&self.model, &words)?;
        self.vocabulary = words;
        Ok(())
    }

    /// Figures of the library.
    pub fn stats(&self) -> Stats {
        let rows: usize = self.parts.iter().map(|part| part.stored.photos).sum();
        let deleted = self.parts.iter().map(|part| part.deleted.count()).sum();
        Stats {
            photos: rows - deleted,
            deleted,
            segments: self.parts.len(),
            bytes: self.parts.iter().map(|part| part.stored.bytes).sum(),
            dim: self.model.dim,
            generation: self.generation,
            model: self.model.clone(),
        }
    }

    /// A photo that was found before.
    pub fn photo(&self, path: &str) -> Option<&Photo> {
        self.met.get(self.places.get(path)?)
    }

    /// Takes bytes that were needed, from `start` on.
    ///
    /// # Errors
    /// [`Error::Missing`] for a segment that is not there; [`Error::Damaged`] for bytes that are no whole
    /// blocks or not the segment's.
    pub fn give(&mut self, segment: &str, start: u64, bytes: &[u8]) -> Result<()> {
        let part = self
            .parts
            .iter_mut()
            .find(|part| part.stored.name == segment);
        let part = part.ok_or_else(|| Error::Missing {
            name: segment.to_owned(),
        })?;
        part.give(start, bytes)
    }

    /// A page of the photos nearest to a query's embedding, best first; names are not looked at.
    ///
    /// # Errors
    /// [`Error::NotByRanges`] for what cannot be answered without reading everything: filters, an exact
    /// search, photos by date. Else as
    /// [`Library::page`](super::Library::page).
    pub fn page(&mut self, query: &Query) -> Result<Read<Page>> {
        let embedding = self.require(query)?.to_vec();
        let hits = ready!(self.nearest(&embedding, query)?);
        let before = query.after.as_ref().map_or(0, |cursor| cursor.offset);
        let wanted = query.offset.saturating_add(query.k).saturating_add(1);
        let mut depth = before.saturating_add(wanted);
        loop {
            let some = &hits[..depth.min(hits.len())];
            ready!(self.meet(some)?);
            let ranked = some
                .iter()
                .map(|(place, score)| Ranked::new(&self.met[place], *score, 0.0, None));
            let excluded = |one: &Ranked<'_>| !query.exclude.contains(&one.photo.path);
            let ranked = best_first(ranked.filter(excluded).collect(), usize::MAX);
            let best = ranked
                .first()
                .map(|one| (self.places[&one.photo.path], one.score));
            let (page, is_whole) = cut(ranked, query);
            if is_whole || depth >= hits.len() {
                let verdict = match best {
                    Some((place, score)) if !self.vocabulary.is_empty() => {
                        let vector = ready!(self.vector(place)?);
                        judge(&self.vocabulary, &vector, score)
                    }
                    _ => None,
                };
                let total = self.stats().photos;
                self.forget();
                return Ok(Read::Ready(Page {
                    total,
                    verdict,
                    ..page
                }));
            }
            depth = depth.saturating_mul(2);
        }
    }

    /// The vector of a photo that was found before.
    ///
    /// # Errors
    /// [`Error::Missing`] for a photo that was not.
    pub fn embedding(&self, path: &str) -> Result<Read<Vec<f32>>> {
        let place = self.places.get(path).ok_or_else(|| Error::Missing {
            name: path.to_owned(),
        })?;
        self.vector(*place)
    }

    /// The query's embedding, if the query can be answered.
    fn require<'a>(&self, query: &'a Query) -> Result<&'a [f32]> {
        let refused = |what| Err(Error::NotByRanges { what });
        if query.filter.is_some() {
            return refused("a filter");
        }
        if query.recall == Recall::Exact {
            return refused("an exact search");
        }
        let Some(embedding) = &query.embedding else {
            return refused("a list of photos by date");
        };
        self.model.check(embedding)?;
        Ok(embedding)
    }

    /// The best rows of all segments, best first.
    fn nearest(&self, embedding: &[f32], query: &Query) -> Result<Read<Vec<(Place, f32)>>> {
        let before = query.after.as_ref().map_or(0, |cursor| cursor.offset);
        let wanted = before + query.offset + query.k + 1 + query.exclude.len();
        let (probes, rerank) = self.probes(embedding, query.recall);
        let count = rerank.min(MOST_ROWS).max(wanted * ROWS_EACH);
        let mut missing = Missing::default();
        let mut read: Vec<Vec<(Probe, Vec<u8>)>> = self.parts.iter().map(|_| Vec::new()).collect();
        for (at, probe) in probes {
            if let Form::Ranged(ranges) = &self.parts[at].form {
                let codes = self.parts[at].bytes(ranges.scan(&probe.rows), &mut missing);
                read[at].extend(codes.map(|codes| (probe, codes)));
            }
        }
        ready!(missing.unless(()));
        let candidates = self.candidates(embedding, &read, count);
        let mut hits = ready!(self.compared(embedding, &candidates)?);
        for (at, part) in self.parts.iter().enumerate() {
            if let Form::Whole(segment) = &part.form {
                let search = Search {
                    query: embedding,
                    k: wanted,
                    hidden: &part.deleted,
                    recall: query.recall,
                };
                let (found, _) = segment.vectors.search(&search, Kernels::best());
                hits.extend(found.iter().map(|hit| ((at, hit.id as usize), hit.score)));
            }
        }
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(Read::Ready(hits))
    }

    /// The lists to look into, the nearest of all segments first, and how many rows to compare.
    fn probes(&self, embedding: &[f32], recall: Recall) -> (Vec<(usize, Probe)>, usize) {
        let (mut all, mut rerank) = (Vec::new(), 0);
        for (at, part) in self.parts.iter().enumerate() {
            if let Form::Ranged(ranges) = &part.form {
                let (probes, rows) = ranges.coarse.probes(embedding, recall, Kernels::best());
                let placed = |probe: Probe| (at, blocks_of(&ranges.scan(&probe.rows)), probe);
                all.extend(probes.into_iter().map(placed));
                rerank = rerank.max(rows);
            }
        }
        all.sort_by(|a, b| b.2.cosine.total_cmp(&a.2.cosine).then(a.0.cmp(&b.0)));
        let most = self.list_blocks();
        // Lists that lie side by side share a block.
        let mut read = HashSet::new();
        let affordable = all.into_iter().take_while(|(at, blocks, _)| {
            read.extend(blocks.clone().map(|block| (*at, block)));
            read.len() <= most
        });
        (
            affordable.map(|(at, _, probe)| (at, probe)).collect(),
            rerank,
        )
    }

    /// Blocks of lists that a query reads, at most: the same for each query, so that pages fit together.
    fn list_blocks(&self) -> usize {
        // A row has a block for its code, into which some reach from the one before, and every other one
        // has blocks of its own for its scale and its offset.
        let row_bytes = self.model.dim + 2 * BLOCK_BYTES;
        let first = FIRST_BYTES.saturating_sub(self.opened + (MOST_ROWS * row_bytes) as u64);
        first.max(LEAST_LIST_BYTES) as usize / BLOCK_BYTES
    }

    /// The rows of all segments that look best by their coarse codes, and what these say.
    fn candidates(
        &self,
        embedding: &[f32],
        read: &[Vec<(Probe, Vec<u8>)>],
        count: usize,
    ) -> Vec<(Place, f32)> {
        let mut all: Vec<(Place, f32)> = Vec::new();
        for (at, (part, probes)) in self.parts.iter().zip(read).enumerate() {
            if let Form::Ranged(ranges) = &part.form {
                let deleted = &part.deleted;
                let hits =
                    ranges
                        .coarse
                        .candidates(probes, embedding, count, deleted, Kernels::best());
                let placed = |hit: Hit| ((at, hit.id as usize), hit.score);
                all.extend(hits.into_iter().map(placed));
            }
        }
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(count);
        all.sort_by_key(|(place, _)| *place);
        all
    }

    /// The scores of rows by all of their codes; `rows` ascend.
    fn compared(
        &self,
        embedding: &[f32],
        rows: &[(Place, f32)],
    ) -> Result<Read<Vec<(Place, f32)>>> {
        let mut missing = Missing::default();
        let mut hits = Vec::with_capacity(rows.len());
        for group in rows.chunk_by(|a, b| a.0.0 == b.0.0) {
            let part = &self.parts[group[0].0.0];
            let Form::Ranged(ranges) = &part.form else {
                continue;
            };
            let read: Vec<Lvq> = group
                .iter()
                .filter_map(|((_, row), _)| part.row(ranges, *row, &mut missing))
                .collect();
            if read.len() == group.len() {
                let rows = Lvq {
                    mean: Vec::new(),
                    codes: read.iter().flat_map(|row| row.codes.clone()).collect(),
                    scales: read.iter().flat_map(|row| row.scales.clone()).collect(),
                    offsets: read.iter().flat_map(|row| row.offsets.clone()).collect(),
                };
                if !rows
                    .scales
                    .iter()
                    .chain(&rows.offsets)
                    .all(|x| x.is_finite())
                {
                    return Err(part.damaged("a row's scale or offset"));
                }
                let coarse: Vec<f32> = group.iter().map(|(_, score)| *score).collect();
                let scores = ranges
                    .coarse
                    .scores(rows, &coarse, embedding, Kernels::best());
                hits.extend(group.iter().map(|(place, _)| *place).zip(scores));
            }
        }
        Ok(missing.unless(hits))
    }

    /// Reads the records of photos.
    fn meet(&mut self, hits: &[(Place, f32)]) -> Result<Read<()>> {
        let mut missing = Missing::default();
        let mut read = Vec::new();
        for (place, _) in hits {
            let part = &self.parts[place.0];
            match &part.form {
                _ if self.met.contains_key(place) => {}
                Form::Whole(segment) => read.push((*place, segment.photos.get(place.1).clone())),
                Form::Ranged(ranges) => {
                    let (bytes, at) = ranges.photo(place.1);
                    if let Some(some) = part.bytes(bytes, &mut missing) {
                        read.push((*place, part.record(ranges, some, at)?));
                    }
                }
            }
        }
        for (place, photo) in read {
            self.places.insert(photo.path.clone(), place);
            self.met.insert(place, photo);
        }
        Ok(missing.unless(()))
    }

    fn vector(&self, (at, row): Place) -> Result<Read<Vec<f32>>> {
        let part = &self.parts[at];
        let ranges = match &part.form {
            Form::Whole(segment) => return Ok(Read::Ready(segment.vectors.vector(row))),
            Form::Ranged(ranges) => ranges,
        };
        let mut missing = Missing::default();
        let fine = part.row(ranges, row, &mut missing);
        let codes = part.bytes(ranges.scan(&(row..row + 1)), &mut missing);
        let vector = fine.zip(codes);
        let vector = vector.map(|(fine, codes)| ranges.coarse.vector(row, codes, fine));
        Ok(missing.unless(vector.unwrap_or_default()))
    }

    /// Lets go of bytes when there are many.
    fn forget(&mut self) {
        let kept: usize = self.parts.iter().map(Part::kept).sum();
        if kept > KEPT_BYTES {
            self.parts.iter_mut().for_each(Part::forget);
        }
    }
}
