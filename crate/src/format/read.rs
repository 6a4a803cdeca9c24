//! Bytes → sections, trusting none of them.

use crc32fast::Hasher;

use super::{ALIGNMENT, ENTRY_LEN, HEADER_LEN, Kind, MAGIC, VERSION};
use crate::checksum::crc32;
use crate::error::{Error, Result};

/// A validated container over the bytes that it was opened from.
#[derive(Debug)]
pub struct Container<'a> {
    what: &'a str,
    sections: Vec<(&'a [u8], &'a [u8])>,
    crc32: u32,
}

/// One row of the section table, unchecked.
struct Entry<'a> {
    name: &'a [u8],
    offset: u64,
    len: u64,
    crc32: u32,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'a> Container<'a> {
    /// Validates all of `bytes`; `what` names them in errors.
    ///
    /// # Errors
    /// [`Error::NewerVersion`] for a version that is not known yet, [`Error::Damaged`] for anything else.
    pub fn open(what: &'a str, kind: Kind, bytes: &'a [u8]) -> Result<Self> {
        let entries = Self::table(what, kind, bytes)?;
        let mut sections = Vec::with_capacity(entries.len());
        let mut end = HEADER_LEN + ENTRY_LEN * entries.len();
        let mut whole = Hasher::new();
        whole.update(&bytes[..end]);
        for entry in &entries {
            let (section, gap) =
                place(entry, end, bytes).ok_or(damaged(what, "a section's place"))?;
            if crc32(section) != entry.crc32 {
                return Err(damaged(what, "a section's checksum"));
            }
            if gap.iter().any(|byte| *byte != 0) {
                return Err(damaged(what, "the gap between sections"));
            }
            whole.update(gap);
            whole.combine(&Hasher::new_with_initial_len(entry.crc32, entry.len));
            end = entry.offset as usize + section.len();
            sections.push((entry.name, section));
        }
        if end != bytes.len() {
            return Err(damaged(what, "bytes after the last section"));
        }
        Ok(Self {
            what,
            sections,
            crc32: whole.finalize(),
        })
    }

    /// One section of a container that may be damaged elsewhere: its own checksum must hold.
    pub fn salvage(what: &'a str, kind: Kind, bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let entries = Self::table(what, kind, bytes).ok()?;
        let entry = entries.iter().find(|entry| entry.name == name.as_bytes())?;
        let start = usize::try_from(entry.offset).ok()?;
        let section = bytes.get(start..start.checked_add(usize::try_from(entry.len).ok()?)?)?;
        (crc32(section) == entry.crc32).then_some(section)
    }

    /// The section table, its checksums and the header's checked.
    fn table(what: &str, kind: Kind, bytes: &'a [u8]) -> Result<Vec<Entry<'a>>> {
        let header = bytes
            .get(..HEADER_LEN)
            .ok_or(damaged(what, "shorter than its header"))?;
        if header[..8] != MAGIC {
            return Err(damaged(what, "not a file of Photorecall"));
        }
        let number = |at| u32_at(header, at).unwrap_or_default();
        if number(HEADER_LEN - 4) != crc32fast::hash(&header[..HEADER_LEN - 4]) {
            return Err(damaged(what, "the header's checksum"));
        }
        let found = number(8);
        if found > VERSION {
            return Err(Error::NewerVersion {
                what: what.to_owned(),
                found,
                supported: VERSION,
            });
        }
        if found == 0 || number(12) != kind.number() {
            return Err(damaged(what, "another kind of file"));
        }
        let count = number(24) as usize;
        let table = count
            .checked_mul(ENTRY_LEN)
            .and_then(|len| bytes.get(HEADER_LEN..HEADER_LEN.checked_add(len)?))
            .ok_or(damaged(what, "shorter than its section table"))?;
        if number(28) != crc32fast::hash(table) {
            return Err(damaged(what, "the section table's checksum"));
        }
        table
            .chunks_exact(ENTRY_LEN)
            .map(|row| entry(row).ok_or(damaged(what, "a section's entry")))
            .collect()
    }

    /// CRC-32 of all bytes, put together of the sections' own: no byte is gone over twice.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    /// The bytes of a section.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is none of that name.
    pub fn section(&self, name: &str) -> Result<&'a [u8]> {
        let found = self
            .sections
            .iter()
            .find(|(known, _)| *known == name.as_bytes());
        found
            .map(|(_, bytes)| *bytes)
            .ok_or(damaged(self.what, "a section is missing"))
    }
}

impl Container<'_> {
    /// Where a section lies in `bytes`, those that the container was opened from.
    ///
    /// # Errors
    /// [`Error::Damaged`] when there is none of that name.
    pub fn place(&self, name: &str, bytes: &[u8]) -> Result<std::ops::Range<u64>> {
        let section = self.section(name)?;
        let start = section
            .as_ptr()
            .addr()
            .saturating_sub(bytes.as_ptr().addr()) as u64;
        Ok(start..start + section.len() as u64)
    }
}

fn entry(row: &[u8]) -> Option<Entry<'_>> {
    let name = row.get(..16)?;
    let len = name.iter().position(|byte| *byte == 0).unwrap_or(16);
    Some(Entry {
        name: &name[..len],
        offset: u64_at(row, 16)?,
        len: u64_at(row, 24)?,
        crc32: u32_at(row, 32)?,
    })
}

/// The section's bytes and the gap before it; sections lie in order, aligned, within the file.
fn place<'a>(entry: &Entry<'_>, end: usize, bytes: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = usize::try_from(entry.offset).ok()?;
    let len = usize::try_from(entry.len).ok()?;
    if start != end.next_multiple_of(ALIGNMENT) {
        return None;
    }
    Some((
        bytes.get(start..start.checked_add(len)?)?,
        bytes.get(end..start)?,
    ))
}

pub(super) fn damaged(what: &str, reason: &'static str) -> Error {
    Error::Damaged {
        what: what.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;

    fn sample() -> Vec<u8> {
        Writer::new(Kind::Segment)
            .section("one", vec![7; 100])
            .section("two", vec![])
            .section("three", vec![1])
            .finish()
    }

    #[test]
    fn reads_what_was_written() {
        let bytes = sample();
        let read = Container::open("sample", Kind::Segment, &bytes).expect("intact");
        assert_eq!(read.crc32(), crc32fast::hash(&bytes));
        assert_eq!(read.section("one").expect("there"), [7; 100]);
        assert!(read.section("two").expect("there").is_empty());
        assert_eq!(
            read.section("four").expect_err("not there").code(),
            "damaged"
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = sample();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert!(
                    Container::open("sample", Kind::Segment, &flipped).is_err(),
                    "byte {at}, bit {bit}"
                );
            }
            assert!(
                Container::open("sample", Kind::Segment, &bytes[..at]).is_err(),
                "cut at {at}"
            );
        }
        assert!(
            Container::open("sample", Kind::Segment, &[bytes.clone(), vec![0]].concat()).is_err()
        );
        assert!(
            Container::open("sample", Kind::Manifest, &bytes).is_err(),
            "another kind"
        );
    }

    #[test]
    fn a_newer_version_is_refused_in_clear_words() {
        let mut bytes = sample();
        bytes[8] = VERSION as u8 + 1;
        let crc = crc32fast::hash(&bytes[..HEADER_LEN - 4]);
        bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
        let error = Container::open("sample", Kind::Segment, &bytes).expect_err("too new");
        assert_eq!(error.code(), "newer_version");
        assert!(error.to_string().contains("version 6"), "{error}");
    }
}
