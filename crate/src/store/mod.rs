//! Where a library's bytes are kept. A store only moves a [`Commit`](crate::library::Commit): files
//! natively, IndexedDB in the browser.

#[cfg(not(target_arch = "wasm32"))]
pub mod files;
#[cfg(target_arch = "wasm32")]
pub mod idb;
