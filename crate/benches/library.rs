//! The native part of `cargo xtask bench library FOLDER PHOTOS`: filters over many photos, as JSON; and the
//! same library in FOLDER, with queries, for the browser's part.

#[path = "../../tests/filtered.rs"]
mod filtered;

use std::path::PathBuf;

use filtered::{K, Vectors, library, measure};
use photorecall::Kernels;
use photorecall::encoder::{Folder, Model};
use photorecall::format::bytes_of_f32;
use photorecall::library::ModelRef;
use photorecall::store::files::FileStore;
use serde_json::json;

const QUERIES: usize = 200;

fn main() {
    // `cargo bench` puts its own flags after the program's.
    let mut args = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    let Some(folder) = args.next().map(PathBuf::from) else {
        println!("usage: library FOLDER PHOTOS, by cargo xtask bench library");
        return;
    };
    let photos: usize = args
        .next()
        .map_or(100_000, |text| text.parse().expect("a number of photos"));
    let shipped = Folder::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../models/photorecall-s"
    ));
    let model = Model::load(&shipped, Kernels::best()).expect("the model that ships");
    let model = ModelRef {
        name: model.name().to_owned(),
        digest: model.digest().to_owned(),
        dim: model.dim(),
    };
    let mut vectors = Vectors::new(3, model.dim);
    let (mut library, rows) = library(photos, model.clone(), &mut vectors);
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| vectors.draw()).collect();
    let filters: Vec<_> = measure(&library, &rows, &queries)
        .iter()
        .map(|of| json!({"matching": of.share as f64 / 1000.0, "recall": of.recall, "first_ms": of.first_ms, "ms": of.ms}))
        .collect();
    let store = FileStore::open(&folder).expect("a folder of its own");
    let commit = library.commit().expect("photos");
    let bytes: usize = commit.put.iter().map(|(_, bytes)| bytes.len()).sum();
    store.store(&commit).expect("kept");
    std::fs::write(folder.join("queries.f32"), bytes_of_f32(&queries.concat())).expect("writable");
    let names: Vec<&String> = commit.put.iter().map(|(name, _)| name).collect();
    let told = json!({
        "photos": photos, "dim": model.dim, "model": model, "k": K, "kernels": Kernels::best().name(),
        "segments": names, "bytes": bytes, "filters": filters,
    });
    println!("{told}");
}
