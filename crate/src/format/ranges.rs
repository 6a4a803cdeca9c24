//! What is read of a segment before single ranges of it: a file beside the segment.
//!
//! ```text
//! segment   │ … │ scan ─ blocks of a list │ codes, scales, offsets ─ rows │ photos ─ 32 records at a time │
//! ranges    lists, plan │ where these sections lie │ where every 32nd record begins │ CRC-32 of each 4 KiB
//! codebook  centroids, codebook: one file for all segments that have the same
//! ```
//! A range is read in whole blocks of 4 KiB, and each block is checked: a host that sends something else
//! is found out. Segments themselves stay as they are.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::codebook::{CodebookMeta, read_coarse, write_codebook};
use super::compact::fine_sections;
use super::read::damaged;
use super::segment::{Listed, Segment, SegmentMeta};
use super::{Container, Form, Kind, Writer};
use super::{bytes_of_u32, bytes_of_u64, read_segment, u32_of, u64_of};
use crate::error::Result;
use crate::index::{Base, Coarse, Codebook, Lists, Vectors};

/// Bytes that have a checksum of their own.
pub const BLOCK_BYTES: usize = 4096;
/// Photos whose records are read together.
const PHOTO_STEP: usize = 32;

/// The coarse part of a segment, and where the rest lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranges {
    /// What the segment says of itself.
    pub meta: SegmentMeta,
    /// What a query begins with.
    pub coarse: Coarse,
    places: Places,
    /// Where every 32nd photo's record begins among `photos`, and where the last one ends.
    photo_starts: Vec<u64>,
    blocks: Vec<u32>,
}

/// Sections of the segment: the first byte and the one after the last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Places {
    scan: Range<u64>,
    codes: Range<u64>,
    scales: Range<u64>,
    offsets: Range<u64>,
    photos: Range<u64>,
}

#[derive(Serialize, Deserialize)]
struct Account {
    segment: SegmentMeta,
    bytes: u64,
    /// What the finer codes are of.
    #[serde(default)]
    base: Base,
    places: Places,
    /// Whether centroids and codebook lie in a file of their own; before version 5 they never did.
    #[serde(default)]
    is_apart: bool,
}

/// What is read before single ranges of a segment, as bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct RangesFiles {
    /// The segment's own.
    pub ranges: Vec<u8>,
    /// A codebook file; the same bytes for all segments of one codebook.
    pub codebook: Vec<u8>,
}

/// The files to read ranges of the segment `name` with; `None` for a flat one, which is small and read whole.
///
/// # Errors
/// As [`read_segment`].
pub fn write_ranges(name: &str, segment: &[u8]) -> Result<Option<RangesFiles>> {
    let Segment {
        meta,
        photos,
        vectors,
        ..
    } = read_segment(name, segment)?;
    let Vectors::Compact(index) = vectors else {
        return Ok(None);
    };
    let container = Container::open(name, Kind::Segment, segment)?;
    let place = |section| container.place(section, segment);
    let [codes, scales, offsets] = fine_sections(index.parts().base);
    let account = Account {
        base: index.parts().base,
        bytes: segment.len() as u64,
        places: Places {
            scan: place("scan")?,
            codes: place(codes)?,
            scales: place(scales)?,
            offsets: place(offsets)?,
            photos: place(meta.photos.section())?,
        },
        is_apart: true,
        segment: meta,
    };
    let starts = match photos {
        Listed::Records(records) => Some(records.starts(PHOTO_STEP)),
        Listed::Json(json) => photo_starts(json),
    };
    let starts = starts.ok_or(damaged(name, "its list of photos"))?;
    let blocks: Vec<u32> = segment.chunks(BLOCK_BYTES).map(crc32fast::hash).collect();
    let coarse = Coarse::of(&index);
    let codebook = codebook_of(&account.segment, &coarse);
    let account = serde_json::to_vec(&account).expect("numbers and a string are JSON");
    let writer = Writer::new(Kind::Ranges)
        .section("meta", account)
        .section("lists", bytes_of_u32(&coarse.lists.starts))
        .section(
            "plan",
            serde_json::to_vec(&coarse.plan).expect("numbers are JSON"),
        )
        .section("photo_starts", bytes_of_u64(&starts))
        .section("blocks", bytes_of_u32(&blocks));
    let ranges = writer.finish();
    Ok(Some(RangesFiles { ranges, codebook }))
}

