//! Indexing that is killed at random moments goes on where it was: no photo that was stored is encoded again.
//!
//! `cargo test --release --test interrupted -- --ignored --nocapture` does it with 10,000 photos.

mod random;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use photorecall::store::files::{FileStore, MANIFEST};
use random::Random;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_photorecall");

/// Small photos, each with bytes of its own.
fn paint(folder: &Path, count: usize) {
    for n in 0..count as u32 {
        let picture = image::RgbImage::from_fn(24, 16, |x, y| {
            image::Rgb([
                (n * 7 + x * 5) as u8,
                (n / 3 + y * 9) as u8,
                (n % 251) as u8,
            ])
        });
        let path = folder.join(format!("{n:05}.png"));
        picture.save(path).expect("writable");
    }
}

/// The photos that are stored; each once, none damaged.
fn held(library: &Path) -> BTreeSet<String> {
    let store = FileStore::read_only(library).and_then(|store| store.load());
    let Ok(Some(opened)) = store else {
        return BTreeSet::new();
    };
    assert!(opened.damaged.is_empty(), "{:?}", opened.damaged);
    let photos = opened.library.photos().map(|photo| photo.path.clone());
    let (count, paths) = (
        opened.library.stats().photos,
        photos.collect::<BTreeSet<_>>(),
    );
    assert_eq!(paths.len(), count, "a photo is there twice");
    paths
}

/// Makes a file unreadable as an image without a change that indexing looks for: whoever reads it again skips it,
/// and tells.
fn spoil(file: &Path) {
    let about = file.metadata().expect("there");
    std::fs::write(file, vec![0; about.len() as usize]).expect("writable");
    let changed: SystemTime = about.modified().expect("known");
    let file = File::options().write(true).open(file).expect("writable");
    file.set_modified(changed).expect("set");
}

/// Indexes so many photos with so many kills at most, each up to `longest` after the start of its run.
fn interrupted(photos: usize, kills: usize, longest: Duration) {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (folder, library): (PathBuf, PathBuf) =
        (place.path().join("photos"), place.path().join("library"));
    std::fs::create_dir(&folder).expect("made");
    paint(&folder, photos);
    let mut random = Random(photos as u64);
    let (mut before, mut killed, mut spent) = (BTreeSet::new(), 0, Duration::ZERO);
    loop {
        let start = Instant::now();
        let mut child = Command::new(BINARY)
            .args(["index", "--quiet", "--json"])
            .arg(&folder)
            .arg("--library")
            .arg(&library)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        if killed < kills {
            // The first one not before something is stored that could be lost.
            let moment = Duration::from_millis(random.below(longest.as_millis() as usize) as u64);
            let manifest = library.join(MANIFEST);
            while start.elapsed() < moment || (killed == 0 && !manifest.exists()) {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = child.kill();
        }
        let output = child.wait_with_output().expect("waited for");
        spent += start.elapsed();
        let now = held(&library);
        assert!(now.is_superset(&before), "a stored photo is lost");
        now.difference(&before)
            .for_each(|path| spoil(&folder.join(path)));
        if output.status.success() {
            let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(
                told["skipped"],
                Value::Array(Vec::new()),
                "a stored photo was read again"
            );
            assert_eq!(told["unchanged"], before.len());
            assert_eq!(told["added"], photos - before.len());
            assert_eq!(now.len(), photos);
            break;
        }
        assert!(
            output.status.code().is_none(),
            "{:?} is no kill",
            output.status
        );
        killed += 1;
        println!(
            "killed after {:.1} s: {} of {photos} are stored",
            start.elapsed().as_secs_f64(),
            now.len()
        );
        before = now;
    }
    assert!(killed > 0, "it ended before it could be killed");
    println!(
        "{photos} photos, {killed} kills, {:.0} s in all",
        spent.as_secs_f64()
    );
}

#[test]
fn indexing_goes_on_where_it_was_killed() {
    interrupted(400, 1, Duration::ZERO);
}

#[test]
#[ignore = "takes minutes"]
fn indexing_10000_photos_goes_on_where_it_was_killed() {
    interrupted(10_000, 100, Duration::from_secs(12));
}
