//! Real and broken image files through the public API. They lie in `../shared`, beside the
//! repository; where that is not there, the test says so.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use photorecall::image::{self, Decoded, Filter, Limits, Preprocess, Reduced, ResizeMode};

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

/// The mean difference of two photos' values, of 255, both made as small as `side`.
fn difference(a: &Decoded, b: &Decoded, side: u32) -> f32 {
    let plain = Preprocess {
        size: side,
        filter: Filter::Bilinear,
        mode: ResizeMode::Squash,
        mean: [0.0; 3],
        std: [1.0 / 255.0; 3],
    };
    let (a, b) = (plain.tensor(a), plain.tensor(b));
    a.iter().zip(&b).map(|(x, y)| (x - y).abs()).sum::<f32>() / a.len() as f32
}

#[test]
fn a_reduced_photo_is_the_same_photo() {
    let Some(folder) = shared("odd") else { return };
    const LEAST: u32 = 64;
    let mut smaller = 0;
    for file in files(&folder) {
        let bytes = std::fs::read(&file).expect("readable");
        let whole = image::decode(&bytes, &Limits::default());
        let Ok(whole) = whole else {
            // The header may be right where the pixels are not: what is left of them may be reduced.
            continue;
        };
        let Reduced { photo, full } =
            image::decode_reduced(&bytes, LEAST, &Limits::default()).expect("as the whole one");
        let name = file.strip_prefix(&folder).expect("below").display();
        assert_eq!(full, (whole.width, whole.height), "{name}");
        if (photo.width, photo.height) == full {
            continue;
        }
        smaller += 1;
        assert!(
            photo.width.min(photo.height) >= LEAST,
            "{name} {}x{}",
            photo.width,
            photo.height
        );
        // What is broken on purpose is noise to both decoders, each its own.
        if name.to_string().contains("crashtest") {
            continue;
        }
        let far = difference(&whole, &photo, LEAST / 2);
        assert!(far < 4.0, "{name}: values differ by {far} in the mean");
    }
    println!("{smaller} came smaller");
    assert!(smaller > 20, "{smaller} came smaller");
}

#[test]
fn orientation_is_applied() {
    let Some(folder) = shared("odd/exif-orientation") else {
        return;
    };
    for file in files(&folder) {
        let bytes = std::fs::read(&file).expect("readable");
        let photo = image::decode(&bytes, &Limits::default()).expect("decodes");
        let reduced = image::decode_reduced(&bytes, 50, &Limits::default()).expect("decodes");
        assert_eq!(reduced.full, (photo.width, photo.height));
        assert!(reduced.photo.width < photo.width, "{}", file.display());
        assert!(
            difference(&photo, &reduced.photo, 32) < 4.0,
            "{}",
            file.display()
        );
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
