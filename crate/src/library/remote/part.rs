//! Some of a segment: the blocks of it that are here, and what can be read of them.

use std::collections::HashMap;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::{self, BLOCK_BYTES, Listed, Ranges, Recorded, Records};
use crate::index::{Bitset, Codebook, Lvq};
use crate::library::photos::Photos;
use crate::library::segment::{Beside, Segment, Shared, Stored};
use crate::library::{ModelRef, Photo};

/// Bytes of a segment that are needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The segment's name.
    pub segment: String,
    /// The first byte; a multiple of 4096.
    pub start: u64,
    /// The byte after the last one; a multiple of 4096, or the segment's length.
    pub end: u64,
}

/// An answer, or what is missing for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Read<T> {
    /// The answer.
    Ready(T),
    /// Put the question again when all of these are given.
    Needs(Vec<Span>),
}

#[derive(Debug)]
pub(super) struct Part {
    pub stored: Stored,
    pub deleted: Bitset,
    pub form: Form,
    /// What was given, by number.
    blocks: HashMap<u64, Vec<u8>>,
}

#[derive(Debug)]
pub(super) enum Form {
    Whole(Box<Segment>),
    Ranged(Box<Ranges>),
}

/// Collects what is missing.
#[derive(Default)]
pub(super) struct Missing(Vec<Span>);

impl Missing {
    /// `value` if nothing is.
    pub fn unless<T>(mut self, value: T) -> Read<T> {
        if self.0.is_empty() {
            return Read::Ready(value);
        }
        self.0.sort();
        self.0.dedup();
        Read::Needs(self.0)
    }
}

impl Part {
    /// Opens what `stored` names; `read` gives the file beside it, or the segment where there is none.
    pub fn open(
        stored: Stored,
        deleted: Bitset,
        model: &ModelRef,
        codebooks: &mut Codebooks,
        read: &mut impl FnMut(&str) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let form = match stored.ranges {
            Some(beside) => {
                let shared = stored.codebook.as_ref();
                let apart = shared
                    .map(|shared| codebooks.get(shared, model, read))
                    .transpose()?;
                let name = stored.ranges_name();
                let file = File {
                    name: &name,
                    bytes: &read(&name)?,
                    beside,
                };
                let ranges = ranges_of(&file, apart, &stored, model)?;
                Form::Ranged(Box::new(ranges))
            }
            None => {
                let bytes = read(&stored.name)?;
                let segment = Segment::from_bytes(&bytes, &stored, deleted.clone(), model)?;
                Form::Whole(Box::new(segment))
            }
        };
        Ok(Self {
            stored,
            deleted,
            form,
            blocks: HashMap::new(),
        })
    }

    /// Takes blocks of the segment, from the byte `start` on.
    pub fn give(&mut self, start: u64, bytes: &[u8]) -> Result<()> {
        let Form::Ranged(ranges) = &self.form else {
            return Err(self.damaged("a range of a segment that is here as a whole"));
        };
        if !start.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(self.damaged("a range that begins within a block"));
        }
        for (block, bytes) in (start / BLOCK_BYTES as u64..).zip(bytes.chunks(BLOCK_BYTES)) {
            if !ranges.is_block(block, bytes) {
                return Err(self.damaged("a block's checksum, or it was changed on its host"));
            }
            self.blocks.insert(block, bytes.to_vec());
        }
        Ok(())
    }

    /// Bytes of the blocks that are here.
    pub fn kept(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Lets go of all blocks.
    pub fn forget(&mut self) {
        self.blocks.clear();
    }

    pub fn damaged(&self, reason: &'static str) -> Error {
        Error::Damaged {
            what: self.stored.name.clone(),
            reason,
        }
    }

    /// Some bytes of the segment, where all of their blocks are here; else the span is missing.
    pub fn bytes(&self, range: Range<u64>, missing: &mut Missing) -> Option<Vec<u8>> {
        let block_bytes = BLOCK_BYTES as u64;
        let blocks = blocks_of(&range);
        let start = blocks.start * block_bytes;
        let mut read = Vec::with_capacity((range.end - start) as usize);
        for block in blocks.clone() {
            let Some(bytes) = self.blocks.get(&block) else {
                missing.0.push(Span {
                    segment: self.stored.name.clone(),
                    start,
                    end: (blocks.end * block_bytes).min(self.stored.bytes),
                });
                return None;
            };
            read.extend_from_slice(bytes);
        }
        read.truncate((range.end - start) as usize);
        Some(read.split_off((range.start - start) as usize))
    }

    /// One row's code, scale and offset.
    pub fn row(&self, ranges: &Ranges, row: usize, missing: &mut Missing) -> Option<Lvq> {
        let [codes, scale, offset] = ranges.row(row).map(|range| self.bytes(range, missing));
        let (codes, scale, offset) = (codes?, scale?, offset?);
        Some(Lvq {
            mean: Vec::new(),
            codes: format::i8_of(&codes)?,
            scales: format::f32_of(&scale)?,
            offsets: format::f32_of(&offset)?,
        })
    }

    /// A photo of some that were read together.
    pub fn record(&self, ranges: &Ranges, bytes: Vec<u8>, at: usize) -> Result<Photo> {
        let json;
        let photos = match ranges.meta.photos {
            Recorded::Records => Records::from_bytes(bytes).map(Listed::Records),
            Recorded::Json => {
                json = array(bytes);
                Some(Listed::Json(&json))
            }
        };
        let photos = photos.and_then(Photos::listed);
        let photo = photos.and_then(|photos| (at < photos.len()).then(|| photos.get(at).clone()));
        photo.ok_or_else(|| self.damaged("a photo's record"))
    }
}

