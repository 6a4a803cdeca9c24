//! A library in a Milvus server, by the command line alone.
//!
//! `cargo xtask test-milvus` sets both servers up, and names them in `PHOTORECALL_MILVUS_LITE` (the program
//! milvus-lite) and `PHOTORECALL_MILVUS_SERVER` (milvus-server, which listens on all interfaces: in a
//! network namespace of its own). Without them, what needs a server is not run.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use photorecall::Kernels;
use photorecall::encoder::{Folder, Model};
use photorecall::image::Format;
use photorecall::library::{Library, ModelRef, Photo, normalise};
use photorecall::store::files::FileStore;
use serde_json::{Value, json};

#[path = "random.rs"]
mod random;
#[path = "milvus/server.rs"]
mod server;
use random::Random;
use server::{START_LIMIT, Server, free_port};

const BINARY: &str = env!("CARGO_BIN_EXE_photorecall");
const PHOTOS: usize = 20_000;
const RECALL: f64 = 0.95;

/// Every filter, alone and joined; texts that a careless translation would break on.
const FILTERS: &[&str] = &[
    "date:2019-05..2020",
    "date:..2001",
    "album:Rome",
    r#"album:"été % _x""#,
    "tag:sea or tag:dog",
    "folder:trips/rome",
    "folder:rom",
    "path:trips/rome/img_1*",
    "camera:canon",
    "camera:nokia",
    "near:41.9,12.5,300",
    "box:-20,177,20,-178",
    "type:png",
    "size:>1500kb",
    "width:..1000 height:>=900",
    "is:favourite not is:portrait",
    "is:square or is:landscape",
    "has:place has:album",
    "not (has:date or has:camera) tag:sea",
    "camera:canon or near:41.9,12.5,300 or not date:2000..",
];
/// What Milvus knows since 2.4, and milvus-lite.
const PARTS: &[&str] = &["path:IMG_1", "path:*ü%*.png", "path:rome*7.jpg"];
const WORDS: &[&str] = &[
    "a dog on the beach",
    "a red car",
    "mountains in the snow",
    "people - children",
    "2: food on a table + evening",
    "a cat",
    "the sea at night",
    "a house with a garden",
];

/// Unit vectors in clusters that have a direction in common, as a model's have.
struct Vectors {
    random: Random,
    dim: usize,
    centres: Vec<f32>,
}

impl Vectors {
    fn new(dim: usize) -> Self {
        let mut random = Random(8);
        let centres = (0..200 * dim).map(|_| uniform(&mut random)).collect();
        Self {
            random,
            dim,
            centres,
        }
    }

    fn draw(&mut self) -> Vec<f32> {
        let at = self.random.below(200) * self.dim;
        let centre = &self.centres[at..at + self.dim];
        let raw = centre.iter().map(|x| 0.3 + x + uniform(&mut self.random));
        normalise(raw.collect()).expect("not zero")
    }
}

fn uniform(random: &mut Random) -> f32 {
    random.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0
}

/// Photos of which each filter finds some.
fn photo(i: usize) -> Photo {
    let folder = ["trips/Rome", "Trips/Oslo/rome", "home", ""][i % 4];
    let name = ["IMG_", "img-1", "Ü%", "beach "][i / 4 % 4];
    let format = [Format::Jpeg, Format::Png][i % 2];
    let ending = ["jpg", "png"][i % 2];
    let list = |every: usize, name: &str| i.is_multiple_of(every).then(|| name.to_owned());
    Photo {
        path: format!("{folder}/{name}{i}.{ending}")
            .trim_start_matches('/')
            .to_owned(),
        bytes: (i * 7919 % 2_000_000) as u64,
        modified_ms: i as i64 * 40_000_000,
        digest: format!("{i:064x}"),
        width: 400 + (i * 37 % 2000) as u32,
        height: 400 + (i * 53 % 1500 / 400 * 400) as u32,
        taken: i.is_multiple_of(3).then(|| {
            format!(
                "20{:02}-{:02}-{:02}T12:00:00",
                i % 24,
                i % 12 + 1,
                i % 28 + 1
            )
        }),
        camera: (!i.is_multiple_of(5))
            .then(|| ["Canon EOS \"5D\"", "CANON Ixus", "Nikon D70"][i % 3].to_owned()),
        gps: i
            .is_multiple_of(7)
            .then(|| [(i % 120) as f64 - 60.0, (i * 31 % 360) as f64 - 180.0]),
        format: Some(format),
        favourite: i.is_multiple_of(11),
        albums: [list(50, "Rome"), list(64, "été % _x")]
            .into_iter()
            .flatten()
            .collect(),
        tags: [list(40, "dog"), list(9, "Sea")]
            .into_iter()
            .flatten()
            .collect(),
        ..Photo::default()
    }
}

