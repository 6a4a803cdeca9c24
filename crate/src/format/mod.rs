//! Bytes ⇄ sections: the container that segments and manifests are kept in. Its layout is in
//! [`FORMAT.md`](https://docs.rs/photorecall), beside this file, and nowhere else in code.
//!
//! ```text
//! header (64 bytes) │ section table (40 bytes each) │ sections, each at a multiple of 64 bytes
//! ```
//! A container is validated whole when it is opened: magic, version, lengths, order, every checksum,
//! and that every byte between sections is zero. So a flipped bit anywhere is found.

mod binary;
mod codebook;
mod collection;
mod compact;
#[cfg(feature = "photos")]
mod glance;
mod quantised;
#[cfg(feature = "photos")]
mod ranges;
mod read;
#[cfg(feature = "photos")]
mod records;
mod section;
#[cfg(feature = "photos")]
mod segment;
mod vectors;
mod write;

pub use binary::{read_binary, write_binary};
pub use codebook::{CodebookMeta, read_codebook, write_codebook};
pub use collection::{read_collection, write_collection};
#[cfg(feature = "photos")]
pub(crate) use glance::{Glance, Names};
pub use quantised::{read_quantised, write_quantised};
#[cfg(feature = "photos")]
pub use ranges::{BLOCK_BYTES, Ranges, RangesFiles, read_ranges, write_ranges};
pub use read::Container;
#[cfg(feature = "photos")]
pub use records::{Digest, Record, Records};
pub use section::{
    bytes_of_f16, bytes_of_f32, bytes_of_i8, bytes_of_u32, bytes_of_u64, f16_of, f32_of, i8_of,
    u32_of, u64_of,
};
#[cfg(feature = "photos")]
pub use segment::{
    Listed, Recorded, Segment, SegmentMeta, read_segment, salvage_photos, write_segment,
};
pub use vectors::Form;
pub use write::Writer;

/// The first bytes of every file.
pub const MAGIC: [u8; 8] = *b"PHOTOREC";
/// The newest version that is read, and the one that is written.
pub const VERSION: u32 = 5;
const HEADER_LEN: usize = 64;
const ENTRY_LEN: usize = 40;
const ALIGNMENT: usize = 64;

/// What a container holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Photos and their vectors.
    Segment,
    /// Which segments make a library.
    Manifest,
    /// What shards share.
    Codebook,
    /// What is read of a segment before single ranges of it.
    Ranges,
    /// Vectors under ids, without photos.
    Collection,
    /// Some of a collection's vectors.
    Part,
    /// Vectors of bits under ids.
    Binary,
    /// Some of those.
    BinaryPart,
    /// Vectors in rotated codes, as they were before there were others.
    Rotated,
    /// Vectors under a structure and a code of choice.
    Quantised,
}

impl Kind {
    fn number(self) -> u32 {
        match self {
            Kind::Segment => 1,
            Kind::Manifest => 2,
            Kind::Codebook => 3,
            Kind::Ranges => 4,
            Kind::Collection => 5,
            Kind::Part => 6,
            Kind::Binary => 7,
            Kind::BinaryPart => 8,
            Kind::Rotated => 9,
            Kind::Quantised => 10,
        }
    }
}
