//! From a file's bytes to a model's input.
//!
//! ```text
//! bytes ─ decode (limits, orientation) ─▶ Decoded [h, w, 3] ─ trim_black_borders ─▶ Preprocess::tensor
//!   └─ metadata: date, camera, place             └─ thumbnail_jpeg, PerceptualHash   resize, crop, normalise
//! ```
//! No byte of a file is trusted: sizes are checked before memory is taken, and what cannot be read is
//! an error that says why.

mod borders;
mod decode;
mod metadata;
mod phash;
mod preprocess;
mod reduced;
mod thumbnail;

pub use borders::trim_black_borders;
pub use decode::{
    Decoded, Format, Glance, Limits, Reduced, decode, decode_reduced, format, glance, memory_needed,
};
pub use metadata::{Metadata, metadata};
pub use phash::PerceptualHash;
pub use preprocess::{Filter, Preprocess, ResizeMode};
pub use thumbnail::thumbnail_jpeg;

/// SHA-256 of a file's bytes, in lower-case hex: what tells files apart.
pub fn digest(bytes: &[u8]) -> String {
    hex(crate::checksum::sha256(bytes))
}

/// Bytes in lower-case hex, as digests are written.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}
