//! Real and broken image files through the public API. They lie in `../shared`, beside the
//! repository; where that is not there, the test says so.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use photorecall::image::{self, Limits};

/// `../shared/NAME`, or `None` with a word about it.
fn shared(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared")
        .join(name);
    if !folder.is_dir() {
        println!("NOT RUN: ../shared/{name} is not there");
        return None;
    }
    Some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)
        .expect("a readable folder")
        .flatten()
    {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()))
        } else {
            found.push(entry.path())
        }
    }
    found.sort();
    found
}

#[test]
fn every_odd_file_is_decoded_or_refused_with_a_reason() {
    let Some(folder) = shared("odd") else { return };
    let (mut decoded, mut refused) = (0, 0);
    for file in files(&folder) {
        let bytes = std::fs::read(&file).expect("readable");
        let started = Instant::now();
        image::metadata(&bytes);
        match image::decode(&bytes, &Limits::default()) {
            Ok(photo) => {
                decoded += 1;
                assert_eq!(
                    photo.rgb.len(),
                    3 * photo.width as usize * photo.height as usize
                );
                image::thumbnail_jpeg(&photo, 320).expect("a thumbnail");
            }
            Err(error) => {
                refused += 1;
                println!(
                    "{}: {error}",
                    file.strip_prefix(&folder).expect("below").display()
                );
                assert!(
                    error.to_string().len() > 10,
                    "{} says why: {error}",
                    file.display()
                );
            }
        }
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{} hangs",
            file.display()
        );
    }
    println!("{decoded} decoded, {refused} refused");
    assert!(
        decoded > refused / 2,
        "{decoded} decoded, {refused} refused"
    );
}

#[test]
fn orientation_is_applied() {
    let Some(folder) = shared("odd/exif-orientation") else {
        return;
    };
    for file in files(&folder) {
        let bytes = std::fs::read(&file).expect("readable");
        let photo = image::decode(&bytes, &Limits::default()).expect("decodes");
        let upright = file
            .file_name()
            .expect("named")
            .to_string_lossy()
            .starts_with("Portrait");
        assert_eq!(
            photo.height > photo.width,
            upright,
            "{} {}x{}",
            file.display(),
            photo.width,
            photo.height
        );
    }
}

#[test]
fn places_and_cameras_are_read() {
    let Some(folder) = shared("odd/exif-samples/jpg/gps") else {
        return;
    };
    for file in files(&folder) {
        let about = image::metadata(&std::fs::read(&file).expect("readable"));
        let [latitude, longitude] = about
            .gps
            .unwrap_or_else(|| panic!("{} has a place", file.display()));
        assert!(
            (43.0..44.0).contains(&latitude) && (11.0..12.0).contains(&longitude),
            "{latitude} {longitude}"
        );
        assert!(about.camera.is_some() && about.taken.is_some(), "{about:?}");
    }
}
