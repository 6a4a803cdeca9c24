//! A library on a host that is read in ranges, as a JavaScript class. What it needs is fetched outside.

use std::cell::RefCell;

use js_sys::{Float32Array, Map, Reflect, Uint8Array};
use serde::Serialize;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, from_js, thrown, thrown_with, to_js};
use super::convert::{JsPage, JsPhoto, JsStats};
use super::index::words_of;
use super::query::JsQuery;
use crate::error::Error;
use crate::library::{Read, Remote, Span};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** A file that is read whole when a library is opened in parts. */
export interface RemoteFile {
  name: string;
  bytes: number;
  crc32: number;
}
/** Bytes of a segment that a question needs: whole blocks of 4,096, from `start` to before `end`. */
export interface Span {
  segment: string;
  start: number;
  end: number;
}
/** An answer, or what is to be given before the question is put again. */
export type Read<T> = { ready: T } | { needs: Span[] };
"#;

/// A library of which only some is here, to search only.
#[wasm_bindgen]
#[derive(Debug)]
pub struct RemoteIndex {
    remote: RefCell<Remote>,
}

#[derive(Serialize)]
struct JsFile {
    name: String,
    bytes: u64,
    crc32: u32,
}

#[derive(Serialize)]
struct JsSpan<'a> {
    segment: &'a str,
    start: u64,
    end: u64,
}

/// `{ ready }` or `{ needs }`.
fn read<T>(read: Read<T>, ready: impl FnOnce(T) -> Answer<JsValue>) -> Answer<JsValue> {
    let (key, value) = match read {
        Read::Ready(value) => ("ready", ready(value)?),
        Read::Needs(spans) => {
            let span = |span: &Span| -> Answer<JsValue> {
                let Span {
                    segment,
                    start,
                    end,
                } = span;
                to_js(&JsSpan {
                    segment,
                    start: *start,
                    end: *end,
                })
            };
            let spans: js_sys::Array = spans
                .iter()
                .map(span)
                .collect::<Answer<Vec<_>>>()?
                .into_iter()
                .collect();
            ("needs", spans.into())
        }
    };
    let object = js_sys::Object::new();
    // A plain object takes any property.
    let _ = Reflect::set(&object, &JsValue::from(key), &value);
    Ok(object.into())
}

#[wasm_bindgen]
impl RemoteIndex {
    /// The files that `open` needs.
    #[wasm_bindgen(unchecked_return_type = "RemoteFile[]")]
    pub fn files(manifest: &[u8]) -> Answer<JsValue> {
        let file = |(name, beside): (String, crate::library::Beside)| JsFile {
            name,
            bytes: beside.bytes,
            crc32: beside.crc32,
        };
        let files = Remote::files(manifest).map_err(thrown)?;
        to_js(&files.into_iter().map(file).collect::<Vec<_>>())
    }

    /// Bytes of all segments; undefined when none of them can be read in ranges.
    #[wasm_bindgen(js_name = wholeBytes)]
    pub fn whole_bytes(manifest: &[u8]) -> Answer<Option<f64>> {
        let bytes = Remote::whole_bytes(manifest).map_err(thrown)?;
        Ok(bytes.map(|bytes| bytes as f64))
    }

    /// Opens a library by its manifest and the bytes of `files`.
    pub fn open(
        manifest: &[u8],
        #[wasm_bindgen(unchecked_param_type = "Map<string, Uint8Array>")] files: Map,
    ) -> Answer<RemoteIndex> {
        let read = |name: &str| {
            let bytes = files.get(&JsValue::from(name)).dyn_into::<Uint8Array>();
            let missing = |_| Error::Missing {
                name: name.to_owned(),
            };
            bytes.map(|bytes| bytes.to_vec()).map_err(missing)
        };
        let remote = RefCell::new(Remote::open(manifest, read).map_err(thrown)?);
        Ok(Self { remote })
    }

    /// Throws unless `model` is the library's.
    #[wasm_bindgen(js_name = requireModel)]
    pub fn require_model(
        &self,
        #[wasm_bindgen(unchecked_param_type = "ModelRef")] model: JsValue,
    ) -> Answer<()> {
        let model = from_js(model)?;
        self.remote.borrow().require_model(&model).map_err(thrown)
    }

    /// As `Index.setVocabulary`.
    #[wasm_bindgen(js_name = setVocabulary)]
    pub fn set_vocabulary(&self, vectors: &[f32]) -> Answer<()> {
        let mut remote = self.remote.borrow_mut();
        let words = words_of(vectors, remote.model().dim);
        remote.set_vocabulary(words).map_err(thrown)
    }

    /// Figures of the library.
    #[wasm_bindgen(unchecked_return_type = "Stats")]
    pub fn stats(&self) -> Answer<JsValue> {
        to_js(&JsStats::new(self.remote.borrow().stats(), None))
    }

    /// A page of the photos nearest to the query, best first. Throws `not_by_ranges` for what cannot be
    /// answered from parts: filters, an exact search, photos by date.
    #[wasm_bindgen(unchecked_return_type = "Read<FoundPage>")]
    pub fn page(
        &self,
        #[wasm_bindgen(unchecked_param_type = "IndexQuery")] query: JsValue,
    ) -> Answer<JsValue> {
        let query = from_js::<JsQuery>(query)?.into_query().map_err(thrown)?;
        let page = self.remote.borrow_mut().page(&query).map_err(thrown)?;
        read(page, |page| to_js(&JsPage::new(&page, true)))
    }

    /// The vector of a photo that was found before.
    #[wasm_bindgen(unchecked_return_type = "Read<Float32Array>")]
    pub fn embedding(&self, path: &str) -> Answer<JsValue> {
        let remote = self.remote.borrow();
        if remote.photo(path).is_none() {
            let what = format!("{path} has not been found here yet: search for it first");
            return Err(thrown_with("not_by_ranges", &what));
        }
        let vector = remote.embedding(path).map_err(thrown)?;
        read(vector, |vector| {
            Ok(Float32Array::from(vector.as_slice()).into())
        })
    }

    /// A photo that was found before.
    #[wasm_bindgen(unchecked_return_type = "Photo | undefined")]
    pub fn photo(&self, path: &str) -> Answer<JsValue> {
        let remote = self.remote.borrow();
        let photo = remote.photo(path);
        photo.map_or(Ok(JsValue::UNDEFINED), |photo| to_js(&JsPhoto::from(photo)))
    }

    /// Takes bytes that were needed, from `start` on. Throws `damaged` for what is not the segment's.
    pub fn give(&self, segment: &str, start: f64, bytes: &[u8]) -> Answer<()> {
        let mut remote = self.remote.borrow_mut();
        remote.give(segment, start as u64, bytes).map_err(thrown)
    }
}
