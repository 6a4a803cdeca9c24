//! `photorecall plan`: sums on paper, beside the bytes of libraries that were built.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use photorecall::library::Library;
use photorecall::store::files::FileStore;
use serde_json::Value;

#[path = "collection.rs"]
mod collection;
use collection::{make, model, photo};

fn run(args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_photorecall"));
    let output = program.arg("plan").args(args).output();
    output.expect("the program starts")
}

fn plan(args: &[&str]) -> Value {
    let given = [
        "--photos-per-second",
        "100",
        "--vectors-per-second",
        "5000",
        "--json",
    ];
    let output = run(&[args, &given].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A kind's number.
fn of(plan: &Value, index: &str, what: &str) -> f64 {
    let kinds = plan["kinds"].as_array().expect("an array");
    let kind = kinds.iter().find(|kind| kind["index"] == index);
    kind.expect("its line")[what].as_f64().expect("a number")
}

/// The bytes of a folder's files with an ending.
fn bytes(folder: &Path, ending: &str) -> f64 {
    let files = fs::read_dir(folder).expect("there").flatten();
    let files = files.filter(|file| file.path().extension().is_some_and(|of| of == ending));
    files
        .map(|file| file.metadata().expect("there").len() as f64)
        .sum()
}

#[track_caller]
fn close(planned: f64, real: f64) {
    let off = planned / real - 1.0;
    assert!(
        off.abs() < 0.01,
        "planned {planned}, really {real}: {:.2} %",
        off * 100.0
    );
}

#[test]
fn what_is_planned_is_what_is_built() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| temporary.path().join(name);
    // A small one tells what a photo takes, another is planned.
    make(&path("small"), 2048, 1, model(60));
    make(&path("large"), 4200, 2, model(60));
    let like = path("small").display().to_string();
    let told = plan(&[
        "--photos",
        "4200",
        "--dim",
        "60",
        "--shard-photos",
        "2100",
        "--like",
        &like,
    ]);
    assert_eq!(told["shards"], 2);
    let [segments, ranges, codebook] =
        ["segment", "ranges", "codebook"].map(|ending| bytes(&path("large"), ending));
    close(of(&told, "compact", "disk_bytes"), segments);
    close(
        of(&told, "ranges", "disk_bytes"),
        segments + ranges + codebook,
    );
    close(of(&told, "ranges", "memory_bytes"), ranges + 2.0 * codebook);
}

#[test]
fn rows_that_are_not_sealed_are_planned_too() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let (photos, dim) = (1000, 64);
    let mut library = Library::create(model(dim));
    let mut vectors = collection::Vectors::new(dim, 40);
    for at in 0..photos {
        let vector = vectors.photo();
        library
            .put(photo(at, photos), &vector)
            .expect("a unit vector");
    }
    let store = FileStore::open(temporary.path()).expect("writable");
    let commit = library.commit().expect("changes");
    store.store(&commit).expect("writable");
    let like = temporary.path().display().to_string();
    let told = plan(&[
        "--photos", "2e3", "--dim", "64", "--index", "flat", "--like", &like,
    ]);
    assert_eq!(told["kinds"].as_array().expect("an array").len(), 1);
    close(
        of(&told, "flat", "disk_bytes"),
        2.0 * bytes(temporary.path(), "segment"),
    );
    let nowhere = run(&[
        "--photos",
        "1",
        "--photos-per-second",
        "1",
        "--vectors-per-second",
        "1",
        "--like",
        "nowhere",
    ]);
    assert_eq!(nowhere.status.code(), Some(1));
}

#[test]
fn a_servers_bytes_are_those_of_its_own_sizing_tool() {
    let told = plan(&[
        "--photos",
        "1e6",
        "--dim",
        "128",
        "--record-bytes",
        "5",
        "--machine-memory",
        "1",
    ]);
    let (spare, columns) = (2.0 * 512.0 * 1048576.0, 100e6);
    let memory = |index: f64| 1.15 * (index + spare) + columns;
    let flat = of(&told, "milvus-flat", "memory_bytes");
    assert_eq!(flat, memory(512e6).round());
    assert_eq!(
        of(&told, "milvus-hnsw", "memory_bytes"),
        memory(512e6 + 256e6).round()
    );
    // One segment of 4·√n lists.
    assert_eq!(
        of(&told, "milvus-ivf-sq8", "memory_bytes"),
        memory(128e6 + 4000.0 * 512.0).round()
    );
    assert_eq!(
        of(&told, "milvus-flat", "disk_bytes"),
        (flat + 512e6 + columns).round()
    );
    assert_eq!(of(&told, "milvus-flat", "machines"), 2.0);
    // Its rate is not known.
    let kinds = told["kinds"].as_array().expect("an array");
    assert!(
        kinds
            .iter()
            .filter(|kind| kind["engine"] == "milvus")
            .all(|kind| kind["hours"].is_null())
    );
}

#[test]
fn hours_and_machines_follow_from_rates() {
    let told = plan(&[
        "--photos",
        "36_000_000",
        "--shard-photos",
        "500000",
        "--hours",
        "10",
        "--milvus-vectors-per-second",
        "1000",
    ]);
    assert_eq!(
        (told["shards"].as_u64(), told["shard_photos"].as_u64()),
        (Some(72), Some(500_000))
    );
    assert_eq!(told["embed_hours"], 100.0);
    assert_eq!(
        (
            of(&told, "flat", "hours"),
            of(&told, "flat", "build_machines")
        ),
        (100.0, 10.0)
    );
    assert_eq!(
        (
            of(&told, "compact", "hours"),
            of(&told, "compact", "build_machines")
        ),
        (102.0, 11.0)
    );
    assert_eq!(of(&told, "milvus-hnsw", "hours"), 110.0);
    assert_eq!(told["machine"]["photos_rate"], "given");
    let text = run(&[
        "--photos",
        "1e9",
        "--photos-per-second",
        "100",
        "--vectors-per-second",
        "5000",
    ]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("1000000000 photos of 512 axes in 1000 shards")
            && text.contains("milvus-hnsw"),
        "{text}"
    );
}

#[test]
fn a_rate_that_is_not_given_is_measured() {
    let output = run(&[
        "--photos",
        "1000",
        "--dim",
        "16",
        "--json",
        "--photos-per-second",
        "1",
    ]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["machine"]["vectors_rate"], "measured");
    assert!(told["machine"]["vectors_per_second"].as_f64() > Some(0.0));
}

#[test]
fn what_is_no_number_of_photos_is_refused() {
    for wrong in ["0", "1.5", "many", "1e13", "-3", "NaN"] {
        let output = run(&["--photos", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
    let help = run(&["--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("milvus-hnsw      (4·d + 8·M)·n"));
}
