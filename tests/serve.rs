//! `photorecall serve` as other programs of the machine see it: searching by HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_photorecall");

/// A served library of small photos.
struct Served {
    folder: tempfile::TempDir,
    server: Child,
    host: String,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (photos, app) = (
            folder.path().join("photos/trips"),
            folder.path().join("app"),
        );
        std::fs::create_dir_all(&photos).expect("made");
        std::fs::create_dir(&app).expect("made");
        std::fs::write(app.join("index.html"), "the app").expect("writable");
        for (name, colour) in [
            ("red", [200, 20, 20]),
            ("green", [20, 180, 30]),
            ("blue", [20, 30, 200]),
            ("grey", [90, 90, 90]),
            ("white", [250, 250, 250]),
        ] {
            let picture = image::RgbImage::from_pixel(48, 32, image::Rgb(colour));
            picture
                .save(photos.join(format!("{name} & co.png")))
                .expect("writable");
        }
        let library = folder.path().join("library");
        let indexed = Command::new(BINARY)
            .args(["index", "--quiet"])
            .arg(folder.path().join("photos"))
            .arg("--library")
            .arg(&library)
            .output();
        assert!(indexed.expect("starts").status.success());
        let mut server = Command::new(BINARY)
            .args(["serve", "--port", "0"])
            .arg(&library)
            .arg("--app")
            .arg(&app)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        let out = server.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let address = line.split_once("http://").expect("an address").1;
        let host = address.split('/').next().expect("a host").to_owned();
        Self {
            folder,
            server,
            host,
        }
    }

    /// Status and body of what is answered.
    fn get(&self, path: &str, headers: &[&str]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.host).expect("reached");
        let headers = headers.join("\r\n");
        let own = if headers.contains("Host:") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.host)
        };
        let rest = if headers.is_empty() {
            headers
        } else {
            format!("{headers}\r\n")
        };
        write!(
            stream,
            "GET {path} HTTP/1.1\r\n{own}{rest}Connection: close\r\n\r\n"
        )
        .expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answered");
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status.expect("a status"), body.expect("a body"))
    }

    fn found(&self, parameters: &str) -> Value {
        let (status, body) = self.get(&format!("/search.json?{parameters}"), &[]);
        assert_eq!(status, 200, "{parameters}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    fn paths(&self, parameters: &str) -> Vec<String> {
        let found = self.found(parameters);
        let hits = found["found"].as_array().expect("an array");
        hits.iter()
            .map(|hit| hit["path"].as_str().expect("a path").to_owned())
            .collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn by_command_line(library: &Path, words: &str) -> Value {
    let output = Command::new(BINARY)
        .args(["search", "--json", "--page", "-k", "50", words, "--library"])
        .arg(library)
        .output()
        .expect("starts");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_served_library_is_searched_as_on_the_command_line() {
    let served = Served::new();
    let library = served.folder.path().join("library");
    let words = "a red picture - grey in 2019";
    let expected = by_command_line(&library, words);
    assert_eq!(served.found("q=a+red+picture%20-%20grey+in+2019"), expected);
    assert!(expected["suggestion"]["query"].is_string() && expected["likely"].is_boolean());

    let all = served.paths("q=red");
    assert_eq!(all.len(), 5);
    let first = served.found("q=red&k=2");
    let next = first["next"]
        .as_str()
        .expect("there are more")
        .replace(' ', "+")
        .replace('&', "%26");
    let second = served.paths(&format!("q=red&k=2&after={next}"));
    assert_eq!(
        second,
        all[2..4],
        "a page goes on where the one before ended"
    );
    assert_eq!(served.paths("q=red&k=2&offset=2"), all[2..4]);
    assert_eq!(served.paths("q=path:*blue*"), ["trips/blue & co.png"]);
    assert_eq!(served.paths("q=red&filter=not+path:*red*").len(), 4);
    let alike = served.paths("like=trips/red+%26+co.png&like=trips/blue+%26+co.png");
    assert!(alike.len() == 3 && !alike.iter().any(|path| path.contains("red")));
}

#[test]
fn what_cannot_be_answered_is_told_and_other_sites_are_refused() {
    let served = Served::new();
    for (parameters, told) in [
        ("q=a+ablum:Rome", "ablum"),
        ("k=many", "k=many"),
        ("colour=red", "no such parameter"),
        ("like=nowhere.jpg", "no photo nowhere.jpg"),
        ("after=x", "after=x"),
    ] {
        let (status, body) = served.get(&format!("/search.json?{parameters}"), &[]);
        let error: Value = serde_json::from_str(&body).expect("JSON");
        let error = error["error"].as_str().expect("a text").to_owned();
        assert!(
            status == 400 && error.contains(told),
            "{parameters}: {status} {error}"
        );
    }
    let search = "/search.json?q=type:png";
    assert_eq!(served.get(search, &["Sec-Fetch-Site: same-origin"]).0, 200);
    for (header, status) in [
        ("Sec-Fetch-Site: cross-site", 403),
        ("Sec-Fetch-Site: same-site", 403),
        ("Origin: http://photos.example", 403),
        ("Host: photos.example", 404),
    ] {
        let (found, body) = served.get(search, &[header]);
        assert!(
            found == status && !body.contains("co.png"),
            "{header}: {found} {body}"
        );
    }
}
