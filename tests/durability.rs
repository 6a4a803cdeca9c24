//! What a library stands: processes that are killed, bytes that rot.
//!
//! `cargo test --release --test durability -- --ignored` runs the long versions.

mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use photorecall::format::{Container, Kind, VERSION, Writer};
use photorecall::index::Recall;
use photorecall::library::{Library, ModelRef, Photo, Query, normalise};
use photorecall::store::files::FileStore;
use random::Random;

const BINARY: &str = env!("CARGO_BIN_EXE_photorecall");

/// A folder of photos, and what the library must have of it.
struct Place {
    folder: tempfile::TempDir,
    random: Random,
    painted: usize,
}

impl Place {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("photos")).expect("made");
        Self {
            folder,
            random: Random(seed),
            painted: 0,
        }
    }

    fn photos(&self) -> PathBuf {
        self.folder.path().join("photos")
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("library")
    }

    /// New photos, each with bytes of its own.
    fn paint(&mut self, count: usize) {
        for _ in 0..count {
            let n = self.painted as u32;
            let picture = image::RgbImage::from_fn(24, 16, |x, y| {
                image::Rgb([
                    (n * 7 + x * 5) as u8,
                    (n / 3 + y * 9) as u8,
                    (n % 251) as u8,
                ])
            });
            let path = self.photos().join(format!("{n:05}.png"));
            picture.save(path).expect("writable");
            self.painted += 1;
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.photos()).expect("readable");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("readable")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    fn start(&self, args: &[&str]) -> Child {
        Command::new(BINARY)
            .args(args)
            .arg("--library")
            .arg(self.library())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts")
    }

    /// Runs a command, or kills it after a while; its exit code, `None` for one that was killed.
    fn run(&self, args: &[&str], kill_after: Option<Duration>) -> Option<i32> {
        let mut child = self.start(args);
        if let Some(after) = kill_after {
            std::thread::sleep(after);
            // SIGKILL on Unix: nothing is tidied up. One that has ended already cannot be killed.
            let _ = child.kill();
        }
        child.wait().expect("waited for").code()
    }

    /// The photos of the library by path; nothing may be damaged, nothing there twice.
    fn held(&self) -> BTreeMap<String, Photo> {
        let store = FileStore::read_only(&self.library()).expect("a folder");
        let Some(opened) = store.load().expect("the manifest is whole") else {
            return BTreeMap::new();
        };
        assert!(opened.damaged.is_empty(), "{:?}", opened.damaged);
        let mut held = BTreeMap::new();
        for photo in opened.library.photos() {
            let twice = held.insert(photo.path.clone(), photo.clone());
            assert!(twice.is_none(), "{} is there twice", photo.path);
        }
        held
    }
}

/// Kills so many commands at random moments; others end before their moment comes. What a command that ended has done must be there for ever; what a
/// killed one has done may be there, photo by photo, and nothing else may have changed.
fn kills(count: usize, seed: u64) {
    let mut place = Place::new(seed);
    place.paint(30);
    let photos = place.photos().to_string_lossy().into_owned();
    let index = ["index", &photos, "--quiet", "--threads", "1"];
    assert_eq!(
        place.run(&index, None),
        Some(0),
        "the first run is left alone"
    );
    let (mut killed, mut round) = (0, 0);
    while killed < count {
        round += 1;
        assert!(
            round <= 10 * count,
            "{killed} of {round} were killed in time to mean something"
        );
        let before = place.held();
        let choice = place.random.below(10);
        let names = place.names();
        let victims: Vec<String> = (0..1 + place.random.below(4))
            .map(|_| names[place.random.below(names.len())].clone())
            .collect();
        let victims: Vec<&str> = victims.iter().map(String::as_str).collect();
        let args: Vec<&str> = match choice {
            0..=4 => {
                let new = 1 + place.random.below(12);
                place.paint(new);
                if choice == 4 {
                    let _ = std::fs::remove_file(place.photos().join(victims[0]));
                }
                index.to_vec()
            }
            5 | 6 => [&["remove"], victims.as_slice()].concat(),
            7 | 8 => [&["label", "--favourite"], victims.as_slice()].concat(),
            _ => vec!["compact"],
        };
        let after = Duration::from_micros(place.random.below(400_000) as u64);
        let code = place.run(&args, Some(after));
        killed += usize::from(code.is_none());
        let ended = code == Some(0);
        let held = place.held();
        let on_disk: BTreeSet<String> = place.names().into_iter().collect();
        match args[0] {
            "index" => {
                for path in before.keys().filter(|path| on_disk.contains(*path)) {
                    assert!(held.contains_key(path), "round {round}: {path} is lost");
                }
                assert!(
                    held.keys()
                        .all(|path| before.contains_key(path) || on_disk.contains(path))
                );
                if ended {
                    assert!(
                        held.keys().eq(on_disk.iter()),
                        "round {round}: all was indexed"
                    );
                }
            }
            "remove" => {
                let gone = before.keys().filter(|path| !held.contains_key(*path));
                let gone: Vec<&String> = gone.collect();
                assert!(
                    gone.iter().all(|path| victims.contains(&path.as_str())),
                    "round {round}: {gone:?}"
                );
                assert!(!ended || victims.iter().all(|path| !held.contains_key(*path)));
                assert!(
                    held.iter()
                        .all(|(path, photo)| before.get(path) == Some(photo))
                );
            }
            "label" => {
                assert!(
                    held.keys().eq(before.keys()),
                    "round {round}: labels change no paths"
                );
                let changed: Vec<&String> = held
                    .iter()
                    .filter(|(path, photo)| before.get(*path) != Some(photo))
                    .map(|(path, _)| path)
                    .collect();
                assert!(changed.iter().all(|path| victims.contains(&path.as_str())));
                let marked = |path: &&str| held.get(*path).is_none_or(|photo| photo.favourite);
                assert!(!ended || victims.iter().all(marked), "round {round}");
            }
            _ => assert_eq!(held, before, "round {round}: compaction changes no photo"),
        }
    }
    // Whatever happened, indexing once more goes on where it was, and the library is whole.
    assert_eq!(place.run(&index, None), Some(0));
    let held = place.held();
    assert!(
        held.keys().eq(place.names().iter()),
        "{} of {}",
        held.len(),
        place.names().len()
    );
    assert_eq!(place.run(&["verify"], None), Some(0));
    println!(
        "{killed} of {round} commands were killed before their end; {} photos",
        held.len()
    );
}

