//! Models by name, as users of the command line see them; the hub is a server of this test's own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tiny_http::{Response, Server, StatusCode};

const FILES: [&str; 3] = ["image.onnx", "text.onnx", "merges.txt"];

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/photorecall-s")
}

/// What a hub does wrong on purpose.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The first answer for a file ends in its middle.
    BreaksOff,
    /// One bit of each file is another one.
    Flips,
}

/// A hub that has the shipped model's files, and the ranges that were asked of it.
struct Hub {
    address: String,
    ranges: Arc<Mutex<Vec<Option<u64>>>>,
    server: Arc<Server>,
}

impl Hub {
    fn start(fault: Fault) -> Self {
        let server = Arc::new(Server::http("127.0.0.1:0").expect("a free port"));
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (serving, asked) = (server.clone(), ranges.clone());
        std::thread::spawn(move || {
            for request in serving.incoming_requests() {
                let (from, body) = answer(&request, fault);
                asked.lock().expect("whole").push(from);
                let status = StatusCode(if from.is_some() { 206 } else { 200 });
                let whole = body.len();
                let sent = match (fault, from) {
                    (Fault::BreaksOff, None) => body[..whole / 2].to_vec(),
                    _ => body,
                };
                let response =
                    Response::new(status, vec![], sent.as_slice(), Some(sent.len()), None);
                // A client that hung up is what some tests want.
                let _ = request.respond(response);
            }
        });
        Self {
            address: format!("http://{}", server.server_addr()),
            ranges,
            server,
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.server.unblock();
    }
}

fn answer(request: &tiny_http::Request, fault: Fault) -> (Option<u64>, Vec<u8>) {
    let name = request.url().rsplit('/').next().expect("a path");
    assert_eq!(
        request.url(),
        format!("/us/model/resolve/v1/weights/{name}")
    );
    let mut bytes = std::fs::read(shipped().join(name)).expect("a file of the model");
    if fault == Fault::Flips {
        bytes[0] ^= 1;
    }
    let range = request
        .headers()
        .iter()
        .find(|header| header.field.equiv("Range"));
    let from = range.map(|range| {
        let from = range
            .value
            .as_str()
            .strip_prefix("bytes=")
            .and_then(|r| r.strip_suffix('-'));
        from.expect("an open range")
            .parse::<u64>()
            .expect("a number")
    });
    (from, bytes[from.unwrap_or(0) as usize..].to_vec())
}

/// A user with an empty models' folder and a manifest of a model on a hub.
struct User {
    home: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let user = Self {
            home: tempfile::tempdir().expect("a temporary folder"),
        };
        let manifest = std::fs::read(shipped().join("manifest.json")).expect("readable");
        let mut manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        manifest["name"] = json!("ours");
        manifest["source"] = json!({"repository": "us/model", "revision": "v1"});
        for file in FILES {
            manifest["files"][file]["path"] = json!(format!("weights/{file}"));
        }
        std::fs::write(user.manifest(), manifest.to_string()).expect("writable");
        user
    }

    fn manifest(&self) -> PathBuf {
        self.home.path().join("ours.json")
    }

    fn model(&self) -> PathBuf {
        self.home.path().join("models/ours")
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_photorecall"));
        command
            .args(args)
            .env("PHOTORECALL_MODELS", self.home.path().join("models"));
        command.output().expect("the program starts")
    }

