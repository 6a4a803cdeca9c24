//! Filtered searches against exact ones, and what they cost.
//!
//! `cargo test --release --test filters -- --ignored --nocapture` prints the table for 100,000 photos.

use std::time::Instant;

use photorecall::index::exact;
use photorecall::library::ask::Ask;
use photorecall::library::{Library, ModelRef, Photo, Query, normalise};

const DIM: usize = 256;
const K: usize = 10;
const QUERIES: usize = 50;
/// In 1,000.
const SHARES: [usize; 5] = [1, 10, 100, 500, 1000];

/// Seeded vectors in clusters, as photos of the same things are.
struct Vectors {
    state: u64,
    centres: Vec<f32>,
}

impl Vectors {
    fn new(seed: u64) -> Self {
        let mut vectors = Self {
            state: seed,
            centres: Vec::new(),
        };
        vectors.centres = (0..200 * DIM).map(|_| vectors.next()).collect();
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

    fn draw(&mut self) -> Vec<f32> {
        let at = (self.next().abs() * 199.9) as usize * DIM;
        let raw = (0..DIM).map(|axis| 0.3 + self.centres[at + axis] + self.next());
        normalise(raw.collect::<Vec<f32>>()).expect("not zero")
    }
}

/// A library whose photos have 0 to 999 bytes: `size:..N` is a filter of any share.
fn library(photos: usize, vectors: &mut Vectors) -> (Library, Vec<f32>) {
    let mut library = Library::create(ModelRef {
        name: "m".into(),
        digest: "d".into(),
        dim: DIM,
    });
    let mut rows = Vec::with_capacity(photos * DIM);
    for i in 0..photos {
        let photo = Photo {
            path: format!("folder {}/{i}.jpg", i % 37),
            bytes: (i * 7919 % 1000) as u64,
            taken: Some(format!("20{:02}-0{}-11T10:00:00", 10 + i % 15, 1 + i % 9)),
            ..Photo::default()
        };
        library.put(photo, &vectors.draw()).expect("a unit vector");
        let path = format!("folder {}/{i}.jpg", i % 37);
        rows.extend(library.embedding(&path).expect("there"));
    }
    library.compact();
    (library, rows)
}

/// Recall against the exact search among the photos that match, and milliseconds a query.
fn measure(photos: usize) -> Vec<(usize, f64, f64)> {
    let mut vectors = Vectors::new(3);
    let (library, rows) = library(photos, &mut vectors);
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| vectors.draw()).collect();
    let mut measured = Vec::new();
    for share in SHARES {
        let filter = Ask::parse(&format!("size:..{}", share - 1))
            .expect("valid")
            .filter;
        let matches = |id: usize| id * 7919 % 1000 < share;
        let some: Vec<usize> = (0..photos).filter(|&id| matches(id)).collect();
        let kept: Vec<f32> = some
            .iter()
            .flat_map(|&id| &rows[id * DIM..][..DIM])
            .copied()
            .collect();
        let (mut found, mut wanted, mut seconds) = (0, 0, 0.0);
        for embedding in &queries {
            let query = Query {
                embedding: Some(embedding.clone()),
                filter: (share < 1000).then(|| filter.clone()).flatten(),
                k: K,
                ..Query::default()
            };
            let start = Instant::now();
            let page = library.page(&query).expect("valid");
            seconds += start.elapsed().as_secs_f64();
            assert_eq!(
                (page.found.len(), page.total),
                (K.min(some.len()), some.len())
            );
            let truth = exact::search(&kept, DIM, embedding, K);
            wanted += truth.len();
            let ids: Vec<String> = truth
                .iter()
                .map(|hit| some[hit.id as usize])
                .map(|id| format!("folder {}/{id}.jpg", id % 37))
                .collect();
            found += page
                .found
                .iter()
                .filter(|found| ids.contains(&found.photo.path))
                .count();
        }
        measured.push((
            share,
            found as f64 / wanted as f64,
            1000.0 * seconds / QUERIES as f64,
        ));
    }
    measured
}

fn tell(photos: usize) {
    for (share, recall, ms) in measure(photos) {
        println!(
            "{photos} photos, {:5.1} % match: recall@10 {recall:.3}, {ms:.2} ms",
            share as f64 / 10.0
        );
        assert!(recall >= 0.95, "{share} in 1,000: recall@10 {recall}");
    }
}

#[test]
fn filtered_searches_find_what_exact_ones_do() {
    tell(12_000);
}

#[test]
#[ignore = "takes a minute"]
fn filtered_searches_over_100_000_photos() {
    tell(100_000);
}