#[test]
fn killed_commands_lose_nothing_that_was_done() {
    kills(20, 1);
}

#[test]
#[ignore = "takes minutes"]
fn killed_commands_lose_nothing_that_was_done_200() {
    kills(200, 2);
}

/// A unit vector that differs with `seed`.
fn vector(seed: usize) -> Vec<f32> {
    let raw = (0..32).map(|axis| (((seed * 31 + axis * 17) % 97) as f32 - 48.0) / 10.0);
    normalise(raw.collect()).expect("not zero")
}

/// A library of several segments with deleted rows, in files.
fn stored(folder: &Path, photos: usize, compacted: bool) -> Library {
    let mut library = Library::create(ModelRef {
        name: "test".into(),
        digest: "d".into(),
        dim: 32,
    });
    let store = FileStore::open(folder).expect("free");
    for i in 0..photos {
        let photo = Photo {
            path: format!("{i}.jpg"),
            digest: format!("{i:064x}"),
            ..Photo::default()
        };
        library.put(photo, &vector(i)).expect("fits");
    }
    if compacted {
        library.compact();
    }
    for i in (0..photos).step_by(9) {
        assert!(library.remove(&format!("{i}.jpg")));
    }
    let commit = library.commit().expect("changes");
    store.store(&commit).expect("kept");
    library.committed(commit.generation);
    library
}

/// Every flipped bit and every cut, wherever it is, is an error or damage that is told; what is left is
/// as it was.
fn corruption(places: usize, photos: usize, compacted: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = stored(folder.path(), photos, compacted);
    let answer = |library: &Library, seed: usize| {
        let query = Query {
            embedding: Some(vector(seed)),
            k: photos,
            recall: Recall::Exact,
            ..Query::default()
        };
        library.search(&query).expect("valid")
    };
    let truth = answer(&whole, 3);
    let mut random = Random(7);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| !path.ends_with("library.lock"))
        .collect();
    files.sort();
    assert!(files.len() >= 2, "a manifest and segments: {files:?}");
    for file in &files {
        let bytes = std::fs::read(file).expect("readable");
        for place in 0..places {
            let at = random.below(bytes.len());
            let mut broken = bytes.clone();
            let bit = random.below(8);
            match place % 3 {
                0 => broken.truncate(at),
                _ => broken[at] ^= 1 << bit,
            }
            std::fs::write(file, &broken).expect("writable");
            let store = FileStore::read_only(folder.path()).expect("a folder");
            let told = format!("{}: byte {at}, bit {bit}, {place}", file.display());
            let Ok(opened) = store.load() else {
                assert!(
                    file.ends_with("library.manifest"),
                    "{told}: the rest must be readable"
                );
                continue;
            };
            let Some(opened) = opened else {
                panic!("{told}: taken for no library");
            };
            assert_eq!(opened.damaged.len(), 1, "{told}: not found");
            assert!(file.ends_with(&opened.damaged[0].segment), "{told}");
            // One photo in so many is looked up: what is still there answers as it did.
            if place % 97 == 0 {
                let left = answer(&opened.library, 3);
                let kept: Vec<_> = truth
                    .iter()
                    .filter(|found| opened.library.get(&found.photo.path).is_some())
                    .map(|found| (&found.photo.path, found.score))
                    .collect();
                let left: Vec<_> = left
                    .iter()
                    .map(|found| (&found.photo.path, found.score))
                    .collect();
                assert_eq!(left, kept, "{told}: a wrong result");
            }
        }
        std::fs::write(file, &bytes).expect("writable");
    }
    let opened = FileStore::read_only(folder.path()).and_then(|store| store.load());
    let opened = opened.expect("whole again").expect("a library");
    assert!(opened.damaged.is_empty());
    println!("{} files, {places} places each", files.len());
}

