//! A sample album: freely licensed photographs that come inside well-known Python packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{paths, tools};

/// Packages at a version, and the photographs in them.
const PACKAGES: &[(&str, &str, &[&str])] = &[
    (
        "scikit-image==0.26.0",
        "skimage/data",
        &[
            "astronaut.png",
            "brick.png",
            "camera.png",
            "chelsea.png",
            "clock_motion.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "hubble_deep_field.jpg",
            "moon.png",
            "motorcycle_left.png",
            "page.png",
            "retina.jpg",
            "rocket.jpg",
        ],
    ),
    (
        "scikit-learn==1.9.1",
        "sklearn/datasets/images",
        &["china.jpg", "flower.jpg"],
    ),
];

/// One wheel for every machine: only its photographs are used, its code never runs.
const WHEEL: &[&str] = &[
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--platform",
    "manylinux_2_28_x86_64",
];

/// Unpacks the photographs of one wheel into a folder, with the times that the wheel has for them.
const UNPACK: &str = "\
import os, sys, time, zipfile, pathlib
wheel, inside, out, *names = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    for name in names:
        file = pathlib.Path(out, name)
        file.write_bytes(z.read(f'{inside}/{name}'))
        made = time.mktime((*z.getinfo(f'{inside}/{name}').date_time, 0, 0, -1))
        os.utime(file, (made, made))
";

/// Whose the photographs are, as the page says it.
const CREDIT: &str = "Photographs from scikit-image (public domain, CC0) and scikit-learn (danielbuechele, \
    vultilion; CC BY 2.0).";

/// The album for the page: a folder with its photographs and the list of them; `None` where it cannot be
/// fetched, which is said.
pub fn for_page() -> Option<PathBuf> {
    let listed = fetch().and_then(|album| {
        list(&album)?;
        Ok(album)
    });
    listed
        .inspect_err(|error| println!("NOT BUILT: the page's sample album: {error:#}"))
        .ok()
}

/// Writes the list that the page reads: names with times in milliseconds, and whose they are.
fn list(album: &Path) -> Result<()> {
    let mut photos = Vec::new();
    for name in PACKAGES.iter().flat_map(|(_, _, names)| names.iter()) {
        let made = std::fs::metadata(album.join(name))?.modified()?;
        let ms = made.duration_since(std::time::UNIX_EPOCH)?.as_millis();
        photos.push(serde_json::json!([name, u64::try_from(ms)?]));
    }
    let list = serde_json::json!({ "photos": photos, "credit": CREDIT });
    let path = album.join("index.json");
    std::fs::write(&path, list.to_string()).with_context(|| path.display().to_string())
}

/// Fetches the album once; returns its folder.
pub fn fetch() -> Result<PathBuf> {
    let album = paths::target().join("album");
    let all = PACKAGES.iter().flat_map(|(_, _, names)| names.iter());
    if all.clone().all(|name| album.join(name).is_file()) {
        return Ok(album);
    }
    std::fs::create_dir_all(&album)?;
    for (package, inside, names) in PACKAGES {
        let wheels = tempdir(package)?;
        tools::run(
            Command::new("python3")
                .args([
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--no-deps",
                    "--only-binary=:all:",
                    "--disable-pip-version-check",
                ])
                .args(WHEEL)
                .arg("--dest")
                .arg(&wheels)
                .arg(package),
        )?;
        let wheel = wheel_in(&wheels)?;
        tools::run(
            Command::new("python3")
                .args(["-c", UNPACK])
                .arg(wheel)
                .arg(inside)
                .arg(&album)
                .args(*names),
        )?;
        std::fs::remove_dir_all(&wheels)?;
    }
    Ok(album)
}

fn tempdir(package: &str) -> Result<PathBuf> {
    let folder = paths::target().join("wheels").join(package);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn wheel_in(folder: &Path) -> Result<PathBuf> {
    let mut files = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .find(|file| file.extension().is_some_and(|e| e == "whl"))
        .with_context(|| format!("no wheel in {}", folder.display()))
}
