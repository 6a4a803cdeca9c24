//! What may be typed.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use photorecall::index::Recall;

#[cfg(feature = "cluster")]
use crate::shared_args::TellArgs;
use crate::shared_args::{HowArgs, LibraryArgs, ModelArgs, NotedModelArgs};

/// Find photos by meaning: by words, by example or by both. Nothing leaves this machine.
#[derive(Parser)]
#[command(name = "photorecall", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Index a folder of photos; run it again to take only what is new, changed or gone
    Index(IndexArgs),
    /// Add single photos or folders to a library
    Add(AddArgs),
    /// Take photos out of a library (the files themselves stay)
    Remove(RemoveArgs),
    /// Rewrite a library without what was removed
    Compact(LibraryArgs),
    /// Find photos by words, by example photos, by filters, or by all of them
    Search(SearchArgs),
    /// Find photos like one or more of the library
    Similar(SimilarArgs),
    /// Mark photos as favourites, put them into albums, tag them
    Label(LabelArgs),
    /// Report photos that are there more than once
    Duplicates(DuplicatesArgs),
    /// Show what a library has, by month or by what is seen
    Browse(BrowseArgs),
    /// Print the embeddings of photos or texts
    Embed(EmbedArgs),
    /// Tell about a library or a model
    Info(InfoArgs),
    /// Check every byte of a library; exit code 0 only when it is intact
    Verify(LibraryArgs),
    /// Measure how well a model finds labelled or captioned photos
    Eval(EvalArgs),
    /// List, fetch, import, verify or remove models
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Serve a library and the web app on loopback
    Serve(ServeArgs),
    /// Put a library into a server for collections that outgrow a machine
    #[cfg(feature = "cluster")]
    Export {
        #[command(subcommand)]
        command: ExportCommand,
    },
    /// Build a library in shards, on any number of machines
    #[cfg(feature = "cluster")]
    Shard {
        #[command(subcommand)]
        command: crate::shard::args::ShardCommand,
    },
    /// Work out on paper what a large collection takes: bytes, hours, shards, machines
    Plan(crate::plan::args::PlanArgs),
    /// Let browsers read a library in parts: writes a small file beside each compact segment
    Ranges(LibraryArgs),
    /// Print the completions of a shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub struct IndexArgs {
    /// The folder of photos, searched recursively
    pub folder: PathBuf,
    #[command(flatten)]
    pub library: LibraryArgs,
    #[command(flatten)]
    pub how: HowArgs,
    /// Leave out files that match this glob (as in .gitignore; may be given again)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Take hidden files and folders too
    #[arg(long)]
    pub hidden: bool,
}

#[derive(Args)]
pub struct AddArgs {
    /// Photos or folders
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub library: LibraryArgs,
    #[command(flatten)]
    pub how: HowArgs,
}

#[derive(Args)]
pub struct RemoveArgs {
    /// Paths as the library names them; a folder takes all below it
    #[arg(required = true)]
    pub paths: Vec<String>,
    #[command(flatten)]
    pub library: LibraryArgs,
}

/// Where photos are looked for.
#[derive(Args)]
#[command(group = ArgGroup::new("place").required(true).multiple(false).args(PLACES))]
pub struct PlaceArgs {
    /// The library's folder
    #[arg(long, value_name = "DIR")]
    pub library: Option<PathBuf>,
    /// A Milvus server in place of a library, `http://host:port` (see `export`)
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "URI", requires = "collection")]
    pub milvus: Option<String>,
    /// The server's collection
    #[cfg(feature = "cluster")]
    #[arg(
        long,
        value_name = "NAME",
        requires = "milvus",
        conflicts_with = "library"
    )]
    pub collection: Option<String>,
}

#[cfg(feature = "cluster")]
const PLACES: [&str; 2] = ["library", "milvus"];
#[cfg(not(feature = "cluster"))]
const PLACES: [&str; 1] = ["library"];

