use super::*;

fn parts(text: &str) -> Vec<(f32, String)> {
    let ask = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert!(ask.filter.is_none(), "{text}");
    ask.parts.into_iter().map(|p| (p.weight, p.words)).collect()
}

fn told(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn plain_words_stay_what_they_are() {
    for text in [
        "a dog and a cat",
        "black or white",
        "not a dog",
        "t-shirt, 5\" pipe, 12:30 at -5 degrees",
        "a house (red) at http://example.org",
        "the word: stop",
        "été 海 🦀",
        "or",
        "and",
        "not",
        "( )",
        ": :",
        "--",
        "a -- b",
    ] {
        assert_eq!(parts(text), [(1.0, text.to_owned())], "{text}");
    }
    assert_eq!(parts("  two   spaces "), [(1.0, "two spaces".into())]);
    assert_eq!(parts(""), []);
}

#[test]
fn signs_and_weights() {
    let part = |weight: f32, words: &str| (weight, words.to_owned());
    assert_eq!(
        parts("beach - many people"),
        [part(1.0, "beach"), part(-1.0, "many people")]
    );
    assert_eq!(
        parts("beach -people sunny"),
        [part(1.0, "beach sunny"), part(-1.0, "people")]
    );
    assert_eq!(parts("2: dog"), [part(2.0, "dog")]);
    assert_eq!(
        parts("2:a dog + 0.5: cat - 3:rain +sun"),
        [
            part(2.0, "a dog"),
            part(0.5, "cat"),
            part(-3.0, "rain"),
            part(1.0, "sun")
        ]
    );
    assert_eq!(
        parts("\"black - white\" photo"),
        [part(1.0, "black - white photo")]
    );
    assert_eq!(
        parts("car -\"red car\""),
        [part(1.0, "car"), part(-1.0, "red car")]
    );
    assert_eq!(parts("- people"), [part(-1.0, "people")]);
    assert_eq!(parts("0: nothing"), []);
    assert_eq!(
        parts("beach −people"),
        [part(1.0, "beach"), part(-1.0, "people")]
    );
}

#[test]
fn filters_come_out_of_the_words() {
    let ask = parse("beach tag:dog at night date:2019").expect("valid");
    assert_eq!(ask.parts.len(), 1);
    assert_eq!(ask.parts[0].words, "beach at night");
    let Some(Filter::All(filters)) = ask.filter else {
        panic!("{:?}", ask.filter);
    };
    assert_eq!(filters[0], Filter::Tag("dog".into()));
}

#[test]
fn and_binds_closer_than_or() {
    let tag = |name: &str| Filter::Tag(name.into());
    let filter = |text| parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).filter;
    let want = Filter::Any(vec![Filter::All(vec![tag("a"), tag("b")]), tag("c")]);
    for text in [
        "tag:a tag:b or tag:c",
        "tag:a AND tag:b OR tag:c",
        "((tag:a and tag:b) or (tag:c))",
    ] {
        assert_eq!(filter(text), Some(want.clone()), "{text}");
    }
    let want = Filter::All(vec![
        tag("a"),
        Filter::Not(Box::new(Filter::Any(vec![tag("b"), tag("c")]))),
    ]);
    for text in [
        "tag:a not (tag:b or tag:c)",
        "tag:a -(tag:b or tag: c)",
        "tag:a and not ( tag:b or tag:c )",
    ] {
        assert_eq!(filter(text), Some(want.clone()), "{text}");
    }
    assert_eq!(
        filter("beach -tag:a"),
        Some(Filter::Not(Box::new(tag("a"))))
    );
    assert_eq!(filter("beach and tag:\"A b\""), Some(tag("a b")));
    assert_eq!(filter("tag:a and a cat"), Some(tag("a")));
    assert!(filter("size:> 2mb").is_some());
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, at, what) in [
        ("beach ablum:x", 6, "no filter `ablum`"),
        ("été date:soon", 9, "`soon`"),
        ("a \"quote", 2, "not closed"),
        ("tag:\"x", 4, "not closed"),
        ("(tag:a or tag:b", 0, "not closed"),
        ("beach or tag:a", 6, "`or`"),
        ("tag:a or a cat", 6, "`or`"),
        ("(tag:a cat)", 7, "between parentheses"),
        ("album:", 6, "an album's name"),
        ("near:1,2", 5, "latitude,longitude,km"),
    ] {
        let error = parse(text).expect_err(text);
        let Error::Query { at: place, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*place, at, "{text}: {error}");
        assert!(error.to_string().contains(what), "{text}: {error}");
    }
    assert!(told(&format!("{}tag:a", "(".repeat(100))).contains("deep"));
}

#[test]
fn long_texts_cost_no_more_than_their_length() {
    let text = "(not ".repeat(20_000);
    assert_eq!(parts(&text), [(1.0, text.trim().to_owned())]);
}
