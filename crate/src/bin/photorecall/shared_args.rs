//! What several commands take.

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{model, progress};

#[derive(Args)]
pub struct LibraryArgs {
    /// The library's folder
    #[arg(long, value_name = "DIR")]
    pub library: PathBuf,
}

/// How photos are read and told about.
#[derive(Args)]
pub struct HowArgs {
    #[command(flatten)]
    pub encode: EncodeArgs,
    #[command(flatten)]
    pub run: RunArgs,
}

/// Which model, when there is no library to say so.
#[derive(Args)]
pub struct ModelArgs {
    /// The model: a folder, or the name of the one that ships
    #[arg(long = "model", value_name = "FOLDER|NAME")]
    pub choice: Option<String>,
}

impl ModelArgs {
    /// The choice, or the model that ships.
    pub fn or_shipped(&self) -> &str {
        self.choice.as_deref().unwrap_or(model::SHIPPED)
    }
}

/// Which model, when the library says so.
#[derive(Args)]
pub struct NotedModelArgs {
    /// The model, when it is not found by the library's own note of it
    #[arg(long = "model", value_name = "FOLDER|NAME")]
    pub choice: Option<String>,
}

/// How photos are made vectors of.
#[derive(Args)]
pub struct EncodeArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Trim rows and columns that are wholly black before a photo is looked at
    #[arg(long)]
    pub trim_borders: bool,
}

/// How long work is done and told about.
#[derive(Args)]
pub struct RunArgs {
    /// Threads (default: one a core)
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    #[command(flatten)]
    pub tell: TellArgs,
}

impl RunArgs {
    /// The pool that works.
    pub fn pool(&self) -> anyhow::Result<ThreadPool> {
        let threads = self.threads.unwrap_or(0);
        Ok(ThreadPoolBuilder::new().num_threads(threads).build()?)
    }
}

/// How work is told about.
#[derive(Args)]
pub struct TellArgs {
    /// Print one JSON object in place of the summary
    #[arg(long)]
    pub json: bool,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}

impl TellArgs {
    /// A progress bar, if one is wanted.
    pub fn bar(&self, photos: u64) -> ProgressBar {
        progress::bar(photos, self.quiet || self.json)
    }
}
