//! Models by name: what there is, fetched, imported, converted, verified, removed.

mod convert;
mod fetch;
mod install;
mod known;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use photorecall::Kernels;
use photorecall::encoder::{Folder, MANIFEST, Model};
use serde_json::json;

use crate::Outcome;
use crate::args::{FetchArgs, ModelCommand};
use crate::model::{self, SHIPPED};
pub use install::models_folder;
use known::Known;

/// `photorecall model …`
pub fn run(command: &ModelCommand) -> anyhow::Result<Outcome> {
    match command {
        ModelCommand::List { json } => list(*json),
        ModelCommand::Fetch(args) => fetch(args),
        ModelCommand::Import { paths } => import(paths),
        ModelCommand::Convert(args) => convert::convert(args),
        ModelCommand::Verify { model } => verify(model),
        ModelCommand::Remove { name } => remove(name),
    }
}

fn list(json: bool) -> anyhow::Result<Outcome> {
    let shipped = model::load(SHIPPED)?;
    let mut rows = vec![json!({
        "name": SHIPPED,
        "license": shipped.manifest().license,
        "bytes": shipped.manifest().files.values().map(|file| file.bytes).sum::<u64>(),
        "dim": shipped.dim(),
        "here": true,
    })];
    let folder = models_folder()?;
    for known in known::all()? {
        rows.push(json!({
            "name": known.manifest.name,
            "license": known.manifest.license,
            "bytes": known.bytes(),
            "dim": known.manifest.dim,
            "here": folder.join(&known.manifest.name).join(MANIFEST).is_file(),
        }));
    }
    if json {
        say!("{}", serde_json::to_string(&rows)?);
        return Ok(Outcome::Done);
    }
    for row in rows {
        let megabytes = row["bytes"].as_u64().unwrap_or(0) as f64 / 1e6;
        let here = if row["here"] == true {
            "here"
        } else {
            "to be fetched"
        };
        say!(
            "{:16} {megabytes:6.1} MB  {:4} axes  {:18} {here}",
            row["name"].as_str().unwrap_or_default(),
            row["dim"],
            row["license"].as_str().unwrap_or_default(),
        );
    }
    Ok(Outcome::Done)
}

fn fetch(args: &FetchArgs) -> anyhow::Result<Outcome> {
    let known = known::find(&args.model)?;
    let hub = args.hub.trim_end_matches('/');
    let folder = install::install(&known, |name, entry, path| {
        fetch::fetch(
            &format!("{hub}/{}", known.address(name)?),
            entry,
            path,
            args.quiet,
        )
    })?;
    installed(&known, &folder)
}

/// Takes files from disk: a model's folder with its manifest, or the files of a known model.
fn import(paths: &[PathBuf]) -> anyhow::Result<Outcome> {
    let files = files_of(paths)?;
    let known = match files.iter().find(|path| path.ends_with(MANIFEST)) {
        Some(manifest) => known::find(&manifest.to_string_lossy())?,
        None => recognise(&files)?,
    };
    let folder = install::install(&known, |name, entry, to| {
        for file in &files {
            if install::is_as_promised(file, entry)? {
                std::fs::copy(file, to).with_context(|| to.display().to_string())?;
                return Ok(());
            }
        }
        bail!(
            "{}: no file of {} bytes with SHA-256 {} for its {name}",
            known.manifest.name,
            entry.bytes,
            entry.sha256
        )
    })?;
    installed(&known, &folder)
}

/// The paths, and what lies in folders among them.
fn files_of(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        for entry in ignore::WalkBuilder::new(path)
            .standard_filters(false)
            .max_depth(Some(3))
            .build()
        {
            let entry = entry?;
            if entry.file_type().is_some_and(|kind| kind.is_file()) {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}

/// The known model that one of the files belongs to.
fn recognise(files: &[PathBuf]) -> anyhow::Result<Known> {
    for known in known::all()? {
        for entry in known.manifest.files.values() {
            for file in files {
                if install::is_as_promised(file, entry)? {
                    return Ok(known);
                }
            }
        }
    }
    bail!(
        "none of the {} files has the digest of a known model's; for one of your own put a \
         {MANIFEST} beside them",
        files.len()
    )
}

fn installed(known: &Known, folder: &Path) -> anyhow::Result<Outcome> {
    let name = &known.manifest.name;
    Model::load(&Folder::new(folder), Kernels::best())
        .with_context(|| format!("{name} came whole, but does not load"))?;
    say!(
        "{name} is in {}; use it by --model {name}",
        folder.display()
    );
    Ok(Outcome::Done)
}

fn verify(choice: &str) -> anyhow::Result<Outcome> {
    let model = model::load(choice)?;
    let size = model.image().preprocess().size as usize;
    model.image().embed(&vec![0.5; 3 * size * size])?;
    if let Ok(text) = model.text() {
        text.embed("a photo of a dog")?;
    }
    say!(
        "{} is whole and runs; its digest is {}",
        model.name(),
        model.digest()
    );
    Ok(Outcome::Done)
}

fn remove(name: &str) -> anyhow::Result<Outcome> {
    let folder = models_folder()?.join(Known::plain_name(name)?);
    if !folder.join(MANIFEST).is_file() {
        bail!("no model {name} in {}", models_folder()?.display());
    }
    // The manifest first: what is left when this stops halfway is no model.
    std::fs::remove_file(folder.join(MANIFEST))?;
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    say!("removed {}", folder.display());
    Ok(Outcome::Done)
}
