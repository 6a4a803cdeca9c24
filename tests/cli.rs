//! The command line, as its users and scripts see it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_photorecall");

/// A folder of small photos of one colour each, and a place for their library.
struct Album {
    folder: tempfile::TempDir,
}

impl Album {
    fn new(photos: &[(&str, [u8; 3])]) -> Self {
        let album = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        photos
            .iter()
            .for_each(|(name, colour)| album.paint(name, *colour));
        album
    }

    fn photos(&self) -> PathBuf {
        self.folder.path().join("photos")
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("library")
    }

    fn paint(&self, name: &str, colour: [u8; 3]) {
        let path = self.photos().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
        let mut picture = image::RgbImage::from_pixel(48, 32, image::Rgb(colour));
        // A name's own mark, so that no two files have the same bytes.
        picture.put_pixel(0, 0, image::Rgb([name.len() as u8, name.as_bytes()[0], 7]));
        picture.save(path).expect("writable");
    }

    fn index(&self) -> (i32, Value) {
        let output = run(&[
            "index",
            path(&self.photos()),
            "--library",
            path(&self.library()),
            "--json",
        ]);
        (output.status.code().expect("not killed"), json(&output))
    }

    fn search(&self, args: &[&str]) -> Vec<Value> {
        let output = run(&[
            &["search", "--library", path(&self.library()), "--json"],
            args,
        ]
        .concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        json(&output).as_array().expect("an array").clone()
    }

    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self
            .search(&["-k", "1000", "anything"])
            .iter()
            .map(path_of)
            .collect();
        paths.sort();
        paths
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn path_of(hit: &Value) -> String {
    hit["path"].as_str().expect("a path").to_owned()
}

fn run(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).output().expect("starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {} / {}",
            text(&output.stdout),
            text(&output.stderr)
        )
    })
}

fn colours() -> Album {
    Album::new(&[
        ("red.png", [220, 20, 20]),
        ("sea/blue.png", [20, 20, 220]),
        ("sea/grey.bmp", [90, 90, 90]),
    ])
}

#[test]
fn a_folder_is_indexed_and_found() {
    let album = colours();
    let (code, summary) = album.index();
    assert_eq!((code, &summary["added"]), (0, &Value::from(3)), "{summary}");
    assert_eq!(album.paths(), ["red.png", "sea/blue.png", "sea/grey.bmp"]);
    let example = album.photos().join("red.png");
    let hits = album.search(&["-k", "2", "--image", path(&example)]);
    assert_eq!((hits.len(), path_of(&hits[0])), (2, "red.png".into()));
    let scores: Vec<f64> = hits
        .iter()
        .map(|hit| hit["score"].as_f64().expect("a score"))
        .collect();
    assert!(scores[0] > 0.99 && scores[0] >= scores[1], "{scores:?}");
}

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
fn indexing_again_takes_only_what_changed() {
    let album = colours();
    album.index();
    let (code, summary) = album.index();
    assert_eq!(
        (code, &summary["unchanged"], &summary["added"]),
        (0, &Value::from(3), &Value::from(0))
    );
    album.paint("new.png", [20, 200, 20]);
    std::fs::rename(
        album.photos().join("red.png"),
        album.photos().join("sea/moved.png"),
    )
    .expect("moved");
    std::fs::remove_file(album.photos().join("sea/grey.bmp")).expect("removed");
    let (_, summary) = album.index();
    for (what, count) in [
        ("added", 1),
        ("renamed", 1),
        ("removed", 1),
        ("unchanged", 1),
    ] {
        assert_eq!(summary[what], Value::from(count), "{what}: {summary}");
    }
    assert_eq!(album.paths(), ["new.png", "sea/blue.png", "sea/moved.png"]);
}

