//! Photos that are there more than once: the same file, the same picture, the same moment.
//!
//! ```text
//! exact    the same digest
//! near     perceptual hashes at most 7 bits apart, and vectors as near as copies' are
//! similar  one camera, at most 30 s from shot to shot, and vectors as near as a burst's are
//! ```
//! Each photo is told of once: of an exact group the best goes on to the near ones, of a near group to
//! the similar ones.

use std::collections::HashMap;

use super::search::time_of;
use super::{Library, Photo};
use crate::image::PerceptualHash;

/// Bits that the hashes of one picture's copies may differ in. One more than that, and four bands could
/// each have two of them: see [`pairs`].
const NEAR_BITS: u32 = 7;
/// The least cosine of one picture's copies.
const NEAR_COSINE: f32 = 0.9;
/// Seconds between two shots of a burst.
const BURST_S: f64 = 30.0;
/// The least cosine of two shots of a burst.
const BURST_COSINE: f32 = 0.85;
/// How much the ratios of two copies' sides may differ.
const RATIO: f64 = 0.04;

/// Groups of two photos or more; in each, the one to keep comes first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Duplicates {
    /// The same bytes.
    pub exact: Vec<Vec<Photo>>,
    /// The same picture: scaled, compressed again, slightly changed.
    pub near: Vec<Vec<Photo>>,
    /// Shots of the same thing, one after the other.
    pub similar: Vec<Vec<Photo>>,
}

impl Library {
    /// Finds duplicates over the whole library.
    pub fn duplicates(&self) -> Duplicates {
        let mut photos: Vec<&Photo> = self.photos().collect();
        photos.sort_by(|a, b| quality(b).cmp(&quality(a)).then(a.path.cmp(&b.path)));
        let exact = grouped(&photos, |groups| {
            let mut first: HashMap<&str, usize> = HashMap::new();
            for (at, photo) in photos.iter().enumerate() {
                let same = first.entry(&photo.digest).or_insert(at);
                groups.join(*same, at);
            }
        });
        let photos = firsts(&exact);
        let vectors = Vectors::new(self, &photos);
        let near = grouped(&photos, |groups| {
            pairs(&photos, |a, b| {
                if look_alike(photos[a], photos[b]) && vectors.cosine(a, b) >= NEAR_COSINE {
                    groups.join(a, b);
                }
            });
        });
        let photos = firsts(&near);
        let vectors = Vectors::new(self, &photos);
        let similar = grouped(&photos, |groups| {
            let mut shots: Vec<(f64, usize)> = (0..photos.len())
                .filter(|&at| photos[at].taken.is_some())
                .map(|at| (time_of(&photos[at].record()), at))
                .collect();
            shots.sort_by(|a, b| a.0.total_cmp(&b.0));
            for pair in shots.windows(2) {
                let ((before, a), (after, b)) = (pair[0], pair[1]);
                let one_camera = photos[a].camera == photos[b].camera;
                if one_camera && after - before <= BURST_S && vectors.cosine(a, b) >= BURST_COSINE {
                    groups.join(a, b);
                }
            }
        });
        let told = |groups: Vec<Vec<&Photo>>| {
            let several = groups.into_iter().filter(|group| group.len() > 1);
            several
                .map(|group| group.into_iter().cloned().collect())
                .collect()
        };
        Duplicates {
            exact: told(exact),
            near: told(near),
            similar: told(similar),
        }
    }
}

/// Whether two photos are the same file or, by what is seen at a glance, the same picture.
pub(super) fn look_alike(a: &Photo, b: &Photo) -> bool {
    if a.digest == b.digest {
        return true;
    }
    let ratio = |photo: &Photo| f64::from(photo.width.max(1)) / f64::from(photo.height.max(1));
    match (a.phash, b.phash) {
        (Some(x), Some(y)) => {
            !x.is_flat()
                && !y.is_flat()
                && x.distance(y) <= NEAR_BITS
                && (ratio(a) / ratio(b)).ln().abs() <= RATIO
        }
        _ => false,
    }
}

/// What makes one copy better than another: its owner's word, then pixels, then bytes.
fn quality(photo: &Photo) -> (bool, u64, u64) {
    let pixels = u64::from(photo.width) * u64::from(photo.height);
    (photo.is_labelled(), pixels, photo.bytes)
}

fn firsts<'a>(groups: &[Vec<&'a Photo>]) -> Vec<&'a Photo> {
    groups.iter().map(|group| group[0]).collect()
}

/// Tells every pair of photos whose hashes may be [`NEAR_BITS`] apart. Of four bands of 16 bits, one has
/// at most one bit of seven: each photo is looked for under its bands with each bit flipped or none.
fn pairs(photos: &[&Photo], mut tell: impl FnMut(usize, usize)) {
    let mut bands: HashMap<(u32, u16), Vec<usize>> = HashMap::new();
    for (at, photo) in photos.iter().enumerate() {
        let Some(hash) = photo.phash.filter(|hash| !hash.is_flat()) else {
            continue;
        };
        for band in 0..4 {
            let bits = part(hash, band);
            let flips = std::iter::once(0).chain((0..16).map(|bit| 1 << bit));
            for flip in flips {
                for &before in bands.get(&(band, bits ^ flip)).into_iter().flatten() {
                    tell(before, at);
                }
            }
        }
        for band in 0..4 {
            bands.entry((band, part(hash, band))).or_default().push(at);
        }
    }
}

