use super::*;

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
