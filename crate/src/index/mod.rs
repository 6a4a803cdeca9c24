//! Vectors and their neighbours: slices in, row ids and scores out.
//!
//! ```text
//! exact     f32 rows, every product in f64: the reference for recall
//! vectors   a segment's rows, in one of two forms
//!   two_tier  grows: int8 codes scanned whole ─▶ the best re-ranked by a finer f16 tier
//!   compact   fixed: ivf (lists, found by their sketch) over pq (4 bits) or a graph, then lvq (8 bits, decide), as
//!             the planner says
//! batch     many queries of a compact form at a time
//! across    codes that leave nothing in their row's direction
//! codebook  what the compact forms of shards share
//! coarse    a compact form whose rows lie elsewhere and are read as they are needed
//! range     all rows that score enough
//! quantised  rows under a structure and a code of one's choice
//!   codes     halves, lvq (8 bits), pq8, pq (4 bits), rabitq (1, 2, 4 bits)
//! bitset    which rows take part
//! collection  vectors under ids: what is used without photos
//!   part      rows in a space of their own
//!   metric    cosine, inner product, L2, and how the compact form is asked for each
//! binary    vectors of bits under ids, flat or in lists
//! ```
//! Knows neither photos nor files.

mod across;
mod batch;
mod binary;
mod binary_lists;
mod binary_part;
mod binary_rows;
mod bitset;
mod calibrate;
mod coarse;
mod codebook;
mod codes;
mod collection;
mod compact;
mod decide;
pub mod exact;
mod graph;
mod graph_build;
mod halves;
mod ivf;
mod k_majority;
mod kmeans;
mod lvq;
mod metric;
mod normalise;
mod parallel;
mod part;
mod planner;
mod pq;
mod pq8;
mod quantised;
mod rabitq;
mod random;
mod range;
mod reservoir;
mod rotation;
mod scan;
mod sketch;
mod top;
mod trace;
mod two_tier;
mod vectors;

pub use binary::{BinaryCollection, BinaryMetric};
pub use binary_lists::{BinaryLists, BinaryPlan};
pub use binary_part::BinaryPart;
pub use binary_rows::BinaryRows;
pub use bitset::Bitset;
pub use coarse::{Coarse, Probe};
pub use codebook::Codebook;
pub use codes::{Code, Codes};
pub use collection::Collection;
pub use compact::{Compact, Parts, Search};
pub use decide::Base;
pub use graph::Graph;
pub use halves::Halves;
pub use ivf::Lists;
pub use lvq::Lvq;
pub use metric::{Metric, Space};
pub use normalise::normalise;
pub use part::Part;
pub use planner::{Effort, Efforts, Explanation, Leaning, Plan, Recall};
pub use pq::Pq;
pub use pq8::Pq8;
pub(crate) use quantised::one_list;
pub use quantised::{Depth, Quantised, Recipe, Structure};
pub use rabitq::{CodeBits, RaBitQ};
pub use top::Hit;
pub use two_tier::{Rows, TwoTier};
pub use vectors::Vectors;

#[cfg(test)]
mod tests;
