//! The command line: parses, calls the library's public API, prints.
//!
//! Exit codes: 0 done; 1 failed, nothing changed; 2 wrong usage; 3 done, but some inputs were
//! skipped (they are listed).

/// `println!` that returns its error: a reader that closed the pipe is no reason to panic.
macro_rules! say {
    ($($told:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($told)*)?
    }};
}

mod args;
mod browse;
mod budget;
mod doubt;
mod duplicates;
mod embed;
mod eval;
mod index;
mod info;
mod labels;
mod merging;
#[cfg(feature = "cluster")]
mod milvus;
mod model;
mod models;
mod photo;
mod place;
mod plan;
mod progress;
mod scan;
mod search;
mod serve;
#[cfg(feature = "cluster")]
mod shard;
mod shared_args;
mod source;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};

/// How a command ended when it did not fail.
enum Outcome {
    /// Everything asked for was done.
    Done,
    /// Done, but some inputs were skipped; they have been listed.
    Skipped,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Skipped) => ExitCode::from(3),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("photorecall: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Index(args) => index::index(&args),
        Command::Add(args) => index::add(&args),
        Command::Remove(args) => index::remove(&args),
        Command::Compact(args) => index::compact(&args),
        Command::Search(args) => search::search(&args),
        Command::Similar(args) => search::similar(&args),
        Command::Label(args) => labels::label(&args),
        Command::Duplicates(args) => duplicates::duplicates(&args),
        Command::Browse(args) => browse::browse(&args),
        Command::Embed(args) => embed::embed(&args),
        Command::Info(args) => info::info(&args),
        Command::Verify(args) => info::verify(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Model { command } => models::run(&command),
        Command::Serve(args) => serve::serve(&args),
        #[cfg(feature = "cluster")]
        Command::Export {
            command: args::ExportCommand::Milvus(args),
        } => milvus::export(&args),
        #[cfg(feature = "cluster")]
        Command::Shard { command } => shard::run(&command),
        Command::Plan(args) => plan::plan(&args),
        Command::Ranges(args) => info::ranges(&args),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "photorecall",
                &mut std::io::stdout(),
            );
            Ok(Outcome::Done)
        }
    }
}

/// A reader that has seen enough (`photorecall search … | head`) is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
