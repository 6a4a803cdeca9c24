//! A collection of photos that are not there, with vectors like a model's: a library of any size, made as
//! `photorecall shard` makes it.

#![allow(dead_code, reason = "each test and benchmark uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};

use photorecall::index::{Codebook, Lists};
use photorecall::library::{Beside, Library, ModelRef, Photo, Stored, normalise};
use photorecall::store::files::FileStore;

#[path = "random.rs"]
mod random;
pub use random::Random;

/// Seeded unit vectors in clusters of clusters with a direction in common, as a model's are; words lie in
/// another direction and share a little with some photo.
pub struct Vectors {
    random: Random,
    dim: usize,
    centres: Vec<f32>,
}

impl Vectors {
    pub fn new(dim: usize, clusters: usize) -> Self {
        let mut vectors = Self {
            random: Random(11),
            dim,
            centres: Vec::new(),
        };
        vectors.centres = (0..clusters * dim).map(|_| vectors.next()).collect();
        vectors
    }

    /// About normal.
    fn next(&mut self) -> f32 {
        let sum: usize = (0..4).map(|_| self.random.below(1 << 16)).sum();
        sum as f32 / (1 << 15) as f32 - 4.0
    }

    pub fn photo(&mut self) -> Vec<f32> {
        let clusters = self.centres.len() / self.dim;
        // Some clusters are far larger than others.
        let at = self.random.below(clusters).min(self.random.below(clusters)) * self.dim;
        // Most of a photo's deviation lies along few axes.
        let raw = (0..self.dim).map(|axis| {
            let spread = 2.5 / (1.0 + axis as f32 / 12.0).sqrt();
            0.6 + 0.7 * self.centres[at + axis] + spread * self.next()
        });
        normalise(raw.collect()).expect("not zero")
    }

    pub fn word(&mut self) -> Vec<f32> {
        let photo = self.photo();
        let raw = photo.iter().enumerate().map(|(axis, x)| {
            let other = if axis % 2 == 0 { 0.1 } else { -0.1 };
            0.5 * x + other + 0.03 * self.next()
        });
        normalise(raw.collect()).expect("not zero")
    }
}

/// A library in a folder, and what it was made of.
pub struct Made {
    pub folder: PathBuf,
    pub rows: Vec<f32>,
    pub vectors: Vectors,
}

/// What is known of photo `at` of a collection of `of`.
pub fn photo(at: usize, of: usize) -> Photo {
    Photo {
        path: format!("album {:03}/IMG_{:06}.jpg", at * 997 / of, at),
        bytes: 3_000_000 + at as u64,
        modified_ms: 1_500_000_000_000 + at as i64 * 1000,
        digest: format!("{at:064x}"),
        width: 4000,
        height: 3000,
        taken: Some(format!("20{:02}-07-04T12:30:00", at % 24)),
        camera: Some("Canon EOS 5D".into()),
        ..Photo::default()
    }
}

/// A library of shards with one codebook, of drawn vectors.
pub fn make(folder: &Path, photos: usize, shards: usize, model: ModelRef) -> Made {
    let mut vectors = Vectors::new(model.dim, (photos as f64).sqrt() as usize);
    let rows: Vec<f32> = (0..photos).flat_map(|_| vectors.photo()).collect();
    build(folder, &rows, shards, &model);
    Made {
        folder: folder.to_owned(),
        rows,
        vectors,
    }
}

/// Builds a library of shards of vectors `[photos, dim]`, as `photorecall shard` does.
pub fn build(folder: &Path, rows: &[f32], shards: usize, model: &ModelRef) {
    let (dim, photos) = (model.dim, rows.len() / model.dim);
    let each = photos.div_ceil(shards);
    let lists = Lists::count_for(each);
    let sample: Vec<f32> = (0..photos)
        .step_by((photos / (lists * 32).max(16_384)).max(1))
        .flat_map(|row| rows[row * dim..][..dim].to_vec())
        .collect();
    let codebook = Codebook::train(sample, dim, lists, 1);
    fs::create_dir_all(folder).expect("writable");
    let mut segments = Vec::new();
    for (shard, rows) in rows.chunks(each * dim).enumerate() {
        let own = (0..rows.len() / dim).map(|row| photo(shard * each + row, photos));
        let own: Vec<Photo> = own.collect();
        let count = own.len();
        let bytes = Library::seal(model, own, rows, Some(&codebook), 1).expect("unit vectors");
        let Beside { bytes: len, crc32 } = Beside::of(&bytes);
        let stored = Stored {
            name: format!("00000001-{shard:04}.segment"),
            bytes: len,
            crc32,
            photos: count,
            ranges: None,
            codebook: None,
        };
        fs::write(folder.join(&stored.name), bytes).expect("writable");
        segments.push(stored);
    }
    let store = FileStore::open(folder).expect("writable");
    store
        .adopt(Library::joined(model, segments))
        .expect("writable");
    assert_eq!(store.add_ranges().expect("whole"), shards);
}

/// The shipped model's name and digest, with vectors of `dim` axes.
pub fn model(dim: usize) -> ModelRef {
    let manifest = fs::read("../models/photorecall-s/manifest.json").expect("the shipped model");
    ModelRef {
        name: "photorecall-s".into(),
        digest: photorecall::image::digest(&manifest),
        dim,
    }
}
