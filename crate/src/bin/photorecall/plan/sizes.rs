//! How many bytes a library takes, on paper: by the tables of FORMAT.md for ours, by Milvus's own sizing
//! tool (milvus.io/tools/sizing) for the server's.

use photorecall::format::{self, Container};
use photorecall::image::{Format, PerceptualHash};
use photorecall::index::Lists;
use photorecall::library::{Library, ModelRef, Photo};

/// What `photorecall plan --help` ends with.
pub const FORMULAS: &str = "\
Formulas, in bytes: n photos of d axes in N shards of m = n/N, each with L = ⌊3·√m⌋ lists, (m/250,000)^¼ times
as many from 250,000 photos on, 1.5 times at most, or ⌊m/32⌋ where that is less, and s = 4·⌈d/8⌉ subspaces; r is a
photo's record: assumed, or that of a library that --like names.

  flat             n·(3·d + 8 + r)                      8-bit codes and halves: what has not been sealed yet
  compact          N·(16·s·⌈m/32⌉ + m·(d + 8)           4-bit codes that are scanned, 8-bit ones that decide
                   + L·(d + 8) + 4·d + 4·(L + 1) + 128·s     lists and codebook
                   + m·r)                                    records
  ranges           compact, and beside each shard a file of the lists, the codebook, 8 bytes for each 32
                   records and 4 for each 4,096 bytes: what a browser reads first, and has in memory.
                   A query reads at most 512 rows, in blocks of 4 KiB, and so many lists that it and the
                   opening stay below 15 MB.
  in memory        as on disk, and 50 bytes by which each record is found

  milvus-flat      4·d·n
  milvus-ivf-flat  4·d·(n + g·nlist)                    in g = ⌈4·d·n ÷ 512 MiB⌉ segments
  milvus-ivf-sq8   d·n + 4·d·g·nlist                    nlist = 4·√n, from 16 to 65,536: as exports have it
  milvus-hnsw      (4·d + 8·M)·n                        M = 32, as `photorecall export milvus` has it
  in memory        1.15·(that + 2 segments of 512 MiB) + n·(2·r + 90) for the other columns
  on disk          vectors and columns as they came, 4·d·n + n·(2·r + 90), and what is in memory

Hours: photos ÷ photos a second, and vectors × (a + b·L) seconds, where a and b come from indexes of 2,048
and 8,192 vectors that are built here; both by all cores of this machine.
Machines that serve: bytes in memory ÷ a machine's memory. Machines that build: hours ÷ the hours given.
";

/// Bytes around the sections of a segment, of a ranges file and of a codebook: header, table, padding, the
/// little JSON.
const SEGMENT_FRAME: f64 = 2240.0;
const RANGES_FRAME: f64 = 1350.0;
const CODEBOOK_FRAME: f64 = 574.0;
/// Bytes in memory by which a record is found.
const FOUND_BYTES: f64 = 50.0;
/// `M` of HNSW, as an export to Milvus asks for it.
const HNSW_M: f64 = 32.0;
/// What Milvus needs beside the index, by its sizing tool.
const MILVUS_SPARE: f64 = 1.15;
const MILVUS_SEGMENT: f64 = (512 << 20) as f64;

/// A kind of index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Ours before it is sealed: every row is compared
    Flat,
    /// Ours: lists of 4-bit and 8-bit codes
    Compact,
    /// The same on a static host, opened by browsers in parts
    Ranges,
    /// Milvus, every row is compared
    MilvusFlat,
    /// Milvus, lists of whole vectors
    MilvusIvfFlat,
    /// Milvus, lists of 8-bit codes
    MilvusIvfSq8,
    /// Milvus, a graph over whole vectors
    MilvusHnsw,
}

impl Kind {
    pub fn is_milvus(self) -> bool {
        !matches!(self, Self::Flat | Self::Compact | Self::Ranges)
    }
}

/// What is to be stored.
#[derive(Debug, Clone, Copy)]
pub struct Collection {
    pub photos: f64,
    pub dim: f64,
    pub shards: f64,
    /// Bytes of a photo's record.
    pub record: f64,
}

/// What a kind of index takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    pub disk: f64,
    /// Where it is served; for `ranges`, in the browser.
    pub memory: f64,
}

impl Collection {
    /// Rows of a shard.
    pub fn rows(&self) -> f64 {
        (self.photos / self.shards).ceil()
    }