fn codebook_of(segment: &SegmentMeta, coarse: &Coarse) -> Vec<u8> {
    let meta = CodebookMeta {
        model_digest: segment.model_digest.clone(),
        dim: segment.dim,
        sample: 0,
    };
    let codebook = Codebook {
        centroids: coarse.lists.centroids.clone(),
        codebook: coarse.codebook.clone(),
    };
    write_codebook(&meta, &codebook)
}

/// Reads a ranges file; `name` is told in errors. `apart` is what the codebook file beside it holds, where
/// there is one.
///
/// # Errors
/// As [`Container::open`]; also when the parts do not fit together.
pub fn read_ranges(name: &str, bytes: &[u8], apart: Option<&Codebook>) -> Result<Ranges> {
    let damaged = |reason| damaged(name, reason);
    let container = Container::open(name, Kind::Ranges, bytes)?;
    let account: Account = serde_json::from_slice(container.section("meta")?)
        .map_err(|_| damaged("its account of the segment"))?;
    let (centroids, codebook) = match (account.is_apart, apart) {
        (false, _) => read_coarse(name, &container)?,
        (true, Some(apart)) => (apart.centroids.clone(), apart.codebook.clone()),
        (true, None) => return Err(damaged("the codebook that belongs to it is not named")),
    };
    let coarse = Coarse {
        lists: Lists::new(
            centroids,
            u32_of(container.section("lists")?).ok_or(damaged("its lists"))?,
        ),
        codebook,
        base: account.base,
        plan: serde_json::from_slice(container.section("plan")?)
            .map_err(|_| damaged("its plan"))?,
    };
    let ranges = Ranges {
        meta: account.segment,
        coarse,
        places: account.places,
        photo_starts: u64_of(container.section("photo_starts")?).ok_or(damaged("its photos"))?,
        blocks: u32_of(container.section("blocks")?).ok_or(damaged("its checksums"))?,
    };
    if !ranges.is_whole(account.bytes) {
        return Err(damaged("its parts do not fit together"));
    }
    Ok(ranges)
}

impl Ranges {
    fn is_whole(&self, bytes: u64) -> bool {
        let (rows, dim) = (self.meta.rows as u64, self.meta.dim as u64);
        let Places {
            scan,
            codes,
            scales,
            offsets,
            photos,
        } = &self.places;
        let has = |place: &Range<u64>, len: Option<u64>| {
            place.end <= bytes && place.end.checked_sub(place.start) == len && len.is_some()
        };
        let coarse =
            self.meta.form == Form::Compact && self.coarse.is_whole(self.meta.rows, self.meta.dim);
        coarse
            && has(
                scan,
                Some(self.coarse.scan_bytes(&(0..self.meta.rows)).end as u64),
            )
            && has(codes, rows.checked_mul(dim))
            && has(scales, rows.checked_mul(4))
            && has(offsets, rows.checked_mul(4))
            && has(photos, photos.end.checked_sub(photos.start))
            && self.photo_starts.len() == self.meta.rows.div_ceil(PHOTO_STEP) + 1
            && self.photo_starts.is_sorted()
            && self.photo_starts.last() <= Some(&(photos.end.saturating_sub(photos.start)))
            && self.blocks.len() as u64 == bytes.div_ceil(BLOCK_BYTES as u64)
    }

    /// Bytes of the segment that hold the coarse codes of a list's rows.
    pub fn scan(&self, rows: &Range<usize>) -> Range<u64> {
        let within = self.coarse.scan_bytes(rows);
        self.places.scan.start + within.start as u64..self.places.scan.start + within.end as u64
    }

    /// Bytes of the segment that hold a row's code, its scale and its offset.
    pub fn row(&self, row: usize) -> [Range<u64>; 3] {
        let of = |place: &Range<u64>, len: usize| {
            let start = place.start + (row * len) as u64;
            start..start + len as u64
        };
        [
            of(&self.places.codes, self.meta.dim),
            of(&self.places.scales, 4),
            of(&self.places.offsets, 4),
        ]
    }

