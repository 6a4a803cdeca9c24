//! Filtered searches against exact ones: shared by the test and by the bench.

use std::time::Instant;

use photorecall::image::PerceptualHash;
use photorecall::index::exact;
use photorecall::library::ask::Ask;
use photorecall::library::{Library, ModelRef, Photo, Query, normalise};

/// Photos that are asked for.
pub const K: usize = 10;
/// In 1,000; the last one is no filter.
pub const SHARES: [usize; 5] = [1, 10, 100, 500, 1000];

/// Seeded vectors in clusters, as photos of the same things are.
pub struct Vectors {
    state: u64,
    dim: usize,
    centres: Vec<f32>,
}

impl Vectors {
    /// Of `dim` axes.
    pub fn new(seed: u64, dim: usize) -> Self {
        let mut vectors = Self {
            state: seed,
            dim,
            centres: Vec::new(),
        };
        vectors.centres = (0..200 * dim).map(|_| vectors.next()).collect();
        vectors
    }

    /// In [-1, 1].
    fn next(&mut self) -> f32 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// A unit vector.
    pub fn draw(&mut self) -> Vec<f32> {
        let at = (self.next().abs() * 199.9) as usize * self.dim;
        let raw = (0..self.dim).map(|axis| 0.3 + self.centres[at + axis] + self.next());
        normalise(raw.collect::<Vec<f32>>()).expect("not zero")
    }
}

/// A photo with all that cameras write. It has 0 to 999 bytes: `size:..N` is a filter of any share.
pub fn photo(at: usize) -> Photo {
    Photo {
        path: format!("folder {}/IMG_{at:06}.jpg", at % 37),
        bytes: (at * 7919 % 1000) as u64,
        modified_ms: 1_500_000_000_000 + at as i64 * 60_000,
        digest: photorecall::image::digest(&at.to_le_bytes()),
        width: 4000,
        height: [3000, 2250, 4000, 6000][at % 4],
        taken: Some(format!("20{:02}-0{}-11T10:00:00", 10 + at % 15, 1 + at % 9)),
        camera: Some(["Canon EOS 5D", "Apple iPhone 12", "Pixel 7"][at % 3].into()),
        gps: at
            .is_multiple_of(3)
            .then(|| [41.0 + (at % 100) as f64 / 50.0, 12.5]),
        phash: Some(PerceptualHash(at as u64 * 0x9e37_79b9_7f4a_7c15)),
        ..Photo::default()
    }
}

/// A compacted library, and its vectors as they are kept.
pub fn library(photos: usize, model: ModelRef, vectors: &mut Vectors) -> (Library, Vec<f32>) {
    let mut rows = Vec::with_capacity(photos * model.dim);
    let mut library = Library::create(model);
    for at in 0..photos {
        let photo = photo(at);
        let path = photo.path.clone();
        library.put(photo, &vectors.draw()).expect("a unit vector");
        rows.extend(library.embedding(&path).expect("there"));
    }
    library.compact();
    (library, rows)
}

/// What searches through a filter have found, and what they took.
pub struct Measured {
    /// In 1,000: how many photos the filter lets through.
    pub share: usize,
    /// Recall against the exact search among them.
    pub recall: f64,
    /// Milliseconds of the first query, which goes through all records.
    pub first_ms: f64,
    /// Milliseconds a query, the median.
    pub ms: f64,
}

/// Searches through each filter by turns.
pub fn measure(library: &Library, rows: &[f32], queries: &[Vec<f32>]) -> Vec<Measured> {
    let dim = library.model().dim;
    let photos = rows.len() / dim;
    let mut measured = Vec::new();
    for share in SHARES {
        let ask = Ask::parse(&format!("size:..{}", share - 1)).expect("valid");
        let some: Vec<usize> = (0..photos).filter(|at| at * 7919 % 1000 < share).collect();
        let kept: Vec<f32> = some
            .iter()
            .flat_map(|&at| &rows[at * dim..][..dim])
            .copied()
            .collect();
        let (mut found, mut wanted, mut times) = (0, 0, Vec::new());
        for embedding in queries {
            let query = Query {
                embedding: Some(embedding.clone()),
                filter: ask.filter.clone().filter(|_| share < 1000),
                k: K,
                ..Query::default()
            };
            let start = Instant::now();
            let page = library.page(&query).expect("valid");
            times.push(1000.0 * start.elapsed().as_secs_f64());
            assert_eq!(
                (page.found.len(), page.total),
                (K.min(some.len()), some.len())
            );
            let truth = exact::search(&kept, dim, embedding, K);
            wanted += truth.len();
            let paths: Vec<String> = truth
                .iter()
                .map(|hit| photo(some[hit.id as usize]).path)
                .collect();
            let is_right = |found: &&photorecall::library::Found| paths.contains(&found.photo.path);
            found += page.found.iter().filter(is_right).count();
        }
        let first_ms = times[0];
        times.sort_by(f64::total_cmp);
        measured.push(Measured {
            share,
            first_ms,
            recall: found as f64 / wanted as f64,
            ms: times[times.len() / 2],
        });
    }
    measured
}
