#![doc = include_str!("../README.md")]

pub mod encoder;
mod error;
pub mod format;
pub mod image;
pub mod index;
pub mod kernels;
pub mod library;
#[cfg(all(feature = "cluster", not(target_arch = "wasm32")))]
pub mod milvus;
pub mod store;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use error::{Error, QueryProblem, Result};
pub use kernels::Kernels;
