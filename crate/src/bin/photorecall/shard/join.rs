//! All shards as one library.

use std::fs;

use anyhow::bail;
use photorecall::library::{Library, Stored};
use photorecall::store::files::FileStore;

use super::args::{JoinArgs, StatusArgs};
use super::plan::Plan;
use super::receipt::{MadeOf, Receipt};
use crate::Outcome;
use crate::source::Source;

/// Shards that are named when many are missing.
const NAMED: usize = 20;

/// Which shards are there.
struct State {
    receipts: Vec<Receipt>,
    /// The others, and why where one is there but not whole.
    missing: Vec<u32>,
    wrong: Vec<String>,
}

fn state(plan: &Plan, every_byte: bool) -> anyhow::Result<State> {
    let mut state = State {
        receipts: Vec::new(),
        missing: Vec::new(),
        wrong: Vec::new(),
    };
    for shard in 0..plan.shards {
        let Some(receipt) = Receipt::read(plan, shard)? else {
            state.missing.push(shard);
            continue;
        };
        let made_of = MadeOf::now(plan, shard)?;
        let whole = match receipt.made_of == made_of {
            true => receipt.check(plan, every_byte),
            false => Err(anyhow::anyhow!("shard {shard} was built of something else")),
        };
        match whole {
            Ok(()) => state.receipts.push(receipt),
            Err(error) => {
                state.missing.push(shard);
                state.wrong.push(format!("{error:#}"));
            }
        }
    }
    Ok(state)
}

/// `photorecall shard status`
pub fn status(args: &StatusArgs) -> anyhow::Result<Outcome> {
    let plan = Plan::open(&args.plan)?;
    let State {
        receipts, missing, ..
    } = state(&plan, false)?;
    let trained = plan.codebook().exists();
    if args.json {
        let told = serde_json::json!({
            "source": plan.source, "model": plan.model, "photos": plan.photos, "shards": plan.shards,
            "trained": trained, "missing": missing,
        });
        say!("{told}");
    } else {
        let codebook = if trained { "trained" } else { "none" };
        let done = receipts.len();
        say!(
            "{done} of {} shards are there; codebook: {codebook}",
            plan.shards
        );
    }
    Ok(Outcome::Done)
}

/// `photorecall shard join`
pub fn join(args: &JoinArgs) -> anyhow::Result<Outcome> {
    let plan = Plan::open(&args.plan)?;
    let State {
        receipts,
        missing,
        wrong,
    } = state(&plan, args.verify)?;
    if !missing.is_empty() {
        wrong.iter().for_each(|reason| eprintln!("{reason}"));
        let named: Vec<String> = missing.iter().take(NAMED).map(u32::to_string).collect();
        let more = if missing.len() > NAMED { ", …" } else { "" };
        bail!(
            "{} of {} shards are missing: build {}{more}",
            missing.len(),
            plan.shards,
            named.join(", ")
        );
    }
    let store = FileStore::open(&args.library)?;
    let mut segments: Vec<Stored> = Vec::new();
    for receipt in receipts.iter().filter(|receipt| receipt.photos > 0) {
        segments.push(receipt.stored(format!("{:08}-{:04}.segment", 1, receipt.shard))?);
    }
    let manifest = Library::joined(&plan.model, segments.clone());
    if store.adopts(&manifest)? {
        for (receipt, stored) in receipts.iter().filter(|one| one.photos > 0).zip(&segments) {
            store.link(&plan.shard_file(receipt.shard, "segment"), &stored.name)?;
            if stored.ranges.is_some() {
                let ranges = plan.shard_file(receipt.shard, "ranges");
                store.link(&ranges, &stored.ranges_name())?;
            }
            if let Some(shared) = &stored.codebook {
                store.link(&plan.shard_file(receipt.shard, "codebook"), &shared.name)?;
            }
        }
        let source = Source {
            root: plan.root.clone(),
            model: Some(plan.choice.clone()),
            trim_borders: plan.trim_borders,
        };
        source.store(&args.library)?;
        store.adopt(manifest)?;
    }
    clear(&plan);
    tell(&receipts, args)
}

/// Removes what builders that were killed have left.
fn clear(plan: &Plan) {
    let entries = fs::read_dir(plan.built()).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(".tmp-") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn tell(receipts: &[Receipt], args: &JoinArgs) -> anyhow::Result<Outcome> {
    let photos: usize = receipts.iter().map(|receipt| receipt.photos).sum();
    let skipped: usize = receipts.iter().map(|receipt| receipt.skipped.len()).sum();
    if args.json {
        let told =
            serde_json::json!({"shards": receipts.len(), "photos": photos, "skipped": skipped});
        say!("{told}");
    } else {
        say!(
            "{photos} photos of {} shards in {}, {skipped} left out",
            receipts.len(),
            args.library.display()
        );
    }
    Ok(match skipped {
        0 => Outcome::Done,
        _ => Outcome::Skipped,
    })
}