    fn fetch(&self, hub: &str) -> Output {
        let manifest = self.manifest();
        self.run(&[
            "model",
            "fetch",
            manifest.to_str().expect("UTF-8"),
            "--hub",
            hub,
        ])
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_model_is_fetched_used_by_its_name_verified_and_removed() {
    let (user, hub) = (User::new(), Hub::start(Fault::None));
    let fetched = user.fetch(&hub.address);
    assert!(fetched.status.success(), "{}", said(&fetched));
    let embedded = user.run(&["embed", "--model", "ours", "--json", "--text", "a dog"]);
    assert!(embedded.status.success(), "{}", said(&embedded));
    assert!(user.run(&["model", "verify", "ours"]).status.success());
    let before = hub.ranges.lock().expect("whole").len();
    assert!(user.fetch(&hub.address).status.success());
    assert_eq!(
        hub.ranges.lock().expect("whole").len(),
        before,
        "what is there is not fetched again"
    );
    assert!(user.run(&["model", "remove", "ours"]).status.success());
    assert!(!user.model().exists());
    assert_eq!(
        user.run(&["model", "verify", "ours"]).status.code(),
        Some(1)
    );
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_was() {
    let (user, hub) = (User::new(), Hub::start(Fault::BreaksOff));
    for _ in FILES {
        let broken = user.fetch(&hub.address);
        assert_eq!(broken.status.code(), Some(1));
        assert!(
            said(&broken).contains("run it again to go on"),
            "{}",
            said(&broken)
        );
        assert!(
            !user.model().join("manifest.json").exists(),
            "half a model is none"
        );
    }
    let fetched = user.fetch(&hub.address);
    assert!(fetched.status.success(), "{}", said(&fetched));
    let ranges = hub.ranges.lock().expect("whole");
    assert_eq!(
        ranges.iter().filter(|from| from.is_some()).count(),
        FILES.len(),
        "{ranges:?}"
    );
}

#[test]
fn other_bytes_than_the_known_ones_are_refused_with_both_digests_and_not_kept() {
    let (user, hub) = (User::new(), Hub::start(Fault::Flips));
    let refused = user.fetch(&hub.address);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("SHA-256"), "{}", said(&refused));
    let left: Vec<_> = std::fs::read_dir(user.model()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn offline_the_error_says_what_else_can_be_done() {
    let user = User::new();
    // A port that was free a moment ago: nobody listens.
    let address = Hub::start(Fault::None).server.server_addr().to_string();
    let hub = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = format!("http://{}", hub.local_addr().expect("bound"));
    drop((hub, address));
    let offline = user.fetch(&silent);
    assert_eq!(offline.status.code(), Some(1));
    assert!(
        said(&offline).contains("model import"),
        "{}",
        said(&offline)
    );
    assert_eq!(
        said(&offline).trim().lines().count(),
        1,
        "{}",
        said(&offline)
    );
}

#[test]
fn a_folder_with_a_manifest_is_imported_and_a_damaged_one_is_not() {
    let user = User::new();
    let folder = user.home.path().join("mine");
    std::fs::create_dir(&folder).expect("writable");
    for file in FILES.iter().chain(&["manifest.json"]) {
        std::fs::copy(shipped().join(file), folder.join(file)).expect("copied");
    }
    let path = folder.to_str().expect("UTF-8");
    assert!(user.run(&["model", "import", path]).status.success());
    assert!(
        user.home
            .path()
            .join("models/photorecall-s/manifest.json")
            .is_file()
    );
    let mut text = std::fs::read(folder.join("text.onnx")).expect("readable");
    text.pop();
    std::fs::write(folder.join("text.onnx"), text).expect("writable");
    std::fs::remove_dir_all(user.home.path().join("models")).expect("there");
    let refused = user.run(&["model", "import", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("text.onnx"), "{}", said(&refused));
}

#[test]
fn known_models_are_listed_with_size_and_licence() {
    let listed = User::new().run(&["model", "list", "--json"]);
    let rows: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let rows = rows.as_array().expect("rows");
    assert!(
        rows.iter()
            .any(|row| row["name"] == "photorecall-s" && row["here"] == true)
    );
    assert!(rows.iter().any(|row| row["name"] == "tinyclip-8m"
        && row["license"] == "MIT"
        && row["here"] == false));
}

/// A golden folder that `cargo xtask test` makes, or `None` with a word about it.
fn golden(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/golden")
        .join(name);
    if !path.is_dir() {
        println!("NOT RUN: target/golden/{name} is not there; `cargo xtask test` makes it");
        return None;
    }
    Some(path)
}

#[test]
fn a_converted_model_is_smaller_agrees_and_is_used_like_any_other() {
    let Some(original) = golden("vit") else {
        return;
    };
    let user = User::new();
    let photos = user.home.path().join("photos");
    std::fs::create_dir(&photos).expect("writable");
    let noise =
        |x: u32, y: u32| image::Rgb([(x * y) as u8, (x * x + y) as u8, (7 * x + y * y) as u8]);
    for (name, side) in [("a.png", 90), ("b.png", 200)] {
        let photo = image::RgbImage::from_fn(side, 80, noise);
        photo.save(photos.join(name)).expect("writable");
    }
    let out = user.home.path().join("small");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let convert = |model: &Path, out: &Path| {
        let (model, out) = (text(model), text(out));
        user.run(&[
            "model",
            "convert",
            &model,
            "--out",
            &out,
            "--photos",
            &text(&photos),
        ])
    };
    let done = convert(&original, &out);
    assert!(done.status.success(), "{}", said(&done));
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(told.contains("13 linear layers, 1 convolutions"), "{told}");
    let least = told.split("2 photos: least ").nth(1).expect("a cosine");
    let least: f64 = least
        .split(',')
        .next()
        .expect("a number")
        .parse()
        .expect("a number");
    assert!((0.999..=1.0).contains(&least), "{told}");
    let bytes = |folder: &Path| folder.join("image.onnx").metadata().expect("there").len();
    assert!(bytes(&out) * 3 < bytes(&original), "{told}");
    let manifest = std::fs::read(out.join("manifest.json")).expect("readable");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(manifest["name"], "vit-int8");
    assert!(user.run(&["model", "import", &text(&out)]).status.success());
    assert!(user.run(&["model", "verify", "vit-int8"]).status.success());
    let alone = convert(
        &original.join("image.onnx"),
        &user.home.path().join("alone"),
    );
    assert!(
        String::from_utf8_lossy(&alone.stdout).contains("2 photos"),
        "{}",
        said(&alone)
    );
    let refused = convert(&out, &out);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).contains("another folder"),
        "{}",
        said(&refused)
    );
}