/// Which hits, and how they are printed.
#[derive(Args)]
pub struct HitArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// How many photos
    #[arg(short, default_value_t = 10, value_name = "N")]
    pub k: usize,
    /// Skip the best N
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub offset: usize,
    /// Go on after the page that ended with this `next` (see --page)
    #[arg(long, value_name = "NEXT")]
    pub after: Option<String>,
    /// Leave out photos with a lower cosine than this
    #[arg(long, value_name = "COSINE")]
    pub min_score: Option<f32>,
    /// How good the answer should be, against how fast: `exact` compares every photo
    #[arg(long, value_enum, default_value = "high")]
    pub recall: RecallArg,
    /// Put near duplicates under the best of them
    #[arg(long)]
    pub group: bool,
    /// Print one JSON array, best first
    #[arg(long)]
    pub json: bool,
    /// Print an object around the array: `found`, `next`, `total`, `likely`, `suggestion`
    #[arg(long, requires = "json")]
    pub page: bool,
}

/// [`Recall`] on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum RecallArg {
    Fast,
    High,
    Exact,
}

impl From<RecallArg> for Recall {
    fn from(recall: RecallArg) -> Self {
        match recall {
            RecallArg::Fast => Self::Fast,
            RecallArg::High => Self::High,
            RecallArg::Exact => Self::Exact,
        }
    }
}

#[derive(Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["words", "image"]))]
pub struct SearchArgs {
    /// What to look for, with weights and filters:
    /// `beach - people date:2019..2020-05 (album:"Rome" or is:favourite) not type:png`
    ///
    /// Filters: album: box: camera: date: folder: has: height: is: near: path: size: tag: type: width:
    /// joined by and, or, not and parentheses. `2: dog` weighs words, `- people` and `-people` go away
    /// from them, quotes keep words as they are.
    pub words: Vec<String>,
    /// A photo to look for (may be given again)
    #[arg(long, value_name = "FILE")]
    pub image: Vec<PathBuf>,
    /// Look for the words in photos alone, not in names of files, folders, albums and tags
    #[arg(long)]
    pub no_names: bool,
    #[command(flatten)]
    pub hits: HitArgs,
    #[command(flatten)]
    pub model: NotedModelArgs,
}

#[derive(Args)]
pub struct SimilarArgs {
    /// Photos' paths as the library names them
    #[arg(required = true)]
    pub paths: Vec<String>,
    /// Only among photos that match these filters, as in `search`
    #[arg(long = "where", value_name = "FILTERS")]
    pub filter: Option<String>,
    #[command(flatten)]
    pub hits: HitArgs,
}

#[derive(Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["paths", "filter"]))]
#[command(group = ArgGroup::new("change").required(true).multiple(true)
    .args(["favourite", "not_favourite", "album", "not_album", "tag", "not_tag"]))]
pub struct LabelArgs {
    /// Photos' paths as the library names them
    pub paths: Vec<String>,
    /// All photos that match these filters, as in `search`
    #[arg(long = "where", value_name = "FILTERS")]
    pub filter: Option<String>,
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Mark them as favourites
    #[arg(long, conflicts_with = "not_favourite")]
    pub favourite: bool,
    /// Mark them as favourites no more
    #[arg(long)]
    pub not_favourite: bool,
    /// Put them into an album (may be given again, as the ones below)
    #[arg(long, value_name = "NAME")]
    pub album: Vec<String>,
    /// Take them out of an album
    #[arg(long, value_name = "NAME")]
    pub not_album: Vec<String>,
    /// Tag them
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Take a tag away
    #[arg(long, value_name = "TAG")]
    pub not_tag: Vec<String>,
}

