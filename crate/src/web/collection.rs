//! Vectors under ids, as one JavaScript class: the index alone, without photos.

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown};
use super::options::{Options, limit_of, metric_of, name_of, to_js};
use crate::format::{read_collection, write_collection};
use crate::index::{Collection, Metric};
use crate::kernels::Kernels;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** How a `VectorIndex` is made. */
export interface VectorOptions {
  /**
   * What vectors are compared by: `cosine` if left out; `ip`, the inner product; `l2`, the squared Euclidean
   * distance.
   */
  metric?: 'cosine' | 'ip' | 'l2';
}
/** What `VectorIndex.search` looks for. */
export interface VectorSearch {
  /** How many; 10 if left out. */
  k?: number;
  /** How good the answer should be, against how fast: `high` if left out. */
  recall?: 'fast' | 'high' | 'exact';
  /** Find these ids only. */
  only?: Uint32Array | number[];
}
/** What `VectorIndex.range` looks for. */
export interface VectorRange {
  /** Find these ids only. */
  only?: Uint32Array | number[];
}
/**
 * What was found, best first: `scores[i]` is what the metric says of the vector `ids[i]`: its cosine or inner
 * product, the largest first, or its squared distance, the smallest first.
 */
export interface Neighbours {
  ids: Uint32Array;
  scores: Float32Array;
}
"#;

/// Vectors of one dimension, each under the number that it was given, and the nearest to a query by a
/// metric. With the cosine they are kept at length one.
#[wasm_bindgen]
#[derive(Debug)]
pub struct VectorIndex {
    collection: Collection,
}

#[wasm_bindgen]
impl VectorIndex {
    /// An empty index of vectors with `dim` values. Throws `dimension` for 0, `bad_argument` for a metric that
    /// is none.
    #[wasm_bindgen(constructor)]
    pub fn new(
        dim: usize,
        #[wasm_bindgen(unchecked_optional_param_type = "VectorOptions")] options: JsValue,
    ) -> Answer<VectorIndex> {
        let metric = metric_of(&options, &Metric::NAMES)?;
        let collection = Collection::with_metric(dim, metric).map_err(thrown)?;
        Ok(Self { collection })
    }

    /// What `save` gave. Throws `damaged` or `newer_version` where that is not so.
    pub fn load(bytes: &[u8]) -> Answer<VectorIndex> {
        let collection = read_collection("the index", bytes).map_err(thrown)?;
        Ok(Self { collection })
    }

    /// The index as bytes, checksummed: for IndexedDB, a file, a server.
    pub fn save(&self) -> Vec<u8> {
        write_collection(&self.collection)
    }

    /// Values of a vector.
    #[wasm_bindgen(getter)]
    pub fn dim(&self) -> usize {
        self.collection.dim()
    }

    /// What they are compared by: `cosine`, `ip` or `l2`.
    #[wasm_bindgen(getter, unchecked_return_type = "'cosine' | 'ip' | 'l2'")]
    pub fn metric(&self) -> String {
        name_of(self.collection.metric(), &Metric::NAMES)
    }

    /// How many vectors there are.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> usize {
        self.collection.len()
    }

    /// Adds vectors that lie one after the other; returns the id of the first one, the others follow. All
    /// are added, or none. Throws `dimension` when there is no whole number of them, `no_direction` for a
    /// vector that is not finite or, with the cosine, zero, `bad_argument` for one longer than 10¹⁸.
    pub fn add(&mut self, vectors: &[f32]) -> Answer<u32> {
        let first = self.collection.next();
        self.collection.add(vectors).map_err(thrown)?;
        Ok(first)
    }

    /// Removes a vector; returns whether it was there.
    pub fn remove(&mut self, id: u32) -> bool {
        self.collection.remove(id)
    }

    /// The vector of an id, as exactly as it is kept: to 11 bits a value, 8 after `compact`.
    pub fn vector(&self, id: u32) -> Option<Vec<f32>> {
        self.collection.vector(id)
    }

    /// The nearest vectors. Throws `dimension` or `no_direction` for a query that cannot be compared.
    #[wasm_bindgen(unchecked_return_type = "Neighbours")]
    pub fn search(
        &self,
        query: &[f32],
        #[wasm_bindgen(unchecked_optional_param_type = "VectorSearch")] options: JsValue,
    ) -> Answer<JsValue> {
        let options = Options::read(&options, self.collection.next())?;
        let hits = self
            .collection
            .search(
                query,
                options.k,
                options.only.as_ref(),
                options.recall,
                Kernels::best(),
            )
            .map_err(thrown)?;
        Ok(to_js(&hits))
    }

    /// The nearest vectors to each of some queries that lie one after the other, in their order, as
    /// `search` finds them. Throws as it does; then none is answered.
    #[wasm_bindgen(js_name = searchBatch, unchecked_return_type = "Neighbours[]")]
    pub fn search_batch(
        &self,
        queries: &[f32],
        #[wasm_bindgen(unchecked_optional_param_type = "VectorSearch")] options: JsValue,
    ) -> Answer<Array> {
        let options = Options::read(&options, self.collection.next())?;
        let (k, recall) = (options.k, options.recall);
        let answers = self
            .collection
            .search_batch(queries, k, options.only.as_ref(), recall, Kernels::best())
            .map_err(thrown)?;
        Ok(answers.iter().map(|hits| to_js(hits)).collect())
    }

    /// All vectors whose score is `limit` or better, best first: a cosine or an inner product of `limit` or
    /// more, a squared distance of `limit` or less. Each has the score that `search` gives it; none is left
    /// out. Throws `dimension` or `no_direction` for a query that cannot be compared, `bad_argument` when
    /// `limit` is not a number.
    #[wasm_bindgen(unchecked_return_type = "Neighbours")]
    pub fn range(
        &self,
        query: &[f32],
        limit: f32,
        #[wasm_bindgen(unchecked_optional_param_type = "VectorRange")] options: JsValue,
    ) -> Answer<JsValue> {
        let limit = limit_of(limit)?;
        let options = Options::read(&options, self.collection.next())?;
        let hits = self
            .collection
            .range(query, limit, options.only.as_ref(), Kernels::best());
        Ok(to_js(&hits.map_err(thrown)?))
    }

    /// Builds the compact index over all vectors, for faster answers from fewer bytes; ids stay. What is
    /// added afterwards is searched beside it until this is called again. It takes a while: about a
    /// millisecond a vector of 512 values, so call it in a worker.
    pub fn compact(&mut self) {
        self.collection.compact();
    }
}
