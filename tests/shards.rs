//! A library built in shards, by the command line alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use photorecall::store::files::FileStore;
use serde_json::Value;

#[path = "random.rs"]
mod random;
use random::Random;

const BINARY: &str = env!("CARGO_BIN_EXE_photorecall");
const PHOTOS: usize = 30;
const SHARDS: usize = 4;

/// A folder of drawn photos, one that is none, and room for more.
struct Work(tempfile::TempDir);

impl Work {
    fn new() -> Self {
        let work = Self(tempfile::tempdir().expect("a temporary folder"));
        for folder in ["photos/a", "photos/b"] {
            fs::create_dir_all(work.path(folder)).expect("writable");
        }
        let mut random = Random(5);
        for i in 0..PHOTOS {
            let colours: Vec<u8> = (0..12).map(|_| random.below(256) as u8).collect();
            let picture = image::RgbImage::from_fn(160, 120, |x, y| {
                let at = (x / 80 + 2 * (y / 60)) as usize * 3;
                image::Rgb([colours[at], colours[at + 1], (x + y) as u8])
            });
            let file = format!("photos/{}/{i:02}.png", ["a", "b"][i % 2]);
            picture.save(work.path(&file)).expect("writable");
        }
        fs::write(work.path("photos/b/broken.jpg"), b"no photo").expect("writable");
        work
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    fn plan(&self, source: &str, plan: &str) {
        let shards = SHARDS.to_string();
        let (source, plan) = (self.name(source), self.name(plan));
        succeeds(&[
            "shard", "plan", &source, "--shards", &shards, "--out", &plan,
        ]);
    }

    /// Builds every shard in some order.
    fn build(&self, plan: &str, order: impl Iterator<Item = usize>) {
        for shard in order {
            succeeds(&["shard", "build", &self.name(plan), &shard.to_string()]);
        }
    }

    fn join(&self, plan: &str, library: &str) {
        let (plan, library) = (self.name(plan), self.name(library));
        succeeds(&["shard", "join", &plan, "--library", &library, "--verify"]);
    }
}

fn run(args: &[&str]) -> Output {
    let output = Command::new(BINARY).args(args).output();
    output.expect("the program starts")
}

/// Runs to the end; the broken photo may be left out.
fn succeeds(args: &[&str]) -> String {
    let output = run(args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "{args:?}: {told}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The bytes of every file of a folder that does not tell where it lies.
fn bytes_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("there").flatten();
    let named = entries.map(|entry| {
        (
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        )
    });
    named
        .filter(|(name, _)| !["library.lock", "source.json"].contains(&name.as_str()))
        .map(|(name, path)| (name, fs::read(path).expect("readable")))
        .collect()
}

fn found(library: &str, words: &str) -> Vec<(String, f64)> {
    let args = [
        "search",
        "--library",
        library,
        "--json",
        "--recall",
        "exact",
        "--no-names",
        words,
    ];
    let hits: Value = serde_json::from_str(&succeeds(&args)).expect("JSON");
    let hits = hits.as_array().expect("an array").iter();
    hits.map(|hit| {
        let path = hit["path"].as_str().expect("a path").to_owned();
        (path, hit["score"].as_f64().expect("a score"))
    })
    .collect()
}

#[test]
fn shards_are_built_in_any_order_and_joined_without_copying() {
    let work = Work::new();
    work.plan("photos", "plan");
    let plan = work.name("plan");
    assert!(succeeds(&["shard", "train", &plan]).contains("lists learnt from 30 photos"));
    let status: Value =
        serde_json::from_str(&succeeds(&["shard", "status", &plan, "--json"])).expect("JSON");
    assert_eq!(status["missing"], serde_json::json!([0, 1, 2, 3]));
    assert_eq!(
        (&status["photos"], &status["trained"]),
        (&31.into(), &true.into())
    );

    work.build("plan", [2, 0].into_iter());
    let library = work.name("library");
    let told = refused(&["shard", "join", &plan, "--library", &library]);
    assert!(
        told.contains("2 of 4 shards are missing: build 1, 3"),
        "{told}"
    );
    assert!(!work.path("library").exists(), "nothing half-done");
    work.build("plan", [3, 1].into_iter());
    assert!(succeeds(&["shard", "build", &plan, "2"]).contains("shard 2 is there"));
    work.join("plan", "library");
    // Once more is no harm.
    work.join("plan", "library");

    let opened = FileStore::read_only(&work.path("library")).expect("there");
    let opened = opened.load().expect("whole").expect("a library");
    assert!(opened.damaged.is_empty());
    assert_eq!(opened.library.stats().photos, PHOTOS);
    assert_eq!(opened.library.stats().segments, SHARDS);
    succeeds(&["verify", "--library", &library]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let inode = |path: &str| fs::metadata(work.path(path)).expect("there").ino();
        let linked = inode("library/00000001-0000.segment");
        assert_eq!(linked, inode("plan/shards/00000.segment"), "the same file");
    }

    // The same photos in one go: the same answers, to the 8 bits an axis that a shard keeps.
    let whole = work.name("whole");
    succeeds(&["index", &work.name("photos"), "--library", &whole]);
    for words in ["a red picture", "something dark"] {
        let (ours, theirs) = (found(&library, words), found(&whole, words));
        assert_eq!(ours.len(), theirs.len());
        let theirs: BTreeMap<_, _> = theirs.into_iter().collect();
        let close = |(path, score): &&(String, f64)| {
            theirs
                .get(path)
                .is_some_and(|other| (other - score).abs() < 5e-3)
        };
        assert!(
            ours.iter().filter(close).count() >= 9,
            "{ours:?}\n{theirs:?}"
        );
    }
    // It is a library like any other: the next run of `index` finds nothing to do.
    let told = succeeds(&["index", &work.name("photos"), "--library", &library]);
    assert!(
        told.contains("0 added") && told.contains("30 unchanged"),
        "{told}"
    );
}

#[test]
fn the_same_plan_gives_the_same_bytes_whatever_happened_on_the_way() {
    let work = Work::new();
    for plan in ["calm", "troubled"] {
        work.plan("photos", plan);
        succeeds(&["shard", "train", &work.name(plan)]);
    }
    work.build("calm", 0..SHARDS);
    // Builders are killed, at several moments; two of them work at the same shard.
    let troubled = work.name("troubled");
    let start = || {
        Command::new(BINARY)
            .args(["shard", "build", &troubled, "1", "--threads", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    };
    for ms in [30, 90, 150, 220] {
        let mut child = start();
        std::thread::sleep(Duration::from_millis(ms));
        // It fails where the builder was done already.
        let _ = child.kill();
        child.wait().expect("a child");
    }
    let two = [start(), start()];
    for mut child in two {
        assert!(matches!(child.wait().expect("a child").code(), Some(0 | 3)));
    }
    work.build("troubled", (0..SHARDS).rev());
    // A file that was damaged is built again.
    let segment = work.path("troubled/shards/00003.segment");
    let mut bytes = fs::read(&segment).expect("there");
    bytes[1000] ^= 1;
    fs::write(&segment, bytes).expect("writable");
    let told = refused(&[
        "shard",
        "join",
        &troubled,
        "--library",
        &work.name("no"),
        "--verify",
    ]);
    assert!(
        told.contains("00003.segment is not what its receipt says"),
        "{told}"
    );
    work.build("troubled", 3..4);
    for (plan, library) in [("calm", "one"), ("troubled", "two")] {
        work.join(plan, library);
    }
    let (calm, troubled) = (work.path("calm/shards"), work.path("troubled/shards"));
    assert_eq!(bytes_of(&calm), bytes_of(&troubled));
    assert_eq!(bytes_of(&work.path("one")), bytes_of(&work.path("two")));
    // The manifest, a segment and its ranges for each shard, and the codebook that all share.
    assert_eq!(bytes_of(&work.path("one")).len(), 2 + 2 * SHARDS);
}

#[test]
fn inputs_come_from_tar_archives_and_lists_too() {
    let work = Work::new();
    let tar = File::create(work.path("photos.tar")).expect("writable");
    let mut tar = tar::Builder::new(tar);
    let long = format!("{}/deep.png", "long".repeat(40));
    tar.append_path_with_name(work.path("photos/a/00.png"), &long)
        .expect("a file");
    tar.append_path_with_name(work.path("photos/a/02.png"), "a/02.png")
        .expect("a file");
    tar.append_path_with_name(work.path("photos/b/01.png"), "notes.txt")
        .expect("a file");
    tar.finish().expect("writable");
    fs::write(
        work.path("list.txt"),
        "# two photos\nphotos/a/00.png\n\nphotos/a/02.png\nphotos/a/00.png\nphotos/gone.png\n",
    )
    .expect("writable");
    let scores = |source: &str| {
        let (plan, library) = (format!("plan of {source}"), format!("library of {source}"));
        work.plan(source, &plan);
        work.build(&plan, 0..SHARDS);
        work.join(&plan, &library);
        found(&work.name(&library), "a red picture")
    };
    let (tar, list) = (scores("photos.tar"), scores("list.txt"));
    let ending = |hits: &[(String, f64)]| -> Vec<(bool, f64)> {
        let told = |(path, score): &(String, f64)| (path.ends_with("02.png"), *score);
        hits.iter().map(told).collect()
    };
    assert_eq!((tar.len(), ending(&tar)), (2, ending(&list)));
    assert!(tar.iter().any(|(path, _)| *path == long), "{tar:?}");

    let told = refused(&[
        "shard",
        "plan",
        "s3://bucket/photos",
        "--shards",
        "2",
        "--out",
        &work.name("p"),
    ]);
    let clear = match cfg!(feature = "cloud") {
        true => told.contains("s3://bucket/photos"),
        false => told.contains("--features cloud"),
    };
    assert!(clear && !work.path("p").exists(), "{told}");
}

#[test]
fn embeddings_leave_as_parquet() {
    let work = Work::new();
    work.plan("photos", "plan");
    work.build("plan", 0..1);
    let file = File::open(work.path("plan/shards/00000.parquet")).expect("there");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let rows: Vec<_> = reader.get_row_iter(None).expect("rows").collect();
    assert_eq!(rows.len(), 8);
    for row in rows {
        let row = row.expect("a row");
        let path = row.get_string(0).expect("a path");
        let list = row.get_list(5).expect("a list").elements().to_vec();
        let vector: Vec<f32> = list
            .iter()
            .map(|x| match x {
                parquet::record::Field::Float(x) => *x,
                other => panic!("{other}"),
            })
            .collect();
        let file = work.path("photos").join(path);
        let embedded = succeeds(&["embed", "--json", "--image", file.to_str().expect("UTF-8")]);
        let embedded: Value = serde_json::from_str(&embedded).expect("JSON");
        let wanted = embedded[0]["embedding"].as_array().expect("numbers");
        assert_eq!(vector.len(), wanted.len());
        for (x, y) in vector.iter().zip(wanted) {
            assert!(
                (f64::from(*x) - y.as_f64().expect("a number")).abs() < 1e-6,
                "{path}"
            );
        }
    }
}

#[test]
fn mistakes_are_told() {
    let work = Work::new();
    work.plan("photos", "plan");
    let plan = work.name("plan");
    let again = refused(&[
        "shard",
        "plan",
        &work.name("photos"),
        "--shards",
        "2",
        "--out",
        &plan,
    ]);
    assert!(again.contains("is there already"), "{again}");
    let told = refused(&["shard", "build", &plan, "4"]);
    assert!(told.contains("the plan has 0 to 3"), "{told}");
    work.build("plan", 0..1);
    let told = refused(&["shard", "train", &plan]);
    assert!(told.contains("built without a codebook"), "{told}");
    let told = refused(&["shard", "build", &work.name("photos"), "0"]);
    assert!(told.contains("plan.json"), "{told}");
    fs::remove_file(work.path("photos/a/04.png")).expect("there");
    fs::write(work.path("photos/a/00.png"), b"another").expect("writable");
    let told = succeeds(&["shard", "build", &plan, "0", "--json"]);
    assert!(
        told.contains(r#""state":"there""#),
        "what is built stays: {told}"
    );
    let told = run(&["shard", "build", &plan, "2"]);
    let said = String::from_utf8_lossy(&told.stderr);
    assert_eq!(told.status.code(), Some(3), "{said}");
    assert!(
        said.contains("a/04.png: it is gone since the plan was made"),
        "{said}"
    );
}
