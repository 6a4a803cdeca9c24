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
fn compaction_drops_what_was_deleted_and_nothing_else() {
    let (mut library, mut store) = (filled(GROWING_ROWS + 100), Memory::default());
    store.keep(&mut library);
    (0..2000).for_each(|i| assert!(library.remove(&format!("{i}.jpg"))));
    let (before, answer) = (paths(&library), nearest(&library, vector(3000)));
    library.compact();
    store.keep(&mut library);
    let opened = store.open().library;
    assert_eq!(paths(&opened), before);
    assert_eq!((opened.stats().deleted, opened.stats().segments), (0, 1));
    for (after, before) in nearest(&opened, vector(3000)).iter().zip(&answer) {
        assert_eq!(after.photo, before.photo);
        assert!(
            (after.score - before.score).abs() < 1e-3,
            "eight bits an axis now"
        );
    }
    assert_eq!(store.files.len(), 1);
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

#[test]
fn paging_threshold_and_exclusion() {
    let library = filled(30);
    let query = Query {
        embedding: Some(vector(4)),
        k: 10,
        ..Query::default()
    };
    let all = library.search(&query).expect("valid");
    let page = library
        .search(&Query {
            k: 5,
            offset: 5,
            ..query.clone()
        })
        .expect("valid");
    assert_eq!(page, all[5..]);
    let least = Some(all[3].score);
    assert_eq!(
        library
            .search(&Query {
                min_score: least,
                ..query.clone()
            })
            .expect("valid"),
        all[..4]
    );
    let without = library
        .search(&Query {
            exclude: vec!["4.jpg".into()],
            ..query
        })
        .expect("valid");
    assert!(without.len() == 10 && without.iter().all(|found| found.photo.path != "4.jpg"));
}

/// Photos of a library that is searched with filters: every tenth is a favourite, of two years.
fn album() -> Library {
    let mut library = Library::create(model());
    for i in 0..300 {
        let photo = Photo {
            favourite: i % 10 == 0,
            taken: Some(format!(
                "20{}-05-{:02}T10:00:{:02}",
                18 + i % 2,
                1 + i % 28,
                i % 60
            )),
            ..photo(&format!("{i}.jpg"))
        };
        library.put(photo, &vector(i)).expect("fits");
    }
    library
}

fn filter(text: &str) -> Option<ask::Filter> {
    ask::Ask::parse(text).expect("valid").filter
}

#[test]
fn k_come_back_when_k_match() {
    let library = album();
    let query = Query {
        embedding: Some(vector(3)),
        filter: filter("is:favourite date:2018"),
        k: 30,
        ..Query::default()
    };
    let page = library.page(&query).expect("valid");
    assert_eq!((page.found.len(), page.total, page.next), (30, 30, None));
    let all = library
        .search(&Query {
            k: 300,
            filter: None,
            ..query.clone()
        })
        .expect("valid");
    let of_all: Vec<&str> = all
        .iter()
        .filter(|found| {
            query
                .filter
                .as_ref()
                .is_some_and(|f| f.matches(&found.photo))
        })
        .map(|found| found.photo.path.as_str())
        .collect();
    let found: Vec<&str> = page
        .found
        .iter()
        .map(|found| found.photo.path.as_str())
        .collect();
    assert_eq!(
        found, of_all,
        "as if all had been searched and then filtered"
    );
}

#[test]
fn pages_follow_one_another_while_photos_come_and_go() {
    for embedding in [Some(vector(5)), None] {
        let mut library = album();
        let mut query = Query {
            embedding,
            k: 7,
            ..Query::default()
        };
        let all = library
            .search(&Query {
                k: 1000,
                ..query.clone()
            })
            .expect("valid");
        let mut seen = Vec::new();
        for turn in 0.. {
            let page = library.page(&query).expect("valid");
            seen.extend(page.found.into_iter().map(|found| found.photo.path));
            let Some(next) = page.next else { break };
            let text = next.to_string();
            query.after = Some(text.parse().expect("as it was written"));
            // One that was seen goes, with it the place that the cursor names; one that is not comes.
            if turn % 5 == 0 {
                library.remove(seen.last().expect("a page"));
                let best = query.embedding.clone().unwrap_or_else(|| vector(1));
                let new = Photo {
                    taken: Some("2030-01-01T00:00:00".into()),
                    ..photo(&format!("new {turn}.jpg"))
                };
                library.put(new, &best).expect("fits");
            }
        }
        let want: Vec<String> = all.into_iter().map(|found| found.photo.path).collect();
        assert_eq!(seen, want, "each once, in order");
    }
}

#[test]
fn names_lift_photos_and_nothing_else_changes() {
    let mut library = album();
    let query = Query {
        embedding: Some(vector(3)),
        names: "a photo of a lighthouse".into(),
        k: 300,
        ..Query::default()
    };
    let before = library.search(&query).expect("valid");
    let meaning = Query {
        names: String::new(),
        ..query.clone()
    };
    assert_eq!(
        before,
        library.search(&meaning).expect("valid"),
        "no name has the word"
    );
    let last = before.last().expect("300").photo.path.clone();
    let change = LabelChange {
        add_tags: vec!["Lighthouse".into()],
        ..LabelChange::default()
    };
    library.label([&last], &change);
    let after = library
        .search(&Query {
            k: 5,
            ..query.clone()
        })
        .expect("valid");
    assert_eq!(after[0].photo.path, last);
    let others: Vec<&Photo> = after[1..].iter().map(|found| &found.photo).collect();
    assert_eq!(
        others,
        before[..4]
            .iter()
            .map(|found| &found.photo)
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_search_says_how_well_its_best_hit_fits() {
    let mut library = album();
    let query = |embedding| Query {
        embedding: Some(embedding),
        k: 1,
        ..Query::default()
    };
    let verdict = |library: &Library, embedding| {
        let page = library.page(&query(embedding)).expect("valid");
        page.verdict
    };
    assert_eq!(verdict(&library, vector(3)), None, "without a vocabulary");
    let word = |seed: usize| Word {
        word: seed.to_string(),
        vector: vector(8 * seed + 7),
    };
    library
        .set_vocabulary((0..40).map(word).collect())
        .expect("they fit");
    let fits = verdict(&library, vector(13)).expect("a verdict");
    let far = normalise(
        (0..8)
            .map(|axis| if axis == 3 { -1.0 } else { 0.02 })
            .collect(),
    );
    let fits_not = verdict(&library, far.expect("a direction")).expect("a verdict");
    assert!(fits.likely && !fits_not.likely, "{fits:?} {fits_not:?}");
    let short = Word {
        word: "x".into(),
        vector: vec![1.0],
    };
    assert_eq!(
        library
            .set_vocabulary(vec![short])
            .expect_err("short")
            .code(),
        "dimension"
    );
}

#[test]
fn near_duplicates_are_grouped_and_paged() {
    let mut library = Library::create(model());
    for i in 0..40 {
        let photo = Photo {
            digest: format!("{}", i / 2),
            ..photo(&format!("{i:02}.jpg"))
        };
        library.put(photo, &vector(i / 2)).expect("fits");
    }
    let query = Query {
        embedding: Some(vector(3)),
        k: 6,
        grouped: true,
        ..Query::default()
    };
    let first = library.page(&query).expect("valid");
    assert_eq!(first.found.len(), 6);
    assert_eq!(
        (first.found[0].photo.path.as_str(), &first.found[0].others),
        ("06.jpg", &vec!["07.jpg".to_owned()])
    );
    let mut seen = first.found.len();
    let mut after = first.next;
    while let Some(cursor) = after {
        let page = library
            .page(&Query {
                after: Some(cursor),
                ..query.clone()
            })
            .expect("valid");
        assert!(page.found.iter().all(|found| found.others.len() == 1));
        seen += page.found.len();
        after = page.next;
    }
    assert_eq!(seen, 20);
}
