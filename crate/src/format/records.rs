//! The records of a segment's photos ⇄ bytes: one after the other, each in
//! [postcard's encoding](https://postcard.jamesmunns.com/wire-format), read where they lie.

use serde::{Deserialize, Serialize};

use super::glance::Glance;
use crate::image::{Format, PerceptualHash, hex};

/// What a segment keeps of a photo; texts are those of the bytes that it was read from. The fields' order
/// is that of the bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record<'a> {
    /// Its lasting name.
    pub path: &'a str,
    /// What tells its file from others.
    #[serde(borrow)]
    pub digest: Digest<'a>,
    /// Size of the file.
    pub bytes: u64,
    /// When the file was changed, in milliseconds since 1970 (UTC).
    pub modified_ms: i64,
    /// Pixels, upright.
    pub width: u32,
    /// Pixels, upright.
    pub height: u32,
    /// When it was taken, local time.
    #[serde(borrow)]
    pub taken: Option<&'a str>,
    /// The camera's maker and model.
    #[serde(borrow)]
    pub camera: Option<&'a str>,
    /// Latitude and longitude in degrees.
    pub gps: Option<[f64; 2]>,
    /// The file's format: see [`Record::format`].
    pub(crate) format: u8,
    /// The bits of its perceptual hash.
    pub(crate) phash: Option<u64>,
    /// Marked as one of the best.
    pub favourite: bool,
    /// Albums that it is in.
    #[serde(borrow)]
    pub albums: Vec<&'a str>,
    /// Words that were put to it.
    #[serde(borrow)]
    pub tags: Vec<&'a str>,
}

/// A file's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Digest<'a> {
    /// SHA-256.
    Sha256([u8; 32]),
    /// Any other.
    Text(&'a str),
}

impl Default for Digest<'_> {
    fn default() -> Self {
        Self::Text("")
    }
}

impl<'a> Digest<'a> {
    /// Of its text: lower-case hex takes half the room.
    pub fn of(text: &'a str) -> Self {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let is_hex = rest.is_empty()
            && pairs.len() == bytes.len()
            && bytes.iter_mut().zip(pairs).all(|(byte, [high, low])| {
                let value = digit(*high).zip(digit(*low));
                value.map(|(high, low)| *byte = 16 * high + low).is_some()
            });
        if is_hex {
            Self::Sha256(bytes)
        } else {
            Self::Text(text)
        }
    }

    /// Its text.
    pub fn text(&self) -> String {
        match self {
            Self::Sha256(bytes) => hex(bytes),
            Self::Text(text) => (*text).to_owned(),
        }
    }
}

/// By their numbers, from 1.
const FORMATS: [Format; 8] = [
    Format::Jpeg,
    Format::Png,
    Format::WebP,
    Format::Gif,
    Format::Bmp,
    Format::Tiff,
    Format::Avif,
    Format::Heic,
];
/// The number of a format that has none.
const OTHER: u8 = 255;

/// The format of a number.
pub(super) fn format_of(number: u8) -> Option<Format> {
    let at = usize::from(number).checked_sub(1)?;
    Some(FORMATS.get(at).copied().unwrap_or(Format::Other))
}

impl Record<'_> {
    /// The file's format.
    pub fn format(&self) -> Option<Format> {
        format_of(self.format)
    }

    /// The same record of a file of this format.
    pub fn with_format(self, format: Option<Format>) -> Self {
        let number = |format| {
            let at = FORMATS.iter().position(|known| *known == format);
            at.map_or(OTHER, |at| at as u8 + 1)
        };
        Self {
            format: format.map_or(0, number),
            ..self
        }
    }

    /// What near duplicates have nearly in common.
    pub fn phash(&self) -> Option<PerceptualHash> {
        self.phash.map(PerceptualHash)
    }

    /// The same record with this perceptual hash.
    pub fn with_phash(self, phash: Option<PerceptualHash>) -> Self {
        Self {
            phash: phash.map(|hash| hash.0),
            ..self
        }
    }
}

/// Records, end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Vec<u8>,
    /// Where each of them begins.
    starts: Vec<usize>,
}

impl Records {
    /// Reads all of them once, so that none has to be checked again; `None` when one cannot be read.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        let (mut starts, mut rest) = (Vec::new(), bytes.as_slice());
        while !rest.is_empty() {
            starts.push(bytes.len() - rest.len());
            (_, rest) = postcard::take_from_bytes::<Record<'_>>(rest).ok()?;
        }
        Some(Self { bytes, starts })
    }

    /// All of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The record of a row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, row: usize) -> Record<'_> {
        postcard::from_bytes(self.bytes_of(row)).expect("read before")
    }

    /// What filters ask of a row's record.
    ///
    /// # Panics
    /// When there is no such row.
    pub(crate) fn glance(&self, row: usize) -> Glance<'_> {
        Glance::of(self.bytes_of(row))
    }

    /// The path in a row's record.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn path(&self, row: usize) -> &str {
        let (path, _) = postcard::take_from_bytes(self.bytes_of(row)).expect("read before");
        path
    }

    fn bytes_of(&self, row: usize) -> &[u8] {
        let end = self.starts.get(row + 1).copied();
        &self.bytes[self.starts[row]..end.unwrap_or(self.bytes.len())]
    }

    /// Appends a record.
    pub fn push(&mut self, record: &Record<'_>) {
        self.starts.push(self.bytes.len());
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(record, bytes).expect("memory is all that it takes");
    }

    /// Appends a record of others as it is.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn push_from(&mut self, others: &Records, row: usize) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(others.bytes_of(row));
    }

    /// Where every `step`-th record begins, and where the last one ends.
    pub(super) fn starts(&self, step: usize) -> Vec<u64> {
        let starts = self.starts.iter().step_by(step);
        starts
            .chain([&self.bytes.len()])
            .map(|at| *at as u64)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Records {
        let mut records = Records::default();
        let digest = "0123456789abcdef".repeat(4);
        for (path, digest) in [("a/ü.jpg", digest.as_str()), ("", ""), ("b", "none")] {
            let record = Record {
                path,
                digest: Digest::of(digest),
                modified_ms: -1,
                gps: Some([1.5, -2.0]),
                tags: vec!["x", ""],
                ..Record::default()
            };
            records.push(
                &record
                    .with_format(Some(Format::Gif))
                    .with_phash(Some(PerceptualHash(7))),
            );
        }
        records
    }

    #[test]
    fn records_are_written_and_read() {
        let records = records();
        let read = Records::from_bytes(records.as_bytes().to_vec()).expect("whole");
        assert_eq!(read, records);
        let first = read.get(0);
        assert_eq!((first.path, read.path(2)), ("a/ü.jpg", "b"));
        assert!(matches!(first.digest, Digest::Sha256(_)));
        assert_eq!(first.digest.text(), "0123456789abcdef".repeat(4));
        assert_eq!(read.get(2).digest.text(), "none");
        assert_eq!(first.format(), Some(Format::Gif));
        assert_eq!(first.phash(), Some(PerceptualHash(7)));
        assert_eq!((first.tags, first.modified_ms), (vec!["x", ""], -1));
        let mut copy = Records::default();
        (0..3).for_each(|row| copy.push_from(&read, row));
        assert_eq!(copy, records);
    }

    #[test]
    fn a_cut_within_a_record_is_found() {
        let records = records();
        let bytes = records.as_bytes();
        for end in 0..bytes.len() {
            let cut = Records::from_bytes(bytes[..end].to_vec());
            assert_eq!(cut.is_some(), records.starts.contains(&end), "{end}");
        }
    }
}
