use super::*;

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

/// Five flat segments, of which the last grows.
fn piled() -> (Library, Memory) {
    let (mut library, mut store) = (filled(4 * GROWING_ROWS + 100), Memory::default());
    store.keep(&mut library);
    (library, store)
}

#[test]
fn a_step_is_made_from_a_copy_and_what_changed_meanwhile_is_not_undone() {
    let (mut library, mut store) = piled();
    assert!(library.wants_compaction());
    let merged = store
        .open()
        .library
        .merge()
        .expect("segments have piled up");
    assert_eq!(merged.sources.len(), 4, "the one that grows is left alone");
    // While it was made: one goes, one is changed, one comes, and all of it is stored.
    library.remove("7.jpg");
    let favourite = LabelChange {
        favourite: Some(true),
        ..LabelChange::default()
    };
    library.label(["8.jpg"], &favourite);
    library.put(photo("new.jpg"), &vector(3)).expect("fits");
    store.keep(&mut library);
    let before = paths(&library);
    assert!(library.adopt(&merged).expect("whole"));
    assert_eq!(paths(&library), before);
    store.keep(&mut library);
    assert_eq!(
        store.files.len(),
        2,
        "the merged one and the one that grows"
    );
    let opened = store.open();
    assert!(opened.damaged.is_empty());
    assert_eq!(paths(&opened.library), before);
    assert_eq!(opened.library.get("7.jpg"), None);
    assert!(opened.library.get("8.jpg").expect("there").favourite);
    assert_eq!(opened.library.stats().deleted, 2);
    assert_eq!(opened.library.merge(), None, "nothing is left to do");
}

#[test]
fn a_step_whose_sources_are_gone_changes_nothing() {
    let (mut library, mut store) = piled();
    let merged = library.merge().expect("segments have piled up");
    library.compact();
    store.keep(&mut library);
    assert!(!library.adopt(&merged).expect("no damage"));
    assert_eq!(library.commit(), None);
}

#[test]
fn a_step_that_would_lose_or_double_a_photo_is_refused() {
    let (mut library, _store) = piled();
    let merged = library.merge().expect("segments have piled up");
    let mut cut = merged.clone();
    cut.segment.truncate(merged.segment.len() - 1);
    let mut lost = merged.clone();
    lost.origins.truncate(merged.origins.len() - 2);
    let mut doubled = merged.clone();
    doubled.origins[1] = doubled.origins[3];
    let mut elsewhere = merged.clone();
    elsewhere.origins[0] = 9;
    for wrong in [cut, lost, doubled, elsewhere] {
        let error = library.adopt(&wrong).expect_err("not of these rows");
        assert_eq!(error.code(), "damaged");
    }
    assert_eq!(library.stats().photos, 4 * GROWING_ROWS + 100);
    assert!(library.adopt(&merged).expect("whole"));
}

#[test]
fn worn_segments_are_rewritten_and_small_ones_join() {
    let (mut library, mut store) = piled();
    while let Some(merged) = library.merge() {
        assert!(library.adopt(&merged).expect("whole"));
        store.keep(&mut library);
    }
    (0..5000).for_each(|i| assert!(library.remove(&format!("{i}.jpg"))));
    store.keep(&mut library);
    let merged = library.merge().expect("a quarter is deleted");
    assert_eq!(merged.origins.len() / 2, 4 * GROWING_ROWS - 5000);
    assert!(library.adopt(&merged).expect("whole"));
    store.keep(&mut library);
    assert_eq!((library.stats().deleted, library.stats().segments), (0, 2));
    library.remove("9000.jpg");
    store.keep(&mut library);
    assert_eq!(library.merge(), None, "one photo is not worth it");
    let merged = library.merge_all().expect("it is asked for");
    assert!(library.adopt(&merged).expect("whole"));
    store.keep(&mut library);
    assert_eq!((library.stats().deleted, library.stats().segments), (0, 1));
    assert_eq!(library.merge_all(), None);
    assert_eq!(paths(&store.open().library), paths(&library));
}
