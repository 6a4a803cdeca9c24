//! What filters ask of a record, read where it lies: nothing is allocated, texts stay bytes, and what comes last is
//! read only if it is asked for. A filter looks at every record of a library; a [`Record`](super::Record) of each
//! would take ten times as long as the search that it is for.

use super::records::format_of;
use crate::image::Format;

/// The first fields of a record; texts are UTF-8.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glance<'a> {
    pub path: &'a [u8],
    pub bytes: u64,
    pub modified_ms: i64,
    pub width: u32,
    pub height: u32,
    pub taken: Option<&'a [u8]>,
    rest: Cursor<'a>,
}

/// The fields after those.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rest<'a> {
    pub camera: Option<&'a [u8]>,
    pub gps: Option<[f64; 2]>,
    pub format: Option<Format>,
    pub favourite: bool,
    pub albums: Names<'a>,
    pub tags: Names<'a>,
}

/// Texts, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    count: u64,
    cursor: Cursor<'a>,
}

impl<'a> Glance<'a> {
    /// Of a record's bytes, which were checked when they were first read; others give nonsense, never a panic.
    pub fn of(record: &'a [u8]) -> Self {
        let mut cursor = Cursor(record);
        let path = cursor.text();
        // The digest: which kind, then 32 bytes or a text.
        match cursor.byte() {
            0 => cursor.take(32),
            _ => cursor.text(),
        };
        Self {
            path,
            bytes: cursor.number(),
            modified_ms: cursor.signed(),
            width: cursor.number() as u32,
            height: cursor.number() as u32,
            taken: cursor.option(Cursor::text),
            rest: cursor,
        }
    }

    pub fn rest(&self) -> Rest<'a> {
        let mut cursor = self.rest;
        let camera = cursor.option(Cursor::text);
        let gps = cursor.option(|cursor| [cursor.float(), cursor.float()]);
        let format = format_of(cursor.byte());
        let _phash = cursor.option(Cursor::number);
        let favourite = cursor.byte() == 1;
        let albums = cursor.names();
        Rest {
            camera,
            gps,
            format,
            favourite,
            albums,
            tags: cursor.names(),
        }
    }
}

impl<'a> Names<'a> {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut cursor = self.cursor;
        (0..self.count).map(move |_| cursor.text())
    }
}

/// Bytes in postcard's encoding, from here on.
#[derive(Debug, Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// The next bytes, or fewer at the end.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 63 {
                return number;
            }
        }
    }

    /// Zigzag: 0, -1, 1, -2, …
    fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    fn float(&mut self) -> f64 {
        let bytes = self.take(8).try_into();
        bytes.map_or(0.0, f64::from_le_bytes)
    }

    fn text(&mut self) -> &'a [u8] {
        let len = self.number();
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() == 1).then(|| read(self))
    }

    fn names(&mut self) -> Names<'a> {
        let count = self.number().min(self.0.len() as u64);
        let names = Names {
            count,
            cursor: *self,
        };
        for _ in 0..count {
            self.text();
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Digest, Record, Records};
    use super::*;
    use crate::image::PerceptualHash;

    #[test]
    fn a_glance_sees_what_the_record_says() {
        let full = Record {
            path: "Été/1.jpg",
            digest: Digest::Sha256([7; 32]),
            bytes: u64::MAX,
            modified_ms: i64::MIN,
            width: 4000,
            height: u32::MAX,
            taken: Some("2019-07-04T12:30:00"),
            camera: Some("Canon"),
            gps: Some([-41.5, 12.25]),
            favourite: true,
            albums: vec!["Rome", ""],
            tags: vec!["sea"],
            ..Record::default()
        };
        let full = full
            .with_format(Some(Format::WebP))
            .with_phash(Some(PerceptualHash(u64::MAX)));
        let text = Record {
            digest: Digest::Text("none"),
            modified_ms: -1,
            ..Record::default()
        };
        let mut records = Records::default();
        for record in [&full, &text, &Record::default()] {
            records.push(record);
        }
        for (row, record) in [full, text, Record::default()].iter().enumerate() {
            let glance = records.glance(row);
            let rest = glance.rest();
            let bytes = |text: Option<&'static str>| text.map(str::as_bytes);
            let names = |names: &[&'static str]| -> Vec<&[u8]> {
                names.iter().map(|name| name.as_bytes()).collect()
            };
            assert_eq!(glance.path, record.path.as_bytes());
            assert_eq!(
                (
                    glance.bytes,
                    glance.modified_ms,
                    glance.width,
                    glance.height
                ),
                (
                    record.bytes,
                    record.modified_ms,
                    record.width,
                    record.height
                )
            );
            assert_eq!(
                (glance.taken, rest.camera),
                (bytes(record.taken), bytes(record.camera))
            );
            assert_eq!(
                (rest.gps, rest.format, rest.favourite),
                (record.gps, record.format(), record.favourite)
            );
            assert_eq!(
                rest.albums.iter().collect::<Vec<_>>(),
                names(&record.albums)
            );
            assert_eq!(rest.tags.iter().collect::<Vec<_>>(), names(&record.tags));
            assert_eq!(rest.tags.is_empty(), record.tags.is_empty());
        }
    }

    #[test]
    fn bytes_that_are_no_record_give_nonsense_and_no_panic() {
        for bytes in [
            &[][..],
            &[0xff; 40],
            &[5, 1],
            &[0, 0, 1, 2, 3],
            &[0, 1, 0xff, 0xff],
        ] {
            let rest = Glance::of(bytes).rest();
            assert!(rest.albums.iter().chain(rest.tags.iter()).count() <= 80);
        }
    }
}
