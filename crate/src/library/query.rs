//! Questions and answers.

use super::Photo;
use super::ask::{Ask, Filter};
use crate::error::{Error, Result};
use crate::index::{Recall, normalise};

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// A unit vector in the space of the library's model; without one, photos come the newest first.
    pub embedding: Option<Vec<f32>>,
    /// Words that are looked up in the names of files, folders, albums and tags too; empty for a search
    /// by meaning alone.
    pub names: String,
    /// Which photos may be found. It is applied while searching: k come back when k match.
    pub filter: Option<Filter>,
    /// How many photos.
    pub k: usize,
    /// How many of the best to leave out: the next page.
    pub offset: usize,
    /// Go on after this photo, which ended the page before; `offset` counts from there.
    pub after: Option<Cursor>,
    /// Leave out photos with a lower cosine, whatever their names.
    pub min_score: Option<f32>,
    /// Leave out the photos of these paths: the examples themselves.
    pub exclude: Vec<String>,
    /// How good the answer should be, against how fast.
    pub recall: Recall,
    /// Put near duplicates under the best of them.
    pub grouped: bool,
}

/// Where a page ended. It holds when photos come or go between two pages.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// How many came before, the last one counted: where to look first.
    pub(super) offset: usize,
    /// What the last one was ranked by.
    pub(super) rank: f64,
    /// The last one.
    pub(super) path: String,
}

impl Cursor {
    /// How many photos came before the page.
    #[cfg(all(feature = "cluster", not(target_arch = "wasm32")))]
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Whether a photo comes after the place: it ranks lower, or as high and later by its path.
    pub(super) fn is_before(&self, rank: f64, path: &str) -> bool {
        rank < self.rank || (rank == self.rank && path > self.path.as_str())
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { offset, rank, path } = self;
        write!(f, "{offset}:{:x}:{path}", rank.to_bits())
    }
}

impl std::str::FromStr for Cursor {
    type Err = Error;

    /// Reads what `Display` wrote.
    fn from_str(text: &str) -> Result<Self> {
        let mut fields = text.splitn(3, ':');
        let mut read = || {
            let offset = fields.next()?.parse().ok()?;
            let rank = f64::from_bits(u64::from_str_radix(fields.next()?, 16).ok()?);
            let path = fields.next()?.to_owned();
            (!rank.is_nan()).then_some(Self { offset, rank, path })
        };
        read().ok_or(Error::Cursor)
    }
}

/// A photo that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The cosine between the query and the photo; 1 where only filters were asked for.
    pub score: f32,
    /// What it is ranked by: the cosine, and what its names are worth.
    pub rank: f64,
    /// The photo.
    pub photo: Photo,
    /// Near duplicates of it that were found too, by path; only in a grouped search.
    pub others: Vec<String>,
}

/// A part of what was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Best first.
    pub found: Vec<Found>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
    /// How many photos the filter lets through.
    pub total: usize,
    /// In a search by meaning, where the library has a vocabulary.
    pub verdict: Option<Verdict>,
}

/// Whether a search by meaning has found what was asked for, judged by the best photo: whether it fits
/// the query better than usual words. A hint, never a reason to hide anything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Whether a photo that fits is likely there.
    pub likely: bool,
    /// Deviations of the query's cosine to the best photo above the mean of usual words' cosines to it.
    pub deviations: f32,
}

impl Ask {
    /// The vector of the parts, by weight, and of what stands `beside` them (example photos, weight 1);
    /// `None` where there is neither.
    ///
    /// # Errors
    /// What `embed` gives; [`Error::NoDirection`] when the parts cancel out.
    pub fn embedding(
        &self,
        beside: &[Vec<f32>],
        mut embed: impl FnMut(&str) -> Result<Vec<f32>>,
    ) -> Result<Option<Vec<f32>>> {
        let words: Vec<(f32, Vec<f32>)> = self
            .parts
            .iter()
            .map(|part| Ok((part.weight, embed(&part.words)?)))
            .collect::<Result<_>>()?;
        let words = words
            .iter()
            .map(|(weight, vector)| (*weight, vector.as_slice()));
        let all: Vec<(f32, &[f32])> = words
            .chain(beside.iter().map(|vector| (1.0, vector.as_slice())))
            .collect();
        (!all.is_empty()).then(|| combine(&all)).transpose()
    }
}

/// Σ weightᵢ·vectorᵢ, normalised to length one: `beach − people` is `[(1, beach), (−1, people)]`.
///
/// # Errors
/// [`Error::NoDirection`] when there is nothing to add, the parts cancel out or are not finite;
/// [`Error::Dimension`] when their lengths differ.
pub fn combine(parts: &[(f32, &[f32])]) -> Result<Vec<f32>> {
    let dim = parts.first().map_or(0, |(_, vector)| vector.len());
    let mut sum = vec![0f32; dim];
    for (weight, vector) in parts {
        if vector.len() != dim {
            return Err(Error::Dimension {
                expected: dim,
                found: vector.len(),
            });
        }
        sum.iter_mut()
            .zip(*vector)
            .for_each(|(sum, x)| *sum += weight * x);
    }
    normalise(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_normalised() {
        let sum = combine(&[(1.0, &[1.0, 0.0]), (-1.0, &[0.0, 1.0])]).expect("has a direction");
        assert!((sum[0] - 0.5f32.sqrt()).abs() < 1e-6 && (sum[1] + 0.5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn cursors_are_written_and_read() {
        let cursor = Cursor {
            offset: 20,
            rank: -0.25,
            path: "a:b/ü.jpg".into(),
        };
        assert_eq!(cursor.to_string().parse::<Cursor>().expect("ours"), cursor);
        for wrong in ["", "1", "1:2", "x:0:p", "1:zz:p", "1:7ff8000000000000:p"] {
            assert_eq!(wrong.parse::<Cursor>().expect_err(wrong).code(), "cursor");
        }
    }

    #[test]
    fn what_cancels_out_has_no_direction() {
        for parts in [
            &[(1.0, &[1.0, 0.0][..]), (-1.0, &[1.0, 0.0][..])][..],
            &[],
            &[(f32::NAN, &[1.0][..])],
        ] {
            assert_eq!(
                combine(parts).expect_err("no direction").code(),
                "no_direction"
            );
        }
    }
}
