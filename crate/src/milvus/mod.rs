//! A library in a collection of a [Milvus](https://milvus.io) server, for one that outgrew a machine.
//!
//! ```text
//! library ─ segment by segment ─▶ export: what is new, changed, gone ─▶ collection
//! query ─▶ filter as an expression ─▶ search: nearest by vector, photos by words in names ─▶ page
//! ```
//! A row is a photo: its vector, the facts that filters ask for in columns of their own, and all that is
//! known of it as JSON. A note in the collection's description and properties names the model, so that
//! the vectors of two models never mix.

mod client;
mod export;
mod expression;
mod names;
mod note;
mod proto;
mod row;
mod search;

pub use client::Client;
pub use export::{Export, Exported};
pub use note::{IndexKind, Metric, Note};

/// Rows that a search or a query gives at most; Milvus has no more in one answer.
const MOST_ROWS: usize = 16_384;
