//! What may be typed after `photorecall shard`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::shared_args::{EncodeArgs, RunArgs};

#[derive(Subcommand)]
pub enum ShardCommand {
    /// Deal the photos of a source out to shards; nothing is read but names
    Plan(PlanArgs),
    /// Learn what the shards share from a sample of their photos, once, before any is built
    Train(TrainArgs),
    /// Build one shard; does nothing when it is there and whole
    Build(BuildArgs),
    /// Tell which shards are there
    Status(StatusArgs),
    /// Make a library of all shards: links their files and writes a manifest, nothing is encoded again
    Join(JoinArgs),
}

#[derive(Args)]
pub struct PlanArgs {
    /// A folder; a tar archive (.tar); a list of files and addresses, one a line; or a prefix in an object
    /// store: s3://, gs://, az://, https:// (built with --features cloud)
    pub source: String,
    /// How many shards; each becomes one segment
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub shards: u32,
    /// The folder of the plan; it must not be there yet
    #[arg(long, value_name = "PLAN")]
    pub out: PathBuf,
    #[command(flatten)]
    pub encode: EncodeArgs,
    /// What samples are drawn by: the same seed gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object in place of the summary
    #[arg(long)]
    pub json: bool,
}

/// How a plan's photos are read.
#[derive(Args)]
pub struct WorkArgs {
    /// The plan's folder
    pub plan: PathBuf,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Args)]
pub struct TrainArgs {
    #[command(flatten)]
    pub work: WorkArgs,
    /// Photos to learn from (default: 32 a list, at least 16,384)
    #[arg(long, value_name = "N")]
    pub sample: Option<usize>,
}

#[derive(Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub work: WorkArgs,
    /// Which shard, from 0
    pub shard: u32,
}

#[derive(Args)]
pub struct StatusArgs {
    /// The plan's folder
    pub plan: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct JoinArgs {
    /// The plan's folder
    pub plan: PathBuf,
    /// The library's folder, on the same file system as the plan
    #[arg(long, value_name = "DIR")]
    pub library: PathBuf,
    /// Read every byte of every shard, in place of the files' lengths
    #[arg(long)]
    pub verify: bool,
    /// Print one JSON object in place of the summary
    #[arg(long)]
    pub json: bool,
}
