//! Building one shard, and what all of them share.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use photorecall::encoder::Model;
use photorecall::format::{self, CodebookMeta};
use photorecall::index::{Codebook, Lists};
use photorecall::library::Library;
use tempfile::NamedTempFile;

use super::args::{BuildArgs, TrainArgs, WorkArgs};
use super::embed::{embed, require_shard};
use super::parquet::Embeddings;
use super::plan::Plan;
use super::receipt::{Built, MadeOf, Receipt, Skipped};
use super::source::Input;
use crate::Outcome;

/// Photos to learn from, a list, and at least.
const SAMPLE_EACH: u64 = 32;
const SAMPLE_LEAST: u64 = 16_384;

/// `photorecall shard build`
pub fn build(args: &BuildArgs) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let plan = Plan::open(&args.work.plan)?;
    require_shard(&plan, args.shard)?;
    let made_of = MadeOf::now(&plan, args.shard)?;
    let there = Receipt::read(&plan, args.shard)?
        .filter(|receipt| receipt.made_of == made_of && receipt.check(&plan, true).is_ok());
    if let Some(receipt) = there {
        return tell(&receipt, "there", started, &args.work);
    }
    let model = plan.load_model()?;
    let receipt = built(&plan, &model, args, made_of)?;
    tell(&receipt, "built", started, &args.work)
}

