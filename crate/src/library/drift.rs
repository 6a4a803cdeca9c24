//! How far photos have moved away from what the index was learnt from.
//!
//! ```text
//! drift = D(added) / D(learnt)     D(X) = mean of min_c |x − c|² over a sample of X, c the frozen centroids
//! ```
//! D is the distortion of the coarse quantiser (Jégou et al. 2011, "Product quantization for nearest neighbor
//! search", section II). At 1, the centroids stand for new photos as well as for those that they were learnt
//! from; above, new ones lie between them, and queries have to look into more lists. Nothing is found less well:
//! how far a search has to go is measured when a segment is built, and rows that were added since are
//! compared one by one.

use std::sync::PoisonError;

use super::Library;
use super::segment::Segment;

/// Photos that stand for all of their kind, at most.
const SAMPLE: usize = 256;
/// Fewer added photos say nothing.
const LEAST: usize = 64;
/// From here on centroids and codebook are learnt again at the next compaction.
const TOO_FAR: f64 = 1.25;

/// How far the photos that are not in a compact segment have moved away from the newest one's codebook.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Their mean squared distance to the nearest centroid over that of the photos in that segment: about 1
    /// without drift.
    pub ratio: f64,
    /// How many photos were added since.
    pub added: usize,
}

impl Drift {
    /// Whether the codebook is to be learnt again.
    pub fn is_too_far(&self) -> bool {
        self.ratio > TOO_FAR
    }
}

impl Library {
    /// The drift of what was added since the last compaction; `None` where nothing was learnt yet, or too few
    /// photos were added to tell. Milliseconds, once after each change.
    pub fn drift(&self) -> Option<Drift> {
        let mut last = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((changes, drift)) if changes == self.changes => drift,
            _ => {
                let drift = self.measured_drift();
                *last = Some((self.changes, drift));
                drift
            }
        }
    }

    fn measured_drift(&self) -> Option<Drift> {
        let newest = self.newest_compact()?;
        let codebook = newest.vectors.codebook()?;
        let is_flat = |segment: &&Segment| segment.vectors.mean().is_none();
        let flat: Vec<&Segment> = self.segments.iter().filter(is_flat).collect();
        let live = |segment: &&Segment| segment.photos.len() - segment.deleted.count();
        let added: usize = flat.iter().map(live).sum();
        if added < LEAST {
            return None;
        }
        let ratio = codebook.distortion(sample(&flat)) / codebook.distortion(sample(&[newest]));
        ratio.is_finite().then_some(Drift { ratio, added })
    }
}

/// Vectors at even steps `[n, dim]`.
fn sample(segments: &[&Segment]) -> Vec<f32> {
    let rows = |segment: &&Segment| segment.live_rows().count();
    let live: usize = segments.iter().map(rows).sum();
    let rows = segments
        .iter()
        .flat_map(|segment| segment.live_rows().map(move |row| (segment, row)));
    rows.step_by(live.div_ceil(SAMPLE).max(1))
        .flat_map(|(segment, row)| segment.vectors.vector(row))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use crate::index::Codebook;

    const DIM: usize = 16;

    /// Unit vectors in clusters of a kind of their own.
    struct Kind {
        state: u64,
        centres: Vec<f32>,
    }

    impl Kind {
        fn new(seed: u64) -> Self {
            let mut kind = Self {
                state: seed,
                centres: Vec::new(),
            };
            kind.centres = (0..30 * DIM).map(|_| kind.next()).collect();
            kind
        }

        fn next(&mut self) -> f32 {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        }

        fn draw(&mut self) -> Vec<f32> {
            let at = (self.next().abs() * 29.9) as usize * DIM;
            let raw = (0..DIM).map(|axis| self.centres[at + axis] + 0.2 * self.next());
            normalise(raw.collect::<Vec<f32>>()).expect("not zero")
        }
    }

    fn add(library: &mut Library, kind: &mut Kind, count: usize) {
        for _ in 0..count {
            let photo = Photo {
                path: format!("{}.jpg", library.changes),
                ..Photo::default()
            };
            library.put(photo, &kind.draw()).expect("a unit vector");
        }
    }

    fn keep(library: &mut Library) {
        let generation = library.commit().expect("changes").generation;
        library.committed(generation);
    }

    fn codebook(library: &Library) -> Codebook {
        let newest = library.newest_compact().expect("a compact segment");
        newest.vectors.codebook().expect("learnt")
    }

    fn learnt(kind: &mut Kind) -> Library {
        let mut library = Library::create(ModelRef {
            name: "test".into(),
            digest: "d".into(),
            dim: DIM,
        });
        add(&mut library, kind, 4500);
        assert_eq!(library.drift(), None, "nothing was learnt yet");
        library.compact();
        assert_eq!(library.drift(), None, "nothing was added yet");
        library
    }

    #[test]
    fn photos_of_the_same_kind_are_encoded_by_what_was_learnt() {
        let mut kind = Kind::new(1);
        let mut library = learnt(&mut kind);
        let before = codebook(&library);
        add(&mut library, &mut kind, 4200);
        let drift = library.drift().expect("added");
        assert!((0.8..1.2).contains(&drift.ratio) && drift.added == 4200);
        assert!(
            !library.wants_compaction(),
            "one flat segment is none too many"
        );
        library.compact();
        assert_eq!(codebook(&library), before);
    }

    #[test]
    fn photos_of_another_kind_are_told_and_learnt_from() {
        let (mut kind, mut other) = (Kind::new(1), Kind::new(2));
        let mut library = learnt(&mut kind);
        let before = codebook(&library);
        add(&mut library, &mut other, 4200);
        assert!(library.drift().expect("added").is_too_far());
        keep(&mut library);
        let merged = library.merge().expect("the photos have drifted");
        assert!(library.adopt(&merged).expect("whole"));
        assert_ne!(codebook(&library), before);
        assert_eq!(library.stats().photos, 8700);
        add(&mut library, &mut other, 300);
        assert!(!library.drift().expect("added").is_too_far());
        keep(&mut library);
        assert_eq!(library.merge(), None);
    }
}
