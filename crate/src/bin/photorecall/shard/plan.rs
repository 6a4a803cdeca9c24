//! A plan: which photos belong to which shard.
//!
//! ```text
//! PLAN/plan.json               model, seed, number of shards
//! PLAN/inputs/00000.jsonl      the photos of a shard, one a line
//! PLAN/codebook                what the shards share, when it is trained
//! PLAN/shards/00000.segment    and .ranges, .codebook, .parquet; .json, the receipt, comes last
//! ```
//! Photos are dealt out one by one, so that all shards are alike: neither the size nor the plan of one says
//! anything of where its photos came from.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use photorecall::encoder::Model;
use photorecall::library::ModelRef;
use serde::{Deserialize, Serialize};

use super::args::PlanArgs;
use super::source::{Input, Origin};
use crate::{Outcome, info, model};

const PLAN: &str = "plan.json";
/// The version of the plan's files.
const FORMAT: u32 = 1;
/// Lines of a shard that wait to be written, in bytes.
const WAITING_BYTES: usize = 64 << 10;

/// `plan.json`
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    format: u32,
    /// As it was given.
    pub source: String,
    /// The folder that photos' paths are below, if they are files.
    pub root: Option<PathBuf>,
    pub shards: u32,
    pub photos: u64,
    /// How the model is found.
    pub choice: String,
    pub model: ModelRef,
    pub trim_borders: bool,
    pub seed: u64,
    #[serde(skip)]
    folder: PathBuf,
}

/// `photorecall shard plan`
pub fn plan(args: &PlanArgs) -> anyhow::Result<Outcome> {
    if args.out.exists() {
        bail!(
            "{} is there already: a plan is not changed, make another one",
            args.out.display()
        );
    }
    let choice = args.encode.model.or_shipped();
    let model = model::load(choice)?;
    let origin = Origin::of(&args.source)?;
    let parent = args.out.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    let folder = tempfile::Builder::new()
        .prefix(".tmp-plan-")
        .tempdir_in(parent)?;
    let mut dealer = Dealer::new(folder.path(), args.shards)?;
    let unreadable = origin.list(&mut |input| dealer.take(&input))?;
    let photos = dealer.finish()?;
    if photos == 0 {
        bail!("no photos in {}", args.source);
    }
    let plan = Plan {
        format: FORMAT,
        source: args.source.clone(),
        root: origin.root(),
        shards: args.shards,
        photos,
        choice: model::lasting_name(choice)?,
        model: info::model_ref(&model),
        trim_borders: args.encode.trim_borders,
        seed: args.seed,
        folder: PathBuf::new(),
    };
    fs::create_dir(folder.path().join("shards"))?;
    let mut file = File::create(folder.path().join(PLAN))?;
    serde_json::to_writer_pretty(&mut file, &plan)?;
    file.sync_all()?;
    let made = folder.keep();
    fs::rename(&made, &args.out).with_context(|| args.out.display().to_string())?;
    open_to_others(&args.out)?;
    if args.json {
        let told =
            serde_json::json!({"photos": photos, "shards": plan.shards, "skipped": unreadable});
        say!("{told}");
    } else {
        say!("{photos} photos in {} shards", plan.shards);
    }
    for reason in &unreadable {
        eprintln!("skipped {reason}");
    }
    Ok(match unreadable.is_empty() {
        true => Outcome::Done,
        false => Outcome::Skipped,
    })
}

/// A temporary folder is its owner's alone; a plan is for all machines of a cluster.
fn open_to_others(folder: &Path) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    let _ = folder;
    Ok(())
}

/// Deals inputs out to the shards' files.
struct Dealer {
    folder: PathBuf,
    waiting: Vec<Vec<u8>>,
    dealt: u64,
}

impl Dealer {
    fn new(plan: &Path, shards: u32) -> anyhow::Result<Self> {
        let folder = plan.join("inputs");
        fs::create_dir(&folder)?;
        let dealer = Self {
            folder,
            waiting: (0..shards).map(|_| Vec::new()).collect(),
            dealt: 0,
        };
        // A shard without photos has its file too.
        for shard in 0..shards {
            File::create(dealer.file(shard as usize))?;
        }
        Ok(dealer)
    }

    fn file(&self, shard: usize) -> PathBuf {
        self.folder.join(format!("{shard:05}.jsonl"))
    }

    fn take(&mut self, input: &Input) -> anyhow::Result<()> {
        let shard = (self.dealt % self.waiting.len() as u64) as usize;
        serde_json::to_writer(&mut self.waiting[shard], input)?;
        self.waiting[shard].push(b'\n');
        self.dealt += 1;
        if self.waiting[shard].len() >= WAITING_BYTES {
            self.write(shard)?;
        }
        Ok(())
    }

    fn write(&mut self, shard: usize) -> anyhow::Result<()> {
        let mut file = File::options().append(true).open(self.file(shard))?;
        file.write_all(&std::mem::take(&mut self.waiting[shard]))?;
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<u64> {
        for shard in 0..self.waiting.len() {
            self.write(shard)?;
        }
        Ok(self.dealt)
    }
}

impl Plan {
    /// Reads a plan.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(PLAN);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let mut plan: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: not a plan", path.display()))?;
        if plan.format != FORMAT {
            bail!(
                "{}: format {}, this version reads {FORMAT}",
                path.display(),
                plan.format
            );
        }
        plan.folder = folder.to_owned();
        Ok(plan)
    }

    /// The model, if it is still the one that was planned with.
    pub fn load_model(&self) -> anyhow::Result<Model> {
        let model = model::load(&self.choice)?;
        let (found, planned) = (info::model_ref(&model), &self.model);
        if found.digest != planned.digest || found.dim != planned.dim {
            bail!(
                "the plan was made with model {} ({:.12}…); {} here is {:.12}…",
                planned.name,
                planned.digest,
                self.choice,
                found.digest
            );
        }
        Ok(model)
    }

    /// The file that lists the photos of a shard.
    pub fn inputs_file(&self, shard: u32) -> PathBuf {
        self.folder.join("inputs").join(format!("{shard:05}.jsonl"))
    }

    /// The photos of a shard, in order.
    pub fn inputs(
        &self,
        shard: u32,
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Input>>> {
        let path = self.inputs_file(shard);
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        let name = path.display().to_string();
        Ok(BufReader::new(file).lines().map(move |line| {
            serde_json::from_str(&line?).with_context(|| format!("{name}: a line"))
        }))
    }

    /// How many photos a shard has.
    pub fn rows(&self, shard: u32) -> u64 {
        let (photos, shards) = (self.photos, u64::from(self.shards));
        photos / shards + u64::from(u64::from(shard) < photos % shards)
    }

    /// The shared codebook's file.
    pub fn codebook(&self) -> PathBuf {
        self.folder.join("codebook")
    }

    /// The folder of what is built.
    pub fn built(&self) -> PathBuf {
        self.folder.join("shards")
    }

    /// A file of a shard.
    pub fn shard_file(&self, shard: u32, ending: &str) -> PathBuf {
        self.built().join(format!("{shard:05}.{ending}"))
    }
}
