//! Compaction in steps: a worker of its own merges a copy of what is stored, the index adopts what it made.

use js_sys::{Array, Object, Reflect, Uint8Array, Uint32Array};
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown};
use super::index::Index;
use crate::library::Merged;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** A step of compaction: a new segment in the place of others. */
export interface Merged {
  /** The names of the segments whose rows are in it. */
  sources: string[];
  segment: Uint8Array;
  /** Where each of its rows was: which of the sources, and which row of that. */
  origins: Uint32Array;
}
"#;

#[wasm_bindgen]
impl Index {
    /// Whether `merge` has something to do.
    #[wasm_bindgen(js_name = wantsCompaction)]
    pub fn wants_compaction(&self) -> bool {
        self.library.borrow().wants_compaction()
    }

    /// Does the next step of compaction and changes nothing; with `all`, whatever can be merged is. Undefined
    /// when nothing is left to do.
    #[wasm_bindgen(unchecked_return_type = "Merged | undefined")]
    pub fn merge(&self, all: bool) -> Answer<JsValue> {
        let library = self.library.borrow();
        let merged = if all {
            library.merge_all()
        } else {
            library.merge()
        };
        let Some(merged) = merged else {
            return Ok(JsValue::UNDEFINED);
        };
        let sources: Array = merged.sources.iter().map(JsValue::from).collect();
        let object = Object::new();
        for (name, value) in [
            ("sources", sources.into()),
            (
                "segment",
                Uint8Array::from(merged.segment.as_slice()).into(),
            ),
            (
                "origins",
                Uint32Array::from(merged.origins.as_slice()).into(),
            ),
        ] {
            let _: bool = Reflect::set(&object, &name.into(), &value)?;
        }
        Ok(object.into())
    }

    /// Puts a new segment in the place of its sources; false, and nothing changes, when one of them is not
    /// there any more as it was. No commit may be on its way. Commit afterwards.
    pub fn adopt(&self, sources: Vec<String>, segment: Vec<u8>, origins: Vec<u32>) -> Answer<bool> {
        let merged = Merged {
            sources,
            segment,
            origins,
        };
        self.library.borrow_mut().adopt(&merged).map_err(thrown)
    }
}
