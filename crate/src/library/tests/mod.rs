mod compaction;
mod queries;

use std::collections::HashMap;

use super::segment::GROWING_ROWS;
use super::*;
use crate::error::Error;

fn model() -> ModelRef {
    ModelRef {
        name: "test".into(),
        digest: "d1".into(),
        dim: 8,
    }
}

fn photo(path: &str) -> Photo {
    Photo {
        path: path.into(),
        digest: format!("digest of {path}"),
        ..Photo::default()
    }
}

/// A unit vector that leans to one axis and differs with `seed`.
fn vector(seed: usize) -> Vec<f32> {
    let raw = (0..8).map(|axis| {
        0.1 + ((seed * 31 + axis * 17) % 23) as f32 + 9.0 * f32::from(u8::from(axis == seed % 8))
    });
    normalise(raw.collect()).expect("not zero")
}

/// A store in memory.
#[derive(Default)]
struct Memory {
    files: HashMap<String, Vec<u8>>,
    manifest: Vec<u8>,
}

impl Memory {
    fn keep(&mut self, library: &mut Library) {
        let Some(commit) = library.commit() else {
            return;
        };
        self.files.extend(commit.put);
        self.manifest = commit.manifest;
        commit
            .drop
            .iter()
            .for_each(|name| assert!(self.files.remove(name).is_some(), "{name}"));
        library.committed(commit.generation);
    }

    fn open(&self) -> Opened {
        Library::open(&self.manifest, |name| {
            self.files.get(name).cloned().ok_or_else(|| Error::Missing {
                name: name.to_owned(),
            })
        })
        .expect("the manifest is whole")
    }
}

fn paths(library: &Library) -> Vec<String> {
    let mut paths: Vec<String> = library.photos().map(|photo| photo.path.clone()).collect();
    paths.sort();
    paths
}

fn filled(count: usize) -> Library {
    let mut library = Library::create(model());
    for i in 0..count {
        library
            .put(photo(&format!("{i}.jpg")), &vector(i))
            .expect("fits");
    }
    library
}

fn nearest(library: &Library, embedding: Vec<f32>) -> Vec<Found> {
    library
        .search(&Query {
            embedding: Some(embedding),
            k: 3,
            ..Query::default()
        })
        .expect("a valid query")
}

#[test]
fn what_was_committed_is_there_after_opening() {
    let (mut library, mut store) = (filled(50), Memory::default());
    assert!(library.remove("7.jpg"));
    store.keep(&mut library);
    assert!(library.commit().is_none(), "nothing changed since");
    let opened = store.open();
    assert!(opened.damaged.is_empty());
    assert_eq!(paths(&opened.library), paths(&library));
    assert_eq!(opened.library.get("7.jpg"), None);
    assert_eq!(
        nearest(&opened.library, vector(20)),
        nearest(&library, vector(20))
    );
    assert_eq!(nearest(&library, vector(20))[0].photo.path, "20.jpg");
}

#[test]
fn the_same_path_replaces_and_nothing_is_there_twice() {
    let mut library = filled(3);
    library.put(photo("1.jpg"), &vector(5)).expect("fits");
    assert_eq!(paths(&library), ["0.jpg", "1.jpg", "2.jpg"]);
    assert_eq!(nearest(&library, vector(5))[0].photo.path, "1.jpg");
}

#[test]
fn renaming_keeps_the_embedding() {
    let mut library = filled(3);
    let before = library.embedding("1.jpg");
    assert!(library.rename("1.jpg", photo("moved/1.jpg")));
    assert_eq!(library.embedding("moved/1.jpg"), before);
    assert_eq!(library.get("1.jpg"), None);
    assert!(!library.rename("nowhere.jpg", photo("x.jpg")));
}

#[test]
fn labels_last_and_follow_their_photo() {
    let (mut library, mut store) = (filled(GROWING_ROWS + 3), Memory::default());
    store.keep(&mut library);
    let change = LabelChange {
        favourite: Some(true),
        add_albums: vec!["Summer".into()],
        ..LabelChange::default()
    };
    assert_eq!(library.label(["1.jpg", "2.jpg", "nowhere.jpg"], &change), 2);
    let commit = library.commit().expect("changes");
    assert!(commit.put.len() == 1 && commit.put[0].1.len() < 20_000);
    store.keep(&mut library);
    let mut library = store.open().library;
    let before = library.embedding("1.jpg");
    assert!(library.rename("1.jpg", photo("moved.jpg")));
    library.put(photo("2.jpg"), &vector(7)).expect("fits");
    for path in ["moved.jpg", "2.jpg"] {
        let photo = library.get(path).expect("there");
        assert!(photo.favourite && photo.albums == ["Summer"], "{path}");
    }
    assert_eq!(library.embedding("moved.jpg"), before);
    assert_eq!(library.label(["2.jpg"], &LabelChange::default()), 1);
    assert_eq!(library.stats().photos, GROWING_ROWS + 3);
}