    /// Bytes of the segment that hold a photo's record among others', and its place among them.
    pub fn photo(&self, row: usize) -> (Range<u64>, usize) {
        let at = row / PHOTO_STEP;
        let start = self.places.photos.start;
        let bytes = start + self.photo_starts[at]..start + self.photo_starts[at + 1];
        (bytes, row % PHOTO_STEP)
    }

    /// Whether `bytes` are block `block` of the segment.
    pub fn is_block(&self, block: u64, bytes: &[u8]) -> bool {
        let wanted = usize::try_from(block)
            .ok()
            .and_then(|at| self.blocks.get(at));
        wanted == Some(&crc32fast::hash(bytes))
    }

    /// How many blocks the segment has.
    pub fn blocks(&self) -> u64 {
        self.blocks.len() as u64
    }
}

/// Where every 32nd object of a JSON array begins, and where the last one ends; `None` for anything else.
fn photo_starts(json: &[u8]) -> Option<Vec<u64>> {
    let (mut starts, mut end, mut count) = (Vec::new(), 0, 0);
    let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
    for (at, byte) in json.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => {
                if depth == 1 {
                    if count % PHOTO_STEP == 0 {
                        starts.push(at as u64);
                    }
                    count += 1;
                }
                depth += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 1 {
                    end = at as u64 + 1;
                }
            }
            _ => {}
        }
    }
    starts.push(end);
    (depth == 0 && !is_text).then_some(starts)
}

#[cfg(test)]
mod tests {
    use super::super::Recorded;
    use super::super::codebook::write_coarse;
    use super::*;
    use crate::index::Compact;

    #[test]
    fn what_version_4_wrote_is_read() {
        let vectors: Vec<f32> = (0..512 * 8)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0)
            .collect();
        let vector = |row: usize, out: &mut [f32]| out.copy_from_slice(&vectors[row * 8..][..8]);
        let (index, _) = Compact::build(512, 8, 1, None, &vector);
        let coarse = Coarse::of(&index);
        let account = Account {
            segment: SegmentMeta {
                model_digest: "d".into(),
                dim: 8,
                rows: 512,
                form: Form::Compact,
                photos: Recorded::Records,
            },
            bytes: 1 << 20,
            base: coarse.base,
            places: Places {
                scan: 0..coarse.scan_bytes(&(0..512)).end as u64,
                codes: 0..512 * 8,
                scales: 0..512 * 4,
                offsets: 0..512 * 4,
                photos: 0..0,
            },
            is_apart: false,
        };
        let mut json = serde_json::to_value(&account).expect("JSON");
        json.as_object_mut().expect("an object").remove("is_apart");
        let writer = Writer::new(Kind::Ranges).section("meta", json.to_string().into_bytes());
        let bytes = write_coarse(writer, &coarse.lists.centroids, &coarse.codebook)
            .section("lists", bytes_of_u32(&coarse.lists.starts))
            .section("plan", serde_json::to_vec(&coarse.plan).expect("numbers"))
            .section("photo_starts", bytes_of_u64(&[0; 17]))
            .section("blocks", bytes_of_u32(&[0; 256]))
            .finish();
        let ranges = read_ranges("ranges", &bytes, None).expect("whole");
        assert_eq!(ranges.coarse, coarse);
    }

    #[test]
    fn records_are_found_in_any_json() {
        let record = |at: usize| format!(r#"{{"path":"a]}}\"[{at}","tags":["x","{{"]}}"#);
        let records: Vec<String> = (0..70).map(record).collect();
        let json = format!("[{}]", records.join(","));
        let starts = photo_starts(json.as_bytes()).expect("an array");
        assert_eq!(starts.len(), 4);
        for (at, wanted) in starts.iter().zip([0, 32, 64]) {
            assert!(json[*at as usize..].starts_with(&records[wanted]));
        }
        assert_eq!(starts[3] as usize, json.len() - 1);
        assert_eq!(photo_starts(b"[]"), Some(vec![0]));
        for wrong in [&b"[{]"[..], b"]", b"[\"", b"[{}"] {
            assert_eq!(photo_starts(wrong), None);
        }
    }
}