fn part(hash: PerceptualHash, band: u32) -> u16 {
    (hash.0 >> (16 * band)) as u16
}

/// The vectors of photos, read when they are asked for.
struct Vectors<'a> {
    library: &'a Library,
    photos: &'a [&'a Photo],
}

impl<'a> Vectors<'a> {
    fn new(library: &'a Library, photos: &'a [&'a Photo]) -> Self {
        Self { library, photos }
    }

    fn cosine(&self, a: usize, b: usize) -> f32 {
        let vector = |at: usize| self.library.embedding(&self.photos[at].path);
        match (vector(a), vector(b)) {
            (Some(a), Some(b)) => a.iter().zip(&b).map(|(x, y)| x * y).sum(),
            _ => 0.0,
        }
    }
}

/// Sets that are joined (Tarjan 1975, with path halving).
struct Groups {
    parent: Vec<usize>,
}

impl Groups {
    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    /// The first photo of both stays the root: the best.
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}

/// All photos in groups, those of one too; groups and photos keep their order.
fn grouped<'a>(photos: &[&'a Photo], join: impl FnOnce(&mut Groups)) -> Vec<Vec<&'a Photo>> {
    let mut groups = Groups {
        parent: (0..photos.len()).collect(),
    };
    join(&mut groups);
    let mut members: Vec<Vec<&Photo>> = vec![Vec::new(); photos.len()];
    for (at, photo) in photos.iter().enumerate() {
        members[groups.root(at)].push(photo);
    }
    members.retain(|group| !group.is_empty());
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::{ModelRef, normalise};

    fn photo(path: &str, digest: &str, phash: u64, taken: Option<&str>) -> Photo {
        Photo {
            path: path.into(),
            digest: digest.into(),
            width: 400,
            height: 300,
            phash: Some(PerceptualHash(phash)),
            taken: taken.map(str::to_owned),
            ..Photo::default()
        }
    }

    fn vector(angle: f32) -> Vec<f32> {
        normalise(vec![angle.cos(), angle.sin(), 0.0, 0.0]).expect("a direction")
    }

    fn paths(groups: &[Vec<Photo>]) -> Vec<Vec<&str>> {
        groups
            .iter()
            .map(|group| group.iter().map(|photo| photo.path.as_str()).collect())
            .collect()
    }

    #[test]
    fn the_three_kinds_are_told_apart() {
        const HASH: u64 = 0x0f1e_2d3c_4b5a_6978;
        let mut library = Library::create(ModelRef {
            name: "m".into(),
            digest: "d".into(),
            dim: 4,
        });
        let large = Photo {
            width: 4000,
            height: 3000,
            ..photo("large.jpg", "b", HASH ^ 0b101, None)
        };
        let other_shape = Photo {
            width: 300,
            ..photo("square.jpg", "c", HASH, None)
        };
        for (photo, angle) in [
            (photo("a.jpg", "a", HASH, None), 0.0),
            (photo("copy of a.jpg", "a", HASH, None), 0.0),
            (large, 0.1),
            (other_shape, 0.0),
            (photo("same hash, other vector.jpg", "e", HASH, None), 1.5),
            (
                photo(
                    "1.jpg",
                    "1",
                    0x00ff_3c3c_55aa_1234,
                    Some("2020-01-01T10:00:00"),
                ),
                1.0,
            ),
            (
                photo(
                    "2.jpg",
                    "2",
                    0xff00_c3c3_aa55_4321,
                    Some("2020-01-01T10:00:20"),
                ),
                1.2,
            ),
            (
                photo(
                    "3.jpg",
                    "3",
                    0x7e81_1234_5678_9abc,
                    Some("2020-01-01T10:05:00"),
                ),
                1.2,
            ),
        ] {
            library.put(photo, &vector(angle)).expect("fits");
        }
        let found = library.duplicates();
        assert_eq!(paths(&found.exact), [["a.jpg", "copy of a.jpg"]]);
        assert_eq!(paths(&found.near), [["large.jpg", "a.jpg"]]);
        assert_eq!(paths(&found.similar), [["1.jpg", "2.jpg"]]);
    }

    #[test]
    fn every_pair_within_the_bits_is_met() {
        let mut state = 9u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state ^ (state >> 29)
        };
        for _ in 0..500 {
            let hash = next();
            let mut other = hash;
            for _ in 0..NEAR_BITS {
                other ^= 1 << (next() >> 58);
            }
            let photos = [photo("a", "a", hash, None), photo("b", "b", other, None)];
            let flat = photos
                .iter()
                .any(|p| p.phash.is_some_and(PerceptualHash::is_flat));
            let mut met = false;
            pairs(&[&photos[0], &photos[1]], |_, _| met = true);
            assert!(met || flat, "{hash:x} {other:x}");
        }
    }
}
