//! Vectors and their neighbours: slices in, row ids and scores out.
//!
//! ```text
//! exact     f32 rows, every product in f64: the reference for recall
//! two_tier  int8 codes scanned whole ─▶ the best re-ranked by a finer f16 tier
//! bitset    which rows take part
//! ```
//! Knows neither photos nor files.

mod bitset;
pub mod exact;
mod top;
mod two_tier;

pub use bitset::Bitset;
pub use top::Hit;
pub use two_tier::{Rows, TwoTier};