fn shipped() -> ModelRef {
    let model = Model::load(&Folder::new("../models/photorecall-s"), Kernels::best());
    let model = model.expect("the model that ships");
    ModelRef {
        name: model.name().to_owned(),
        digest: model.digest().to_owned(),
        dim: model.dim(),
    }
}

fn fill(folder: &Path, model: ModelRef, photos: usize) {
    let mut vectors = Vectors::new(model.dim);
    let mut library = Library::create(model);
    for i in 0..photos {
        library
            .put(photo(i), &vectors.draw())
            .expect("a unit vector");
    }
    let store = FileStore::open(folder).expect("writable");
    let commit = library.commit().expect("changes");
    store.store(&commit).expect("writable");
}

fn run(args: &[&str]) -> Output {
    Command::new(BINARY)
        .args(args)
        .output()
        .expect("the program starts")
}

fn done(args: &[&str]) -> Value {
    let output = run(args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn refused(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A library, and a collection that has it.
struct Pair<'a> {
    library: &'a str,
    uri: String,
    collection: &'a str,
}

impl Pair<'_> {
    fn export(&self, more: &[&str]) -> Value {
        let to = [
            "--uri",
            &self.uri,
            "--collection",
            self.collection,
            "--json",
        ];
        done(&[&["export", "milvus", self.library], &to[..], more].concat())
    }

    fn ours(&self, args: &[&str]) -> Value {
        done(
            &[
                &args[..1],
                &["--library", self.library, "--json", "--page"],
                &args[1..],
            ]
            .concat(),
        )
    }

    fn theirs(&self, args: &[&str]) -> Value {
        done(&[&args[..1], &self.there(), &["--json", "--page"], &args[1..]].concat())
    }

    fn there(&self) -> [&str; 4] {
        ["--milvus", &self.uri, "--collection", self.collection]
    }

    /// The same answer, to the letter.
    fn same(&self, args: &[&str]) {
        let (ours, theirs) = (self.ours(args), self.theirs(args));
        assert_eq!(ours["total"], theirs["total"], "{args:?}");
        assert_eq!(ours, theirs, "{args:?}");
    }

    /// How much of the exact answers is found, on average; cosines are nearly the same.
    fn recall(&self, queries: &[Vec<&str>]) -> f64 {
        let mut found = 0.0;
        for args in queries {
            // An array alone: a page has a verdict, for which a hundred words are embedded.
            let ours = ["--library", self.library, "--recall", "exact", "--json"];
            let ours = done(&[args, &ours[..]].concat());
            let theirs = done(&[args, &self.there()[..], &["--json"]].concat());
            let (ours, theirs) = (array(&ours), array(&theirs));
            assert_eq!(ours.len(), theirs.len(), "{args:?}");
            let same = |hit: &&Value| ours.iter().find(|other| other["path"] == hit["path"]);
            for (hit, other) in theirs.iter().filter_map(|hit| Some((hit, same(&hit)?))) {
                let (score, other) = (score(hit), score(other));
                assert!((score - other).abs() < 5e-3, "{args:?}: {score} {other}");
            }
            let common = theirs.iter().filter(|hit| same(hit).is_some()).count();
            found += common as f64 / ours.len().max(1) as f64;
        }
        found / queries.len() as f64
    }
}

fn hits(page: &Value) -> &[Value] {
    array(&page["found"])
}

fn array(hits: &Value) -> &[Value] {
    hits.as_array().expect("an array")
}

/// The page around the photos: how many there are, and whether one is likely to fit.
fn has_a_verdict(pair: &Pair<'_>) {
    let args = ["search", "a dog tag:sea", "--no-names"];
    let (ours, theirs) = (pair.ours(&args), pair.theirs(&args));
    assert_eq!(ours["total"], theirs["total"]);
    assert_eq!(ours["likely"], theirs["likely"]);
    let deviations = |page: &Value| page["deviations"].as_f64().expect("a verdict");
    let (ours, theirs) = (deviations(&ours), deviations(&theirs));
    assert!((ours - theirs).abs() < 0.05, "{ours} {theirs}");
}

fn score(hit: &Value) -> f64 {
    hit["score"].as_f64().expect("a score")
}

/// Words, filters and both, on a server that has the library.
fn answers_alike(pair: &Pair<'_>, finds_parts: bool, name: &str) {
    for filter in FILTERS {
        pair.same(&["search", "-k", "30", filter]);
    }
    for filter in PARTS {
        if finds_parts {
            pair.same(&["search", "-k", "30", filter]);
        } else {
            let told = refused(&[&["search"], &pair.there()[..], &[filter]].concat());
            assert!(told.contains("cannot be asked of Milvus"), "{told}");
        }
    }
    let by_meaning = |more: &[&'static str]| -> Vec<Vec<&str>> {
        let query = |words: &&'static str| [&["search", *words], more].concat();
        WORDS.iter().map(query).collect()
    };
    let figures = [
        ("words", by_meaning(&["--no-names"])),
        ("words in 1 of 9", by_meaning(&["tag:sea", "--no-names"])),
    ];
    for (what, queries) in figures {
        let recall = pair.recall(&queries);
        println!("{name}: {what}: recall@10 {recall:.3}");
        assert!(recall >= RECALL, "{what}: {recall}");
    }
}

/// Words that are in names too, and photos as examples: more searches for one answer.
fn names_and_examples(pair: &Pair<'_>, name: &str) {
    let queries = [
        vec!["search", "a dog on the beach"],
        vec!["search", "the sea at night"],
        vec!["search", "people in rome", "tag:sea"],
        vec!["similar", "home/img-122.jpg"],
        vec!["similar", "trips/Rome/IMG_0.jpg", "--where", "type:jpg"],
    ];
    let recall = pair.recall(&queries);
    println!("{name}: names and examples: recall@10 {recall:.3}");
    assert!(recall >= RECALL, "{recall}");
}

fn outlives_a_crash(server: &mut Server, name: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = folder.path().to_str().expect("UTF-8");
    let model = shipped();
    fill(folder.path(), model.clone(), PHOTOS);
    let mut pair = Pair {
        library,
        uri: server.uri(),
        collection: "photos",
    };

    let start = Instant::now();
    let exported = pair.export(&[]);
    println!(
        "{name}: {PHOTOS} photos exported in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    assert_eq!(
        exported,
        json!({"written": PHOTOS, "unchanged": 0, "deleted": 0, "rows": PHOTOS})
    );
    answers_alike(&pair, server.is_lite, name);
    names_and_examples(&pair, name);
    has_a_verdict(&pair);
    pages_go_on(&pair);
    mistakes_are_told(&pair, &model);

    // Again: nothing to do. Then what is gone and what has changed.
    let again = json!({"written": 0, "unchanged": PHOTOS, "deleted": 0, "rows": PHOTOS});
    assert_eq!(pair.export(&[]), again);
    done(&["remove", "--library", library, "Trips/Oslo"]);
    done(&[
        "label",
        "--library",
        library,
        "home/img-122.jpg",
        "--album",
        "Rome",
    ]);
    let left = PHOTOS * 3 / 4;
    let want = json!({"written": 1, "unchanged": left - 1, "deleted": PHOTOS / 4, "rows": left});
    assert_eq!(pair.export(&[]), want);
    pair.same(&["search", "-k", "30", "folder:rome"]);
    pair.same(&["search", "-k", "500", "album:rome"]);

    server.kill();
    let told = refused(&[&["search"], &pair.there()[..], &["is:favourite"]].concat());
    assert!(told.contains("is it started?"), "{told}");
    server.restart();
    pair.uri = server.uri();
    answers_again(&pair);
    answers_alike(&pair, server.is_lite, &format!("{name} after kill -9"));

    interrupted(&pair, left);
    other_forms(&pair, left, name);
}

/// Waits until a server that was killed has read its log.
fn answers_again(pair: &Pair<'_>) {
    let start = Instant::now();
    let args = [&["search"], &pair.there()[..], &["is:favourite"]].concat();
    while !run(&args).status.success() {
        assert!(start.elapsed() < START_LIMIT, "{}", refused(&args));
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn pages_go_on(pair: &Pair<'_>) {
    for words in [&["tag:dog"][..], &["a dog", "album:Rome", "--group"]] {
        let first = pair.theirs(&[&["search", "-k", "7"], words].concat());
        let next = first["next"].as_str().expect("more");
        let second = pair.theirs(&[&["search", "-k", "7", "--after", next], words].concat());
        let both = pair.theirs(&[&["search", "-k", "14"], words].concat());
        let joined = [hits(&first), hits(&second)].concat();
        assert_eq!(joined, hits(&both), "{words:?}");
    }
}

fn mistakes_are_told(pair: &Pair<'_>, model: &ModelRef) {
    let search = |more: &[&str]| refused(&[&["search"], more].concat());
    let told = search(&["--milvus", &pair.uri, "--collection", "nowhere", "tag:sea"]);
    assert!(told.contains("there is none of that name"), "{told}");
    let told = search(&[&pair.there()[..], &["a dog", "--recall", "exact"]].concat());
    assert!(told.contains("--recall exact cannot be asked"), "{told}");

    let other = tempfile::tempdir().expect("a temporary folder");
    let model = ModelRef {
        digest: "0".repeat(64),
        ..model.clone()
    };
    fill(other.path(), model, 3);
    let into = ["--uri", &pair.uri, "--collection", pair.collection];
    let path = other.path().to_str().expect("UTF-8");
    let told = refused(&[&["export", "milvus", path], &into[..]].concat());
    assert!(told.contains("vectors of two models never mix"), "{told}");
    let told = refused(
        &[
            &["export", "milvus", pair.library],
            &into[..],
            &["--metric", "l2"],
        ]
        .concat(),
    );
    assert!(told.contains("it has the metric Cosine"), "{told}");
}

/// An export that is killed goes on where it was.
fn interrupted(pair: &Pair<'_>, photos: usize) {
    let into = ["--uri", &pair.uri, "--collection", "interrupted"];
    let mut child = Command::new(BINARY)
        .args(["export", "milvus", pair.library, "--quiet"])
        .args(into)
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(Duration::from_millis(2500));
    child.kill().expect("a child");
    child.wait().expect("a child");
    let pair = Pair {
        collection: "interrupted",
        uri: pair.uri.clone(),
        ..*pair
    };
    let exported = pair.export(&[]);
    let number = |name: &str| exported[name].as_u64().expect(name) as usize;
    println!("killed after {} photos", number("unchanged"));
    assert_eq!(
        (number("written") + number("unchanged"), number("rows")),
        (photos, photos)
    );
    pair.same(&["search", "-k", "30", "tag:dog"]);
}

/// The other index, another metric, partitions.
fn other_forms(pair: &Pair<'_>, photos: usize, name: &str) {
    let pair = Pair {
        collection: "forms",
        uri: pair.uri.clone(),
        ..*pair
    };
    let how = [
        "--index",
        "ivf_sq8",
        "--metric",
        "l2",
        "--partition-by",
        "album",
    ];
    assert_eq!(pair.export(&how)["rows"], photos);
    for filter in [
        "album:Rome",
        "not album:Rome is:favourite",
        "album:nothing",
        "tag:sea",
    ] {
        pair.same(&["search", "-k", "30", filter]);
    }
    let query = |words: &&'static str| vec!["search", *words, "--no-names"];
    let queries: Vec<Vec<&str>> = WORDS.iter().map(query).collect();
    let recall = pair.recall(&queries);
    println!("{name}: IVF_SQ8, L2, by album: recall@10 {recall:.3}");
    assert!(recall >= RECALL, "{recall}");
    // From one partition into another.
    done(&[
        "label",
        "--library",
        pair.library,
        "home/beach 126.jpg",
        "--album",
        "Rome",
    ]);
    assert_eq!(pair.export(&[])["rows"], photos);
    pair.same(&["search", "-k", "500", "album:Rome"]);
}

#[test]
fn milvus_lite_answers_as_the_library_does() {
    if let Some(mut server) = Server::of("PHOTORECALL_MILVUS_LITE") {
        outlives_a_crash(&mut server, "milvus-lite");
    }
}

#[test]
fn the_milvus_server_answers_as_the_library_does() {
    if let Some(mut server) = Server::of("PHOTORECALL_MILVUS_SERVER") {
        outlives_a_crash(&mut server, "Milvus server");
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let uri = format!("http://127.0.0.1:{}", free_port());
    let told = refused(&["search", "--milvus", &uri, "--collection", "c", "tag:sea"]);
    assert!(
        told.contains(&uri) && told.contains("is it started?"),
        "{told}"
    );
    for wrong in ["127.0.0.1:1", "https://127.0.0.1:1", "http://"] {
        let told = refused(&["search", "--milvus", wrong, "--collection", "c", "tag:sea"]);
        assert!(told.contains("not an address"), "{told}");
    }
}

#[test]
fn a_search_has_one_place() {
    for args in [
        &["search", "x"][..],
        &[
            "search",
            "x",
            "--library",
            "L",
            "--milvus",
            "http://x",
            "--collection",
            "c",
        ],
        &["search", "x", "--milvus", "http://x"],
        &["search", "x", "--library", "L", "--collection", "c"],
        &["export", "milvus", "L", "--collection", "c"],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}