#[test]
fn every_corruption_of_every_file_is_found() {
    corruption(1000, 4096 + 300, false);
}

#[test]
fn every_corruption_of_a_compact_index_is_found() {
    corruption(1000, 2500, true);
}

/// What version 2 wrote (`tests/data/library-2`) is read; the next change of it is written as this version
/// does. Version 1 is the same but for its number.
#[test]
fn libraries_of_older_versions_are_read() {
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/library-2");
    let segment = "00000002-0000.segment";
    for version in [1, 2] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut segment_bytes = std::fs::read(old.join(segment)).expect("readable");
        let mut manifest = std::fs::read(old.join("library.manifest")).expect("readable");
        if version == 1 {
            let before = crc32fast::hash(&segment_bytes);
            renumber(&mut segment_bytes, 1);
            let after = crc32fast::hash(&segment_bytes);
            manifest = with_checksum(&manifest, before, after);
        }
        std::fs::write(folder.path().join(segment), &segment_bytes).expect("writable");
        std::fs::write(folder.path().join("library.manifest"), manifest).expect("writable");
        let store = FileStore::open(folder.path()).expect("free");
        let opened = store.load().expect("whole").expect("a library");
        assert!(opened.damaged.is_empty(), "{:?}", opened.damaged);
        let mut library = opened.library;
        let photo = library.get("exif.jpg").expect("there").clone();
        assert_eq!(library.stats().photos, 2);
        assert_eq!(photo.taken.as_deref(), Some("2019-07-04T12:30:00"));
        assert_eq!(photo.camera.as_deref(), Some("Maker Model 1"));
        assert_eq!((photo.width, photo.height, photo.bytes), (8, 12, 925));
        assert!(photo.favourite && photo.phash.is_some() && photo.gps.is_some());
        assert_eq!(photo.albums, ["Rome"]);
        assert!(photo.digest.starts_with("3447e8646c2cc59c"));
        let vector = library.embedding("exif.jpg").expect("there");
        library.compact();
        let commit = library.commit().expect("changes");
        let written = u32::from(commit.put[0].1[8]);
        assert_eq!(written, VERSION, "the version that is written");
        store.store(&commit).expect("kept");
        let again = store.load().expect("whole").expect("a library").library;
        assert_eq!(again.get("exif.jpg"), Some(&photo));
        assert_eq!(again.embedding("exif.jpg"), Some(vector));
        assert_eq!(again.stats().photos, 2);
    }
}

/// Gives a file another version's number.
fn renumber(file: &mut [u8], version: u8) {
    file[8] = version;
    let crc = crc32fast::hash(&file[..60]);
    file[60..64].copy_from_slice(&crc.to_le_bytes());
}

/// A manifest of version 1 whose segment has another checksum.
fn with_checksum(manifest: &[u8], before: u32, after: u32) -> Vec<u8> {
    let container = Container::open("the manifest", Kind::Manifest, manifest).expect("whole");
    let section = |name| container.section(name).expect("there").to_vec();
    let listing = String::from_utf8(section("library")).expect("JSON");
    let listing = listing.replace(&before.to_string(), &after.to_string());
    let mut bytes = Writer::new(Kind::Manifest)
        .section("library", listing.into_bytes())
        .section("deleted", section("deleted"))
        .finish();
    renumber(&mut bytes, 1);
    bytes
}

/// A store whose folder is gone, as a drive that is pulled out: nothing is lost when it is back.
#[test]
fn a_store_that_cannot_write_keeps_what_was_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (place, elsewhere) = (
        folder.path().join("library"),
        folder.path().join("elsewhere"),
    );
    let mut library = stored(&place, 50, false);
    let store = FileStore::open(&place).expect("free");
    let photo = Photo {
        path: "new.jpg".into(),
        ..Photo::default()
    };
    library.put(photo, &vector(1)).expect("fits");
    std::fs::rename(&place, &elsewhere).expect("moved");
    let lost = store.store(&library.commit().expect("changes"));
    assert_eq!(lost.expect_err("no such folder").code(), "io");
    std::fs::rename(&elsewhere, &place).expect("moved back");
    let held = || {
        let opened = FileStore::read_only(&place).and_then(|store| store.load());
        opened.expect("whole").expect("a library").library
    };
    assert!(held().get("new.jpg").is_none() && held().get("1.jpg").is_some());
    store
        .store(&library.commit().expect("still to be kept"))
        .expect("kept now");
    assert!(held().get("new.jpg").is_some() && held().get("1.jpg").is_some());
}