#[test]
fn a_failed_store_loses_nothing() {
    let (mut library, mut store) = (filled(5), Memory::default());
    let lost = library.commit().expect("changes");
    library.put(photo("later.jpg"), &vector(9)).expect("fits");
    library.committed(lost.generation + 7);
    store.keep(&mut library);
    assert_eq!(paths(&store.open().library), paths(&library));
}

#[test]
fn photos_put_while_the_store_writes_are_in_the_next_commit() {
    let (mut library, mut store) = (filled(5), Memory::default());
    let commit = library.commit().expect("changes");
    library.put(photo("later.jpg"), &vector(9)).expect("fits");
    store.files.extend(commit.put);
    store.manifest = commit.manifest;
    library.committed(commit.generation);
    assert_eq!(store.open().library.stats().photos, 5);
    store.keep(&mut library);
    assert_eq!(paths(&store.open().library), paths(&library));
    assert_eq!(store.files.len(), 1, "the overtaken segment was dropped");
}

#[test]
fn a_commit_writes_the_growing_segment_alone() {
    let (mut library, mut store) = (filled(GROWING_ROWS + 10), Memory::default());
    store.keep(&mut library);
    library
        .put(photo("one more.jpg"), &vector(1))
        .expect("fits");
    library.remove("3.jpg");
    let commit = library.commit().expect("changes");
    assert_eq!(commit.put.len(), 1);
    assert!(
        commit.put[0].1.len() < 20_000,
        "{} bytes for 11 photos",
        commit.put[0].1.len()
    );
}

#[test]
fn every_corruption_is_found_and_the_rest_stays_searchable() {
    let (mut library, mut store) = (filled(GROWING_ROWS + 20), Memory::default());
    store.keep(&mut library);
    let mut names: Vec<String> = store.files.keys().cloned().collect();
    names.sort();
    let (whole, mut state) = (store.files[&names[1]].clone(), 12345u64);
    for round in 0..1000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = (state >> 33) as usize % whole.len();
        let mut broken = whole.clone();
        if round % 2 == 0 {
            broken[at] ^= 1 << (state & 7)
        } else {
            broken.truncate(at)
        }
        store.files.insert(names[1].clone(), broken);
        let opened = store.open();
        assert_eq!(opened.damaged.len(), 1, "round {round}, byte {at}");
        assert_eq!(opened.damaged[0].segment, names[1]);
        assert_eq!(opened.library.stats().photos, GROWING_ROWS);
    }
}

#[test]
fn a_damaged_segment_is_set_aside_named_and_its_photos_listed() {
    let (mut library, mut store) = (filled(20), Memory::default());
    store.keep(&mut library);
    let name = store.files.keys().next().expect("one segment").clone();
    let last = store.files[&name].len() - 1;
    store.files.get_mut(&name).expect("there")[last] ^= 1;
    let Opened {
        mut library,
        damaged,
    } = store.open();
    assert_eq!(damaged[0].photos.as_ref().map(Vec::len), Some(20));
    library.put(photo("0.jpg"), &vector(0)).expect("fits");
    store.keep(&mut library);
    assert!(
        store.files.contains_key(&name),
        "kept for whoever wants to look into it"
    );
    assert!(store.open().damaged.is_empty());
}

#[test]
fn a_broken_manifest_is_an_error_never_a_wrong_library() {
    let (mut library, mut store) = (filled(70), Memory::default());
    store.keep(&mut library);
    let whole = store.manifest.clone();
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x10;
        assert!(
            Library::open(&broken, |_| unreachable!("nothing is read")).is_err(),
            "byte {at}"
        );
        assert!(
            Library::open(&whole[..at], |_| unreachable!("nothing is read")).is_err(),
            "cut at {at}"
        );
    }
}

#[test]
fn embeddings_that_do_not_fit_are_refused() {
    let mut library = filled(1);
    assert_eq!(
        library.put(photo("x"), &[1.0]).expect_err("short").code(),
        "dimension"
    );
    assert_eq!(
        library
            .put(photo("x"), &[f32::NAN; 8])
            .expect_err("NaN")
            .code(),
        "no_direction"
    );
    assert_eq!(
        library.put(photo("x"), &[0.0; 8]).expect_err("zero").code(),
        "no_direction"
    );
    let other = ModelRef {
        digest: "d2".into(),
        ..model()
    };
    assert_eq!(
        library
            .require_model(&other)
            .expect_err("another model")
            .code(),
        "model_mismatch"
    );
}
