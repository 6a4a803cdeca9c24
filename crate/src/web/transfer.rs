//! A library's bytes as they are stored, out of this browser and into it: the files that the native side has.

use std::collections::HashMap;

use js_sys::{Map, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown, thrown_with};
use super::index::Index;
use crate::error::Error;
use crate::library::{Commit, Library};
use crate::store::idb::{IdbStore, Thumbnail};

#[wasm_bindgen]
impl Index {
    /// Opens the library called `name` in IndexedDB whichever model filled it, to list and to copy; where
    /// there is none, the answer is undefined.
    #[wasm_bindgen(js_name = openStored, unchecked_return_type = "Index | undefined")]
    pub async fn open_stored(name: String) -> Answer<JsValue> {
        let store = IdbStore::open(&name).await.map_err(thrown)?;
        let Some(opened) = store.load().await.map_err(thrown)? else {
            store.close();
            return Ok(JsValue::UNDEFINED);
        };
        Ok(Self::new(opened, Some(store)).into())
    }

    /// The manifest as the last commit stored it.
    #[wasm_bindgen(js_name = storedManifest)]
    pub async fn stored_manifest(&self) -> Answer<Option<Vec<u8>>> {
        self.stored()?.manifest().await.map_err(thrown)
    }

    /// A segment as it is stored.
    #[wasm_bindgen(js_name = storedSegment)]
    pub async fn stored_segment(&self, name: String) -> Answer<Option<Vec<u8>>> {
        self.stored()?.segment(&name).await.map_err(thrown)
    }

    fn stored(&self) -> Answer<&IdbStore> {
        let none = || {
            thrown_with(
                "read_only",
                "a library opened from bytes is not stored here",
            )
        };
        self.store.as_ref().ok_or_else(none)
    }

    /// Stores a library's files under a `name` that no library has. Every byte is checked before; one
    /// segment that is damaged or missing is reason to refuse all.
    #[wasm_bindgen(js_name = importFiles)]
    pub async fn import_files(
        name: String,
        manifest: Vec<u8>,
        #[wasm_bindgen(unchecked_param_type = "Map<string, Uint8Array>")] segments: Map,
    ) -> Answer<()> {
        let mut put = HashMap::new();
        for name in Library::segment_names(&manifest).map_err(thrown)? {
            let bytes = segments.get(&JsValue::from(&name)).dyn_into::<Uint8Array>();
            let missing = |_| thrown(Error::Missing { name: name.clone() });
            put.insert(name.clone(), bytes.map_err(missing)?.to_vec());
        }
        let read = |name: &str| Ok(put[name].clone());
        let opened = Library::open(&manifest, read).map_err(thrown)?;
        if let Some(damage) = opened.damaged.first() {
            let what = format!("{}: {}", damage.segment, damage.reason);
            return Err(thrown_with("damaged", &what));
        }
        let commit = Commit {
            generation: opened.library.stats().generation,
            put: put.into_iter().collect(),
            manifest,
            drop: Vec::new(),
        };
        let store = IdbStore::open(&name).await.map_err(thrown)?;
        if store.manifest().await.map_err(thrown)?.is_some() {
            return Err(thrown_with(
                "bad_argument",
                "there is a library of that name",
            ));
        }
        let stored = store.store(Some(&commit), &[]).await;
        store.close();
        stored.map_err(thrown)
    }

    /// Gives a photo its small JPEG; commit afterwards.
    #[wasm_bindgen(js_name = putThumbnail)]
    pub fn put_thumbnail(&self, path: String, jpeg: Vec<u8>) {
        let change = Thumbnail::Put(path, jpeg);
        self.thumbnails.borrow_mut().push(change);
    }
}
