//! Finding photos.

use std::path::Path;

use anyhow::Context;
use photorecall::library::{self, Found, Library, Query};
use photorecall::store::files::FileStore;

use crate::args::{HitArgs, SearchArgs, SimilarArgs};
use crate::source::Source;
use crate::{Outcome, index, info, model};

/// `photorecall search`
pub fn search(args: &SearchArgs) -> anyhow::Result<Outcome> {
    let folder = &args.hits.library.library;
    let library = open(folder)?;
    let source = Source::load(folder)?;
    let model = model::load(source.model(args.model.as_deref()))?;
    library.require_model(&info::model_ref(&model))?;
    let mut parts = Vec::new();
    if !args.words.is_empty() {
        parts.push(model.text()?.embed(&args.words.join(" "))?);
    }
    if let Some(file) = &args.image {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        let embedded = index::embed_file(&model, &bytes, source.trim_borders);
        parts.push(embedded.with_context(|| file.display().to_string())?);
    }
    let weighted: Vec<(f32, &[f32])> = parts.iter().map(|part| (1.0, part.as_slice())).collect();
    let embedding = library::combine(&weighted)?;
    print(&library, embedding, None, &args.hits)
}

/// `photorecall similar`
pub fn similar(args: &SimilarArgs) -> anyhow::Result<Outcome> {
    let library = open(&args.hits.library.library)?;
    let embedding = library
        .embedding(&args.path)
        .with_context(|| format!("no photo {} in the library", args.path))?;
    print(&library, embedding, Some(args.path.clone()), &args.hits)
}

fn open(folder: &Path) -> anyhow::Result<Library> {
    let opened = FileStore::read_only(folder)?
        .load()?
        .with_context(|| format!("no library in {}", folder.display()))?;
    info::tell_damage(&opened.damaged);
    Ok(opened.library)
}

fn print(
    library: &Library,
    embedding: Vec<f32>,
    exclude: Option<String>,
    how: &HitArgs,
) -> anyhow::Result<Outcome> {
    let query = Query {
        embedding,
        k: how.k,
        offset: how.offset,
        min_score: how.min_score,
        exclude,
    };
    let found = library.search(&query)?;
    if how.json {
        say!(
            "{}",
            serde_json::to_string(&found.iter().map(as_json).collect::<Vec<_>>())?
        );
    } else {
        for Found { score, photo } in &found {
            say!("{score:.4}  {}", photo.path);
        }
    }
    Ok(Outcome::Done)
}

fn as_json(found: &Found) -> serde_json::Value {
    let photo = &found.photo;
    serde_json::json!({
        "path": photo.path,
        "score": found.score,
        "bytes": photo.bytes,
        "width": photo.width,
        "height": photo.height,
        "taken": photo.taken,
        "camera": photo.camera,
        "gps": photo.gps,
        "digest": photo.digest,
    })
}