fn built(plan: &Plan, model: &Model, args: &BuildArgs, made_of: MadeOf) -> anyhow::Result<Receipt> {
    let shard = args.shard;
    let (mut photos, mut vectors, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let file = temporary(plan)?;
    let mut parquet = Embeddings::new(file.as_file().try_clone()?)?;
    let inputs = (plan.inputs(shard)?, plan.rows(shard));
    embed(plan, model, &args.work, inputs, |input, embedded| {
        match embedded {
            Ok((photo, vector)) => {
                parquet.push(&photo, &vector)?;
                photos.push(photo);
                vectors.extend(vector);
            }
            Err(reason) => skipped.push(Skipped {
                path: input.path,
                reason,
            }),
        }
        Ok(())
    })?;
    parquet.finish()?;
    let count = photos.len();
    let codebook = shared(plan)?;
    let segment = Library::seal(&plan.model, photos, &vectors, codebook.as_ref(), plan.seed)?;
    drop(vectors);
    let mut files = BTreeMap::new();
    let mut keep = |ending: &str, file| -> anyhow::Result<()> {
        let path = plan.shard_file(shard, ending);
        persist(file, &path)?;
        files.insert(ending.to_owned(), Built::of(&path)?);
        Ok(())
    };
    keep("parquet", file)?;
    if let Some(made) = format::write_ranges("the segment", &segment)? {
        keep("codebook", written(plan, &made.codebook)?)?;
        keep("ranges", written(plan, &made.ranges)?)?;
    }
    keep("segment", written(plan, &segment)?)?;
    let receipt = Receipt {
        shard,
        photos: count,
        skipped,
        made_of,
        files,
    };
    let json = serde_json::to_vec_pretty(&receipt)?;
    persist(written(plan, &json)?, &plan.shard_file(shard, "json"))?;
    Ok(receipt)
}

fn tell(
    receipt: &Receipt,
    state: &str,
    started: Instant,
    work: &WorkArgs,
) -> anyhow::Result<Outcome> {
    let (shard, photos, skipped) = (receipt.shard, receipt.photos, receipt.skipped.len());
    let seconds = started.elapsed().as_secs_f64();
    if work.run.tell.json {
        let told = serde_json::json!({
            "shard": shard, "state": state, "photos": photos, "skipped": skipped, "seconds": seconds,
        });
        say!("{told}");
    } else {
        say!("shard {shard} is {state}: {photos} photos, {skipped} left out, {seconds:.1} s");
        for Skipped { path, reason } in &receipt.skipped {
            eprintln!("skipped {path}: {reason}");
        }
    }
    Ok(match skipped {
        0 => Outcome::Done,
        _ => Outcome::Skipped,
    })
}

/// `photorecall shard train`
pub fn train(args: &TrainArgs) -> anyhow::Result<Outcome> {
    let plan = Plan::open(&args.work.plan)?;
    if let Some(codebook) = shared(&plan)? {
        let told = format!("the codebook is there: {} lists", codebook.centroids.len());
        return said(&args.work, &told, codebook.centroids.len(), None);
    }
    if (0..plan.shards).any(|shard| plan.shard_file(shard, "json").exists()) {
        bail!("shards were built without a codebook: make another plan, or join them as they are");
    }
    let model = plan.load_model()?;
    // As an index of one shard would have.
    let lists = Lists::count_for(plan.rows(0) as usize) as u64;
    let wanted = args
        .sample
        .map_or((lists * SAMPLE_EACH).max(SAMPLE_LEAST), |n| n as u64);
    let inputs = sample(&plan, wanted.clamp(1, plan.photos))?;
    let (mut vectors, count) = (Vec::new(), inputs.len() as u64);
    let inputs = (inputs.into_iter().map(Ok), count);
    embed(&plan, &model, &args.work, inputs, |_, embedded| {
        vectors.extend(embedded.map_or(Vec::new(), |(_, vector)| vector));
        Ok(())
    })?;
    if vectors.is_empty() {
        bail!("none of {count} photos could be read: there is nothing to learn from");
    }
    let meta = CodebookMeta {
        model_digest: plan.model.digest.clone(),
        dim: plan.model.dim,
        sample: vectors.len() / plan.model.dim,
    };
    let codebook = Codebook::train(vectors, meta.dim, lists as usize, plan.seed);
    let bytes = format::write_codebook(&meta, &codebook);
    persist(written(&plan, &bytes)?, &plan.codebook())?;
    let lists = codebook.centroids.len();
    let told = format!("{lists} lists learnt from {} photos", meta.sample);
    said(&args.work, &told, lists, Some(meta.sample))
}

fn said(
    work: &WorkArgs,
    told: &str,
    lists: usize,
    sample: Option<usize>,
) -> anyhow::Result<Outcome> {
    match work.run.tell.json {
        true => say!("{}", serde_json::json!({"lists": lists, "sample": sample})),
        false => say!("{told}"),
    }
    Ok(Outcome::Done)
}

/// Photos at even steps through every shard.
fn sample(plan: &Plan, wanted: u64) -> anyhow::Result<Vec<Input>> {
    let mut sample = Vec::new();
    for shard in 0..plan.shards {
        let rows = plan.rows(shard);
        let own = (wanted * rows).div_ceil(plan.photos).clamp(1, rows.max(1));
        for (row, input) in (0..rows).zip(plan.inputs(shard)?) {
            if (row * own) % rows < own {
                sample.push(input?);
            }
        }
    }
    Ok(sample)
}

/// The shared codebook, if the plan has one.
fn shared(plan: &Plan) -> anyhow::Result<Option<Codebook>> {
    let path = plan.codebook();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let (meta, codebook) = format::read_codebook(&path.display().to_string(), &bytes)?;
    if meta.model_digest != plan.model.digest || meta.dim != plan.model.dim {
        bail!(
            "{} is another model's: remove it and train again",
            path.display()
        );
    }
    Ok(Some(codebook))
}

fn temporary(plan: &Plan) -> anyhow::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o644));
    }
    let folder = plan.built();
    let file = builder.prefix(".tmp-").tempfile_in(&folder);
    file.with_context(|| folder.display().to_string())
}

fn written(plan: &Plan, bytes: &[u8]) -> anyhow::Result<NamedTempFile> {
    let mut file = temporary(plan)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// Gives a file its name when it is wholly on disk.
fn persist(file: NamedTempFile, path: &Path) -> anyhow::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path)
        .with_context(|| path.display().to_string())?;
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
