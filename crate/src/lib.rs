#![cfg_attr(feature = "photos", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "photos"), doc = "The index of Photorecall alone.")]

mod checksum;
#[cfg(feature = "photos")]
pub mod encoder;
mod error;
pub mod format;
#[cfg(feature = "photos")]
pub mod image;
pub mod index;
pub mod kernels;
#[cfg(feature = "photos")]
pub mod library;
#[cfg(all(feature = "cluster", not(target_arch = "wasm32")))]
pub mod milvus;
#[cfg(feature = "photos")]
pub mod store;
#[cfg(target_arch = "wasm32")]
pub mod web;

pub use error::{Error, QueryProblem, Result};
pub use kernels::Kernels;
