//! The command line, as its users and scripts see it: libraries are asked.

use serde_json::Value;

#[path = "album.rs"]
mod album;
use album::{Album, colours, json, path, path_of, run, text};

#[test]
fn words_and_a_photo_are_searched_together() {
    let album = colours();
    album.index();
    let example = album.photos().join("red.png");
    assert_eq!(
        album
            .search(&["--image", path(&example), "something", "red"])
            .len(),
        3
    );
}

#[test]
fn similar_photos_leave_out_the_example() {
    let album = colours();
    album.index();
    let output = run(&[
        "similar",
        "red.png",
        "--library",
        path(&album.library()),
        "--json",
    ]);
    let hits = json(&output);
    assert_eq!(hits.as_array().map(Vec::len), Some(2));
    assert!(
        hits.as_array()
            .expect("hits")
            .iter()
            .all(|hit| hit["path"] != "red.png")
    );
}

#[test]
fn queries_have_filters_labels_and_pages() {
    let album = colours();
    album.index();
    let library = album.library();
    let label = |args: &[&str]| {
        let output = run(&[&["label", "--library", path(&library)], args].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    label(&[
        "red.png",
        "--favourite",
        "--album",
        "Summer 2019",
        "--tag",
        "warm",
    ]);
    label(&["--where", "folder:sea", "--tag", "cold"]);
    let paths = |query: &str| -> Vec<String> {
        let mut paths: Vec<String> = album.search(&["--", query]).iter().map(path_of).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths("anything is:favourite"), ["red.png"]);
    assert_eq!(
        paths("album:\"summer 2019\" or type:bmp"),
        ["red.png", "sea/grey.bmp"]
    );
    assert_eq!(paths("-tag:cold"), ["red.png"]);
    assert_eq!(paths("tag:cold not type:bmp"), ["sea/blue.png"]);
    assert_eq!(paths("width:48 height:<=32 date:2000.."), album.paths());
    assert!(paths("a photo near:41.9,12.5,10").is_empty());
    let wrong = run(&["search", "--library", path(&library), "a ablum:x"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text(&wrong.stderr).contains("at character 3: no filter `ablum`"),
        "{}",
        text(&wrong.stderr)
    );

    let page = |after: &[&str]| {
        let args = [
            "search",
            "--library",
            path(&library),
            "--json",
            "--page",
            "-k",
            "2",
            "thing",
        ];
        json(&run(&[&args, after].concat()))
    };
    let first = page(&[]);
    assert_eq!(
        (&first["total"], first["found"].as_array().map(Vec::len)),
        (&Value::from(3), Some(2))
    );
    let second = page(&["--after", first["next"].as_str().expect("a next page")]);
    assert_eq!(
        (&second["next"], second["found"].as_array().map(Vec::len)),
        (&Value::Null, Some(1))
    );

    // What is said of a photo stays when it moves, and when its file is changed.
    std::fs::rename(
        album.photos().join("red.png"),
        album.photos().join("moved.png"),
    )
    .expect("moved");
    album.paint("sea/blue.png", [10, 10, 200]);
    album.index();
    assert_eq!(paths("is:favourite"), ["moved.png"]);
    assert_eq!(paths("tag:cold"), ["sea/blue.png", "sea/grey.bmp"]);
    label(&["moved.png", "--not-favourite", "--not-album", "summer 2019"]);
    assert!(paths("is:favourite or has:album").is_empty());
}

#[test]
fn duplicates_are_reported() {
    let album = Album::new(&[("grey.png", [90, 90, 90])]);
    let picture = image::RgbImage::from_fn(320, 240, |x, y| {
        let wave = (f64::from(x) / 40.0).sin() + (f64::from(x * y) / 9000.0).cos();
        image::Rgb([(127.0 + 60.0 * wave) as u8, (x / 2) as u8, (y / 2) as u8])
    });
    let photos = album.photos();
    picture.save(photos.join("large.png")).expect("writable");
    std::fs::copy(photos.join("large.png"), photos.join("copy.png")).expect("copied");
    image::imageops::thumbnail(&picture, 160, 120)
        .save(photos.join("small.jpg"))
        .expect("writable");
    album.index();
    let report = |extra: &[&str]| {
        run(&[&["duplicates", "--library", path(&album.library())], extra].concat())
    };
    let found = json(&report(&["--json"]));
    let paths = |kind: &str| -> Vec<Vec<String>> {
        let groups = found[kind].as_array().expect("groups").iter();
        groups
            .map(|group| {
                group
                    .as_array()
                    .expect("photos")
                    .iter()
                    .map(path_of)
                    .collect()
            })
            .collect()
    };
    assert_eq!(paths("exact"), [["copy.png", "large.png"]]);
    assert_eq!(paths("near"), [["copy.png", "small.jpg"]]);
    assert!(paths("similar").is_empty());
    assert!(text(&report(&[]).stdout).contains("keep  320 x 240"));
    let grouped = album.search(&["--group", "waves"]);
    assert_eq!(grouped.len(), 2);
    let similar = run(&[
        "similar",
        "large.png",
        "copy.png",
        "--library",
        path(&album.library()),
        "--json",
    ]);
    assert_eq!(path_of(&json(&similar)[0]), "small.jpg");
}

#[test]
fn a_library_is_browsed_and_a_search_tells_what_it_doubts() {
    let album = colours();
    album.index();
    let library = album.library();
    let browse = |args: &[&str]| {
        json(&run(&[
            &["browse", "--library", path(&library), "--json"],
            args,
        ]
        .concat()))
    };
    let months = browse(&[]);
    assert_eq!(
        (months.as_array().map(Vec::len), &months[0]["photos"]),
        (Some(1), &Value::from(3))
    );
    assert_eq!(
        browse(&["--where", "date:..1999"]),
        Value::from(Vec::<Value>::new())
    );
    let clusters = browse(&["--clusters", "--count", "2"]);
    let clusters = clusters.as_array().expect("an array");
    let words: Vec<&str> = clusters
        .iter()
        .filter_map(|cluster| cluster["word"].as_str())
        .collect();
    assert!(words.len() == 2 && words[0] != words[1], "{clusters:?}");
    let output = run(&["search", "--library", path(&library), "a dog in 2019"]);
    assert!(
        text(&output.stderr).contains("a dog date:2019"),
        "{}",
        text(&output.stderr)
    );
    let args = [
        "search",
        "--library",
        path(&library),
        "--json",
        "--page",
        "a dog in 2019",
    ];
    let page = json(&run(&args));
    assert!(
        page["likely"].is_boolean() && page["deviations"].is_number(),
        "{page}"
    );
    assert_eq!(page["suggestion"]["query"], "a dog date:2019");
    assert_eq!(
        page["found"].as_array().map(Vec::len),
        Some(3),
        "nothing is hidden"
    );
}
