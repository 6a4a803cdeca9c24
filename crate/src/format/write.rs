//! Sections → bytes.

use super::{ALIGNMENT, ENTRY_LEN, HEADER_LEN, Kind, MAGIC, VERSION};
use crate::checksum::crc32;

/// Collects sections and makes a container of them.
#[derive(Debug)]
pub struct Writer {
    kind: Kind,
    sections: Vec<(String, Vec<u8>)>,
}

impl Writer {
    /// A container without sections.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            sections: Vec::new(),
        }
    }

    /// Appends a section.
    ///
    /// # Panics
    /// When the name is empty or longer than 16 bytes: names are ours.
    pub fn section(mut self, name: &str, bytes: Vec<u8>) -> Self {
        assert!(
            (1..=16).contains(&name.len()),
            "a section's name has 1 to 16 bytes: {name}"
        );
        self.sections.push((name.to_owned(), bytes));
        self
    }

    /// The container's bytes.
    pub fn finish(self) -> Vec<u8> {
        let mut at = HEADER_LEN + ENTRY_LEN * self.sections.len();
        let mut table = Vec::new();
        for (name, bytes) in &self.sections {
            at = at.next_multiple_of(ALIGNMENT);
            let mut padded = [0; 16];
            padded[..name.len()].copy_from_slice(name.as_bytes());
            table.extend(padded);
            table.extend((at as u64).to_le_bytes());
            table.extend((bytes.len() as u64).to_le_bytes());
            table.extend(crc32(bytes).to_le_bytes());
            table.extend([0; 4]);
            at += bytes.len();
        }
        let mut out = self.header(&table, at);
        out.extend(table);
        for (_, bytes) in &self.sections {
            out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
            out.extend(bytes);
        }
        out
    }

    fn header(&self, table: &[u8], total: usize) -> Vec<u8> {
        let mut header = Vec::with_capacity(total);
        header.extend(MAGIC);
        header.extend(VERSION.to_le_bytes());
        header.extend(self.kind.number().to_le_bytes());
        header.extend((total as u64).to_le_bytes());
        header.extend((self.sections.len() as u32).to_le_bytes());
        header.extend(crc32fast::hash(table).to_le_bytes());
        header.resize(HEADER_LEN - 4, 0);
        header.extend(crc32fast::hash(&header).to_le_bytes());
        header
    }
}