#[test]
fn a_folder_that_lost_all_its_photos_changes_nothing() {
    let album = colours();
    album.index();
    std::fs::rename(album.photos(), album.folder.path().join("elsewhere")).expect("moved");
    std::fs::create_dir(album.photos()).expect("made");
    let output = run(&[
        "index",
        path(&album.photos()),
        "--library",
        path(&album.library()),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("not mounted"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(album.paths().len(), 3);
}

#[test]
fn what_cannot_be_read_is_skipped_and_listed_with_code_3() {
    let album = colours();
    std::fs::write(
        album.photos().join("broken.jpg"),
        b"\xff\xd8\xff\xe0 not much of a JPEG",
    )
    .expect("written");
    std::fs::write(
        album.photos().join("phone.heic"),
        b"\0\0\0\x18ftypheic\0\0\0\0",
    )
    .expect("written");
    std::fs::write(
        album.photos().join("notes.txt"),
        b"no photo, and not taken for one",
    )
    .expect("written");
    let (code, summary) = album.index();
    assert_eq!((code, &summary["added"]), (3, &Value::from(3)), "{summary}");
    let skipped: Vec<&str> = summary["skipped"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| s["path"].as_str().expect("a path"))
        .collect();
    assert!(
        skipped.len() == 2 && skipped.contains(&"broken.jpg") && skipped.contains(&"phone.heic"),
        "{skipped:?}"
    );
    let output = run(&[
        "index",
        path(&album.photos()),
        "--library",
        path(&album.library()),
    ]);
    assert!(
        text(&output.stderr).contains("skipped phone.heic: HEIC"),
        "{}",
        text(&output.stderr)
    );
    assert!(
        run(&["verify", "--library", path(&album.library())])
            .status
            .success()
    );
}

#[test]
fn photos_are_added_and_removed() {
    let album = colours();
    album.index();
    album.paint("late.png", [1, 200, 200]);
    let late = album.photos().join("late.png");
    assert!(
        run(&["add", path(&late), "--library", path(&album.library())])
            .status
            .success()
    );
    assert_eq!(album.paths().len(), 4);
    assert!(
        run(&[
            "remove",
            "sea",
            "late.png",
            "--library",
            path(&album.library())
        ])
        .status
        .success()
    );
    assert_eq!(album.paths(), ["red.png"]);
    let output = run(&["remove", "nowhere.png", "--library", path(&album.library())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nowhere.png"));
    assert!(
        run(&["compact", "--library", path(&album.library())])
            .status
            .success()
    );
    assert_eq!(album.paths(), ["red.png"]);
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
fn info_and_verify_tell_the_truth() {
    let album = colours();
    album.index();
    run(&["remove", "red.png", "--library", path(&album.library())]);
    let info = json(&run(&[
        "info",
        "--library",
        path(&album.library()),
        "--json",
    ]));
    assert_eq!(
        (&info["photos"], &info["deleted"]),
        (&Value::from(2), &Value::from(1))
    );
    assert!(
        info["bytes"].as_u64() > Some(0) && info["dim"].as_u64() > Some(0),
        "{info}"
    );
    assert_eq!(info["model"], "photorecall-s");
    assert!(photorecall::Kernels::all_names().contains(&info["kernels"].as_str().expect("a name")));
    let segment = std::fs::read_dir(album.library())
        .expect("readable")
        .flatten()
        .find(|entry| entry.path().extension().is_some_and(|e| e == "segment"))
        .expect("a segment");
    let mut bytes = std::fs::read(segment.path()).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(segment.path(), bytes).expect("writable");
    let output = run(&["verify", "--library", path(&album.library())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains(&*segment.file_name().to_string_lossy()),
        "{}",
        text(&output.stderr)
    );
    let (_, summary) = album.index();
    assert_eq!(
        summary["added"],
        Value::from(3),
        "all are taken in again: {summary}"
    );
    assert!(
        run(&["verify", "--library", path(&album.library())])
            .status
            .success()
    );
}

#[test]
fn embeddings_are_printed_as_unit_vectors() {
    let album = colours();
    let red = album.photos().join("red.png");
    let told = json(&run(&[
        "embed",
        "--json",
        "--image",
        path(&red),
        "--text",
        "a red square",
        "a cat",
    ]));
    let rows = told.as_array().expect("an array");
    assert_eq!(rows.len(), 3);
    assert_eq!(
        (&rows[0]["input"], &rows[2]["input"]),
        (&Value::from(path(&red)), &Value::from("a cat"))
    );
    for row in rows {
        let square: f64 = row["embedding"]
            .as_array()
            .expect("numbers")
            .iter()
            .map(|x| x.as_f64().expect("a number").powi(2))
            .sum();
        assert!((square - 1.0).abs() < 1e-4, "{square}");
    }
}

#[test]
fn wrong_usage_is_2_and_failure_is_1_in_one_line() {
    assert_eq!(run(&["search", "--library", "x"]).status.code(), Some(2));
    assert_eq!(run(&["frobnicate"]).status.code(), Some(2));
    let output = run(&["search", "--library", "no such folder", "words"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.lines().count() == 1 && told.contains("no such folder"),
        "{told}"
    );
    let output = run(&["embed", "--text", "x", "--model", "nonesuch"]);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("nonesuch"));
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completions", shell]);
        assert!(
            output.status.success() && text(&output.stdout).contains("photorecall"),
            "{shell}"
        );
    }
}

#[cfg(unix)]
#[test]
fn killed_at_random_moments_the_library_stays_whole() {
    let names: Vec<String> = (0..60).map(|i| format!("{i:02}.png")).collect();
    let photos: Vec<(&str, [u8; 3])> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (name.as_str(), [4 * i as u8, 99, 7]))
        .collect();
    let album = Album::new(&photos);
    for round in 0..8u64 {
        let mut child = Command::new(BINARY)
            .args([
                "index",
                path(&album.photos()),
                "--library",
                path(&album.library()),
                "--quiet",
            ])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("starts");
        std::thread::sleep(std::time::Duration::from_millis(20 + 60 * round));
        let _ = child.kill();
        let _ = child.wait();
        if album.library().join("library.manifest").exists() {
            let output = run(&["verify", "--library", path(&album.library())]);
            assert!(
                output.status.success(),
                "round {round}: {}",
                text(&output.stderr)
            );
        }
    }
    assert_eq!(album.index().0, 0);
    assert_eq!(album.paths(), names, "every photo once");
}

#[test]
#[cfg(unix)]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(BINARY)
        .args(["model", "list"])
        .stdout(writer)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
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