    pub fn sizes(&self, kind: Kind) -> Sizes {
        let (n, d) = (self.photos, self.dim);
        let centroids = (4.0 * d * n / MILVUS_SEGMENT).ceil() * nlist(n);
        let sizes = |vectors: f64, records: f64| Sizes {
            disk: vectors + records,
            memory: vectors + n * record_in_memory(self.record),
        };
        match kind {
            Kind::Flat => sizes(n * (3.0 * d + 8.0), n * self.record),
            Kind::Compact => sizes(self.shards * self.shard(), n * self.record),
            Kind::Ranges => Sizes {
                disk: self.shards * (self.segment() + self.ranges()) + self.codebook_file(),
                memory: self.shards * (self.ranges() + self.codebook_file()),
            },
            Kind::MilvusFlat => self.milvus(4.0 * d * n),
            Kind::MilvusIvfFlat => self.milvus(4.0 * d * (n + centroids)),
            Kind::MilvusIvfSq8 => self.milvus(d * n + 4.0 * d * centroids),
            Kind::MilvusHnsw => self.milvus((4.0 * d + 8.0 * HNSW_M) * n),
        }
    }

    fn lists(&self) -> f64 {
        Lists::count_for(self.rows() as usize) as f64
    }

    fn subspaces(&self) -> f64 {
        4.0 * (self.dim / 8.0).ceil()
    }

    /// Centroids and codebook, which all shards share.
    fn codebook(&self) -> f64 {
        let d = self.dim;
        self.lists() * (d + 8.0) + 4.0 * d + 128.0 * self.subspaces()
    }

    fn codebook_file(&self) -> f64 {
        self.codebook() + CODEBOOK_FRAME
    }

    /// Where a shard's lists begin.
    fn starts(&self) -> f64 {
        4.0 * (self.lists() + 1.0)
    }

    /// A shard without its records.
    fn shard(&self) -> f64 {
        let rows = self.rows();
        let scan = 16.0 * self.subspaces() * (rows / 32.0).ceil();
        let codes = rows * (self.dim + 8.0);
        scan + codes + self.codebook() + self.starts() + SEGMENT_FRAME
    }

    fn segment(&self) -> f64 {
        self.shard() + self.rows() * self.record
    }

    /// The file beside a shard.
    fn ranges(&self) -> f64 {
        let starts = 8.0 * ((self.rows() / 32.0).ceil() + 1.0);
        let blocks = 4.0 * (self.segment() / 4096.0).ceil();
        self.starts() + starts + blocks + RANGES_FRAME
    }

    fn milvus(&self, index: f64) -> Sizes {
        let columns = self.photos * (2.0 * self.record + 90.0);
        let memory = MILVUS_SPARE * (index + 2.0 * MILVUS_SEGMENT) + columns;
        Sizes {
            disk: 4.0 * self.dim * self.photos + columns + memory,
            memory,
        }
    }

    /// The embeddings as Parquet, which a build leaves beside the shards.
    pub fn parquet(&self) -> f64 {
        // Path, digest, size and date with their lengths and levels.
        self.photos * (4.0 * self.dim + 150.0)
    }
}

/// A record, its place among the others, and the entry that finds it by its path.
fn record_in_memory(record: f64) -> f64 {
    record + FOUND_BYTES
}

/// Bytes of the record of a photo that tells everything but its owner's words.
pub fn usual_record() -> photorecall::Result<f64> {
    let photo = Photo {
        path: "2023/07 holidays/IMG_20230704_123000.jpg".into(),
        bytes: 3_512_345,
        modified_ms: 1_688_466_600_000,
        digest: "07".repeat(32),
        width: 4000,
        height: 3000,
        taken: Some("2023-07-04T12:30:00".into()),
        camera: Some("Canon EOS 5D".into()),
        gps: Some([41.902_78, 12.496_37]),
        format: Some(Format::Jpeg),
        phash: "0123456789abcdef".parse::<PerceptualHash>().ok(),
        ..Photo::default()
    };
    let model = ModelRef {
        dim: 1,
        ..ModelRef::default()
    };
    let bytes = Library::seal(&model, vec![photo], &[1.0], None, 1)?;
    let segment = Container::open("a segment", format::Kind::Segment, &bytes)?;
    Ok(segment.section("records")?.len() as f64)
}

/// Lists of a collection of Milvus's, as an export asks for them.
fn nlist(photos: f64) -> f64 {
    (4.0 * photos.sqrt()).floor().clamp(16.0, 65_536.0)
}
