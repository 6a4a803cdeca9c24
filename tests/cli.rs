//! The command line, as its users and scripts see it: libraries are made, changed and told of.

use std::process::Command;

use serde_json::Value;

#[path = "album.rs"]
mod album;
use album::{Album, BINARY, colours, json, path, path_of, run, text};

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
