//! Telling about libraries and models.

use std::path::Path;

use anyhow::Context;
use photorecall::Kernels;
use photorecall::encoder::Model;
use photorecall::library::{Damage, ModelRef};
use photorecall::store::files::FileStore;
use serde_json::json;

use crate::args::InfoArgs;
use crate::shared_args::LibraryArgs;
use crate::{Outcome, model};

/// What a library notes of the model that filled it.
pub fn model_ref(model: &Model) -> ModelRef {
    ModelRef {
        name: model.name().to_owned(),
        digest: model.digest().to_owned(),
        dim: model.dim(),
    }
}

/// Names every damaged part on stderr.
pub fn tell_damage(damaged: &[Damage]) {
    for part in damaged {
        eprintln!("damaged: segment {}: {}", part.segment, part.reason);
        for path in part.photos.iter().flatten() {
            eprintln!("  to be indexed again: {path}");
        }
    }
}

/// `photorecall info`
pub fn info(args: &InfoArgs) -> anyhow::Result<Outcome> {
    match (&args.library, &args.model) {
        (Some(library), _) => library_info(library, args.json),
        (None, Some(choice)) => model_info(choice, args.json),
        (None, None) => Ok(Outcome::Done),
    }
}

fn library_info(folder: &Path, json: bool) -> anyhow::Result<Outcome> {
    let opened = FileStore::read_only(folder)?
        .load()?
        .with_context(|| format!("no library in {}", folder.display()))?;
    tell_damage(&opened.damaged);
    let stats = opened.library.stats();
    let told = json!({
        "photos": stats.photos,
        "deleted": stats.deleted,
        "segments": stats.segments,
        "bytes": stats.bytes,
        "dim": stats.dim,
        "model": stats.model.name,
        "model_digest": stats.model.digest,
        "drift": opened.library.drift().map(|drift| (1000.0 * drift.ratio).round() / 1000.0),
        "damaged": opened.damaged.len(),
        "kernels": Kernels::best().name(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    tell(&told, json)?;
    Ok(Outcome::Done)
}

fn model_info(choice: &str, json: bool) -> anyhow::Result<Outcome> {
    let model = model::load(choice)?;
    let told = json!({
        "model": model.name(),
        "model_digest": model.digest(),
        "dim": model.dim(),
        "kernels": Kernels::best().name(),
        "image": model.image().report(),
        "text": model.text().ok().map(|text| text.report()),
    });
    tell(&told, json)?;
    Ok(Outcome::Done)
}

fn tell(told: &serde_json::Value, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string(told)?);
    } else if let Some(fields) = told.as_object() {
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match value.as_str() {
                Some(text) => say!("{name:14} {text}"),
                None => say!("{name:14} {value}"),
            }
        }
    }
    Ok(())
}

/// `photorecall verify`
pub fn verify(args: &LibraryArgs) -> anyhow::Result<Outcome> {
    let opened = FileStore::read_only(&args.library)?
        .load()?
        .with_context(|| format!("no library in {}", args.library.display()))?;
    tell_damage(&opened.damaged);
    let stats = opened.library.stats();
    anyhow::ensure!(
        opened.damaged.is_empty(),
        "{} of {} segments are damaged; `photorecall index` takes their photos in again",
        opened.damaged.len(),
        opened.damaged.len() + stats.segments
    );
    say!(
        "intact: {} photos in {} segments, {} bytes",
        stats.photos,
        stats.segments,
        stats.bytes
    );
    Ok(Outcome::Done)
}

/// `photorecall ranges`
pub fn ranges(args: &LibraryArgs) -> anyhow::Result<Outcome> {
    // Asked first, so that a mistyped folder is not made.
    FileStore::read_only(&args.library)?;
    let written = FileStore::open(&args.library)?.add_ranges()?;
    say!("{written} segments can be read in parts; the others are small and read whole");
    Ok(Outcome::Done)
}
