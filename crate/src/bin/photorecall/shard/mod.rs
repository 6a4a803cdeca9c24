//! A library built in shards, by any scheduler: a loop, `xargs`, Ray, SLURM, Kubernetes.
//!
//! ```text
//! plan ─▶ train (once) ─▶ build 0 │ build 1 │ … on any machines ─▶ join
//! ```
//! All that the machines share is the plan's folder. Each step can be killed and run again: files come by
//! a temporary name, and a shard's receipt last. The same plan and seed give the same bytes.

pub mod args;
mod build;
mod embed;
mod join;
mod parquet;
mod plan;
mod receipt;
mod source;
mod store;

use crate::Outcome;
use args::ShardCommand;

pub fn run(command: &ShardCommand) -> anyhow::Result<Outcome> {
    match command {
        ShardCommand::Plan(args) => plan::plan(args),
        ShardCommand::Train(args) => build::train(args),
        ShardCommand::Build(args) => build::build(args),
        ShardCommand::Status(args) => join::status(args),
        ShardCommand::Join(args) => join::join(args),
    }
}