/// The blocks that some bytes lie in.
pub(super) fn blocks_of(bytes: &Range<u64>) -> Range<u64> {
    let block_bytes = BLOCK_BYTES as u64;
    bytes.start / block_bytes..bytes.end.div_ceil(block_bytes)
}

/// A JSON array of objects that have commas between them and after them.
fn array(mut objects: Vec<u8>) -> Vec<u8> {
    while objects.last().is_some_and(|byte| *byte != b'}') {
        objects.pop();
    }
    objects.insert(0, b'[');
    objects.push(b']');
    objects
}

/// What was read, and what the manifest says of it.
struct File<'a> {
    name: &'a str,
    bytes: &'a [u8],
    beside: Beside,
}

impl File<'_> {
    fn damaged(&self, reason: &'static str) -> Error {
        Error::Damaged {
            what: self.name.to_owned(),
            reason,
        }
    }

    /// The bytes, if they are those that the manifest means.
    fn checked(&self) -> Result<&[u8]> {
        if Beside::of(self.bytes) != self.beside {
            return Err(self.damaged("another length or checksum than the manifest says"));
        }
        Ok(self.bytes)
    }
}

/// The codebook files of a library, each read once.
#[derive(Default)]
pub(super) struct Codebooks(Vec<(Shared, Codebook)>);

impl Codebooks {
    fn get(
        &mut self,
        shared: &Shared,
        model: &ModelRef,
        read: &mut impl FnMut(&str) -> Result<Vec<u8>>,
    ) -> Result<&Codebook> {
        let at = self.0.iter().position(|(known, _)| known == shared);
        let at = match at {
            Some(at) => at,
            None => {
                let codebook = codebook_of(shared, &read(&shared.name)?, model)?;
                self.0.push((shared.clone(), codebook));
                self.0.len() - 1
            }
        };
        Ok(&self.0[at].1)
    }
}

/// A codebook file's content, if it is the model's.
fn codebook_of(shared: &Shared, bytes: &[u8], model: &ModelRef) -> Result<Codebook> {
    let file = File {
        name: &shared.name,
        bytes,
        beside: shared.beside,
    };
    let (meta, codebook) = format::read_codebook(file.name, file.checked()?)?;
    if meta.model_digest != model.digest || meta.dim != model.dim {
        return Err(file.damaged("made for another model than the manifest says"));
    }
    Ok(codebook)
}

/// A ranges file's content, if it fits its segment.
fn ranges_of(
    file: &File<'_>,
    apart: Option<&Codebook>,
    stored: &Stored,
    model: &ModelRef,
) -> Result<Ranges> {
    let damaged = |reason| file.damaged(reason);
    let ranges = format::read_ranges(file.name, file.checked()?, apart)?;
    let meta = &ranges.meta;
    if meta.model_digest != model.digest || meta.dim != model.dim {
        return Err(damaged("made for another model than the manifest says"));
    }
    let blocks = stored.bytes.div_ceil(BLOCK_BYTES as u64);
    if meta.rows != stored.photos || ranges.blocks() != blocks {
        return Err(damaged("made for another segment than the manifest says"));
    }
    Ok(ranges)
}
