//! Photorecall's automation: `cargo xtask COMMAND`. Each command does its own set-up.

mod album;
mod bench;
mod cloud;
mod demo;
mod milvus;
mod package;
mod page;
mod paths;
mod ray;
mod shards;
mod simd;
mod test;
mod tools;
mod trials;
mod web;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs and tests Photorecall")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set everything up, index FOLDER (or a sample album), and open the page on loopback
    Demo {
        /// The folder of photos; without it, a sample album is fetched by package name
        folder: Option<PathBuf>,
        /// The port on loopback; 0 takes a free one
        #[arg(long, default_value_t = 8417)]
        port: u16,
        /// Stop when the library is indexed
        #[arg(long)]
        no_serve: bool,
    },
    /// Set up and pass every test, the browser's included
    Test,
    /// Set up Milvus and milvus-lite, and pass the tests that need them (Linux: a network namespace)
    TestMilvus,
    /// Set up Ray, and build shards on three nodes of which one is killed, and a worker too
    TestRay,
    /// Set up S3's, Azure's, Google's and WebDAV's servers, and build shards from photos in them
    TestCloud,
    /// Kill the command line 200 times and 50 tabs at random moments, and look whether anything is lost
    TestKills,
    /// Change at random what every reader of bytes reads
    Fuzz {
        /// CPU time in all
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// Build the wasm, its glue, the package and the page into target/www
    BuildWeb {
        /// Link the wasm quickly: larger by a half, for iterating
        #[arg(long)]
        quick: bool,
    },
    /// Pass the tests of the page and the package in Firefox (Debian's, installed if none is there)
    TestFirefox,
    /// Lighthouse over the built page, as a phone and a desktop: fails below 95
    Lighthouse {
        /// Where the report goes
        #[arg(long, value_name = "OUT", default_value = "target/lighthouse.json")]
        json: PathBuf,
    },
    /// Take the README's pictures: the page's main states, with the sample album
    Screenshot,
    /// Make the npm package into target/npm
    Package,
    /// Measure ours beside the peers, and write what came out
    Bench {
        /// What to measure
        what: Bench,
        /// Where the report goes
        #[arg(long, value_name = "OUT")]
        json: PathBuf,
        /// Fewer sizes and rounds: under ten minutes
        #[arg(long)]
        quick: bool,
        /// Of the index: numbers of vectors; 10000,100000,1000000 if left out, the first two with --quick
        #[arg(long, value_name = "N", value_delimiter = ',')]
        sizes: Vec<usize>,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Bench {
    /// Photos and vectors in ever more shards, and what 10⁹ of them would take
    Shards,
    /// The encoder, beside onnxruntime and onnxruntime-web
    Encoder,
    /// The index, beside its peers natively and in Chromium
    Index,
    /// A library of 100,000 photos: opened, searched and changed in Chromium, filtered natively
    Library,
    /// A first visit of the page until the first result, beside a page of transformers.js
    FirstVisit,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Demo {
            folder,
            port,
            no_serve,
        } => demo::demo(folder, port, !no_serve),
        Command::Test => test::test(),
        Command::TestMilvus => milvus::test(),
        Command::TestRay => ray::test(),
        Command::TestCloud => cloud::test(),
        Command::TestKills => trials::kills(),
        Command::Fuzz { minutes } => trials::fuzz(minutes),
        Command::BuildWeb { quick } => web::build(match quick {
            true => web::For::Here,
            false => web::For::Others,
        }),
        Command::TestFirefox => page::firefox(),
        Command::Lighthouse { json } => page::lighthouse(&json),
        Command::Screenshot => page::screenshots(),
        Command::Package => package::package(),
        Command::Bench {
            what,
            json,
            quick,
            sizes,
        } => match what {
            Bench::Shards => shards::bench(&json, quick),
            Bench::Encoder => bench::encoder(&json, quick),
            Bench::Index => bench::index(&json, quick, &sizes),
            Bench::Library => bench::library(&json, quick),
            Bench::FirstVisit => bench::first_visit(&json, quick),
        },
    }
}