#[derive(Args)]
pub struct DuplicatesArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Print one JSON object: `exact`, `near` and `similar`, arrays of groups
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct BrowseArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// In clusters of photos that look alike, each with a word for it, in place of months
    #[arg(long)]
    pub clusters: bool,
    /// How many clusters (default: by the number of photos)
    #[arg(long, value_name = "N", requires = "clusters")]
    pub count: Option<usize>,
    /// Only photos that match these filters, as in `search`
    #[arg(long = "where", value_name = "FILTERS", conflicts_with = "clusters")]
    pub filter: Option<String>,
    #[command(flatten)]
    pub model: NotedModelArgs,
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("input").required(true).multiple(true).args(["image", "text"]))]
pub struct EmbedArgs {
    /// Photos
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub image: Vec<PathBuf>,
    /// Texts
    #[arg(long, num_args = 1.., value_name = "TEXT")]
    pub text: Vec<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Print one array of {input, embedding}; without it, one line of numbers an input
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(group = ArgGroup::new("about").required(true).args(["library", "model"]))]
pub struct InfoArgs {
    /// The library's folder
    #[arg(long, value_name = "DIR")]
    pub library: Option<PathBuf>,
    /// A model: a folder, or the name of the one that ships
    #[arg(long, value_name = "FOLDER|NAME")]
    pub model: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct EvalArgs {
    /// The folder of photos
    #[arg(long, value_name = "DIR")]
    pub photos: PathBuf,
    /// Tab-separated, with a header: column `file`, and `label` or `caption`
    #[arg(long, value_name = "TSV")]
    pub labels: PathBuf,
    /// The query for a label; `{}` stands for it
    #[arg(long, default_value = "a photo of a {}")]
    pub template: String,
    /// Queries that no photo answers, one a line: measures how well a search knows that nothing fits
    #[arg(long, value_name = "FILE")]
    pub absent: Option<PathBuf>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[cfg(feature = "cluster")]
#[derive(Subcommand)]
pub enum ExportCommand {
    /// Into a collection of a Milvus server; run it again after changes, or when it was interrupted
    Milvus(MilvusArgs),
}

#[cfg(feature = "cluster")]
#[derive(Args)]
pub struct MilvusArgs {
    /// The library's folder
    #[arg(value_name = "LIBRARY")]
    pub library: PathBuf,
    /// The server's address, `http://host:port`
    #[arg(long, value_name = "URI")]
    pub uri: String,
    /// The collection; it is made when it is not there
    #[arg(long, value_name = "NAME")]
    pub collection: String,
    /// The index (default: that of the collection; of a new one, hnsw)
    #[arg(long, value_enum)]
    pub index: Option<IndexArg>,
    /// What vectors are compared by (default: that of the collection; of a new one, cosine); the order
    /// of what is found is the same
    #[arg(long, value_enum)]
    pub metric: Option<MetricArg>,
    /// Give photos of one album a partition of their own: searches with `album:` look there alone
    #[arg(long, value_enum, value_name = "BY")]
    pub partition_by: Option<PartitionArg>,
    #[command(flatten)]
    pub tell: TellArgs,
}

/// [`IndexKind`](photorecall::milvus::IndexKind) on the command line.
#[cfg(feature = "cluster")]
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum IndexArg {
    /// A graph over whole vectors: fast, and 4 bytes an axis in memory
    Hnsw,
    /// Lists of 8-bit codes: 1 byte an axis in memory
    #[value(name = "ivf_sq8")]
    IvfSq8,
}

/// [`Metric`](photorecall::milvus::Metric) on the command line.
#[cfg(feature = "cluster")]
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum MetricArg {
    Cosine,
    Ip,
    L2,
}

/// What partitions go by.
#[cfg(feature = "cluster")]
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum PartitionArg {
    Album,
}

#[derive(Args)]
pub struct ServeArgs {
    /// The library's folder
    pub library: PathBuf,
    /// The port on loopback; 0 takes a free one
    #[arg(long, default_value_t = 8417)]
    pub port: u16,
    /// The built web app (default: `www` beside the folder of this program)
    #[arg(long, value_name = "DIR")]
    pub app: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum ModelCommand {
    /// List the models that are known by name
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model by name; every file is checked against its SHA-256
    Fetch(FetchArgs),
    /// Take a model's files from disk: a folder with a manifest.json, or the files of a known model
    Import {
        /// Files or folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Make a model's weights int8, a scale an output channel, out of fp32 or fp16 ONNX
    Convert(ConvertArgs),
    /// Check a model's files and run it once
    Verify {
        /// A folder, or a name
        #[arg(value_name = "FOLDER|NAME")]
        model: String,
    },
    /// Remove a model that was fetched or imported
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Args)]
pub struct ConvertArgs {
    /// A model's folder with its manifest.json, or one ONNX file
    #[arg(value_name = "FOLDER|FILE")]
    pub model: PathBuf,
    /// The folder that the converted files go to
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Photos to compare the two on: the cosine of what they make of each
    #[arg(long, value_name = "FOLDER")]
    pub photos: Option<PathBuf>,
}

#[derive(Args)]
pub struct FetchArgs {
    /// A known model's name, or the path of a manifest (.json) that says where its files are
    #[arg(value_name = "NAME|MANIFEST")]
    pub model: String,
    /// The model hub's address
    #[arg(
        long,
        value_name = "URL",
        env = "PHOTORECALL_HUB",
        default_value = "https://huggingface.co"
    )]
    pub hub: String,
    /// No progress bar
    #[arg(long, short)]
    pub quiet: bool,
}
