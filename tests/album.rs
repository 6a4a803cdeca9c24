//! A small folder of photos, its library, and the program run over them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub const BINARY: &str = env!("CARGO_BIN_EXE_photorecall");

/// A folder of small photos of one colour each, and a place for their library.
pub struct Album {
    pub folder: tempfile::TempDir,
}

impl Album {
    pub fn new(photos: &[(&str, [u8; 3])]) -> Self {
        let album = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        photos
            .iter()
            .for_each(|(name, colour)| album.paint(name, *colour));
        album
    }

    pub fn photos(&self) -> PathBuf {
        self.folder.path().join("photos")
    }

    pub fn library(&self) -> PathBuf {
        self.folder.path().join("library")
    }

    pub fn paint(&self, name: &str, colour: [u8; 3]) {
        let path = self.photos().join(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
        let mut picture = image::RgbImage::from_pixel(48, 32, image::Rgb(colour));
        // A name's own mark, so that no two files have the same bytes.
        picture.put_pixel(0, 0, image::Rgb([name.len() as u8, name.as_bytes()[0], 7]));
        picture.save(path).expect("writable");
    }

    pub fn index(&self) -> (i32, Value) {
        let output = run(&[
            "index",
            path(&self.photos()),
            "--library",
            path(&self.library()),
            "--json",
        ]);
        (output.status.code().expect("not killed"), json(&output))
    }

    pub fn search(&self, args: &[&str]) -> Vec<Value> {
        let output = run(&[
            &["search", "--library", path(&self.library()), "--json"],
            args,
        ]
        .concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        json(&output).as_array().expect("an array").clone()
    }

    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self
            .search(&["-k", "1000", "anything"])
            .iter()
            .map(path_of)
            .collect();
        paths.sort();
        paths
    }
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

pub fn path_of(hit: &Value) -> String {
    hit["path"].as_str().expect("a path").to_owned()
}

pub fn run(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).output().expect("starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {} / {}",
            text(&output.stdout),
            text(&output.stderr)
        )
    })
}

pub fn colours() -> Album {
    Album::new(&[
        ("red.png", [220, 20, 20]),
        ("sea/blue.png", [20, 20, 220]),
        ("sea/grey.bmp", [90, 90, 90]),
    ])
}
