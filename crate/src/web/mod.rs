//! The browser's face: convert, call, convert. What JavaScript sees is in `npm/`, which puts these
//! classes into workers.
//!
//! ```text
//! page ─ npm/src/library.ts ─┬─ worker: Index (library + IndexedDB), Encoder of words
//!                            └─ workers: Encoder of photos, one each
//! ```
//! Without the feature `photos` there are `VectorIndex` and `BinaryIndex` alone, which `npm/src/vectors.ts`
//! loads; with it no `BinaryIndex`, which would only make the page heavier.
//!
//! An error becomes a JavaScript `Error` with a `code`. A panic is our own bug: it is told on the
//! console and ends the module; the npm side then starts the worker anew.

mod answer;
#[cfg(not(feature = "photos"))]
mod binary;
mod collection;
#[cfg(feature = "photos")]
mod compaction;
#[cfg(feature = "photos")]
mod convert;
#[cfg(feature = "photos")]
mod encoder;
#[cfg(feature = "photos")]
mod index;
#[cfg(feature = "photos")]
mod listing;
mod options;
#[cfg(feature = "photos")]
mod query;
#[cfg(feature = "photos")]
mod remote;
#[cfg(feature = "photos")]
mod self_test;
#[cfg(feature = "photos")]
mod transfer;

use wasm_bindgen::prelude::*;

/// Tells a panic's message and place on the console; wasm itself would only say "unreachable".
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        web_sys::console::error_1(&JsValue::from(panic.to_string()));
    }));
}

#[cfg(feature = "photos")]
/// The SHA-256 of bytes, in lower-case hex: what `Photo.digest` holds.
#[wasm_bindgen]
pub fn digest(bytes: &[u8]) -> String {
    crate::image::digest(bytes)
}
