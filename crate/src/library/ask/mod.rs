//! What a person types, taken apart: words to look for by meaning, and filters.
//!
//! ```text
//! beach - people + 2: dog date:2019..2020-05 (album:holiday or is:favourite) not type:png
//! ├─────┴ parts: 1 × beach, −1 × people, 2 × dog
//! └ filter: date and (album or favourite) and not type
//! ```
//! | written | means |
//! | --- | --- |
//! | `a dog on the beach` | words, as the model reads them |
//! | `"black - white"` | the same, with nothing in it taken for a sign or a filter |
//! | `beach - people`, `beach -people` | away from what follows: all of it, or the one word |
//! | `2: dog`, `beach + 0.5: dog` | a weight for what follows |
//! | `date:2019` `date:2019-05..2020` `date:..2018` | taken then (EXIF, else the file's date) |
//! | `album:"Summer 2019"` `tag:dog` `camera:canon` | of that album, with that tag, a camera with that in its name |
//! | `folder:trips/rome` `path:*beach*.jpg` | in such a folder, at any depth; with that in its path |
//! | `near:41.9,12.5,20` `box:41,12,42,13` | within so many km; between south, west, north, east |
//! | `type:png` `size:>2mb` `width:>=1920` `height:..1080` | of the file and the picture |
//! | `is:favourite` `is:portrait` `has:place` | and `landscape`, `square`; `date`, `camera`, `album`, `tag` |
//!
//! `and`, `or`, `not` (or `-`) and parentheses join filters; `and` binds closer than `or`, and filters
//! side by side are joined by it. Beside anything but a filter they are plain words.
//!
//! ```
//! use photorecall::library::ask::Ask;
//!
//! let ask = Ask::parse("beach - people date:2019")?;
//! assert_eq!((ask.parts[1].weight, ask.parts[1].words.as_str()), (-1.0, "people"));
//! assert!(ask.filter.is_some());
//! # Ok::<(), photorecall::Error>(())
//! ```

mod date;
mod filter;
mod parse;
mod suggest;
mod value;

pub use date::{DateRange, Day};
#[cfg(all(feature = "cluster", not(target_arch = "wasm32")))]
pub(crate) use filter::distance_km;
pub use filter::{Bounds, Fact, Filter, Shape};
pub use suggest::{Suggestion, suggest};

use crate::error::Result;

/// A query in text, taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// What to look for by meaning; their vectors are added by weight.
    pub parts: Vec<Part>,
    /// Which photos may be found.
    pub filter: Option<Filter>,
}

/// Words with one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Negative for what is not wanted.
    pub weight: f32,
    /// As the text tower takes them.
    pub words: String,
}

impl Ask {
    /// Takes a query apart.
    ///
    /// # Errors
    /// [`Error::Query`](crate::Error::Query) with the place of what cannot be understood.
    pub fn parse(text: &str) -> Result<Self> {
        parse::parse(text)
    }

    /// The words that are wanted, for names to be looked up by.
    pub fn names(&self) -> String {
        let wanted = self.parts.iter().filter(|part| part.weight > 0.0);
        let words: Vec<&str> = wanted.map(|part| part.words.as_str()).collect();
        words.join(" ")
    }
}
