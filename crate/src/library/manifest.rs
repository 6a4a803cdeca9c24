//! The manifest: which segments make a library, and which of their rows are deleted.

use serde::{Deserialize, Serialize};

use super::ModelRef;
use super::segment::Stored;
use crate::error::{Error, Result};
use crate::format::{Container, Kind, Writer, bytes_of_u64, u64_of};
use crate::index::Bitset;

/// The JSON section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Listing {
    pub generation: u64,
    pub model: ModelRef,
    pub segments: Vec<Stored>,
    /// Damaged segments, kept for whoever wants to look into them.
    #[serde(default)]
    pub set_aside: Vec<String>,
}

/// A manifest with the deleted rows of each segment.
#[derive(Debug)]
pub(super) struct Manifest {
    pub listing: Listing,
    pub deleted: Vec<Bitset>,
}

fn damaged(reason: &'static str) -> Error {
    Error::Damaged {
        what: "the manifest".into(),
        reason,
    }
}

impl Manifest {
    pub fn to_bytes(&self) -> Vec<u8> {
        let words: Vec<u64> = self
            .deleted
            .iter()
            .flat_map(|set| set.words())
            .copied()
            .collect();
        Writer::new(Kind::Manifest)
            .section(
                "library",
                serde_json::to_vec(&self.listing).expect("a listing is JSON"),
            )
            .section("deleted", bytes_of_u64(&words))
            .finish()
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let container = Container::open("the manifest", Kind::Manifest, bytes)?;
        let listing: Listing = serde_json::from_slice(container.section("library")?)
            .map_err(|_| damaged("its list of segments"))?;
        if listing.model.dim == 0 {
            return Err(damaged("a model without axes"));
        }
        let words = u64_of(container.section("deleted")?).ok_or(damaged("its deleted rows"))?;
        let deleted = split(&listing.segments, &words).ok_or(damaged("its deleted rows"))?;
        Ok(Self { listing, deleted })
    }
}

/// Deals the words out to the segments.
fn split(segments: &[Stored], mut words: &[u64]) -> Option<Vec<Bitset>> {
    let mut sets = Vec::with_capacity(segments.len());
    for segment in segments {
        let (own, rest) = words.split_at_checked(segment.photos.div_ceil(64))?;
        sets.push(Bitset::from_words(own.to_vec(), segment.photos)?);
        words = rest;
    }
    words.is_empty().then_some(sets)
}
