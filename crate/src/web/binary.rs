//! Vectors of bits under ids, as one JavaScript class.

use js_sys::Array;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown};
use super::options::{Options, limit_of, metric_of, name_of, to_js};
use crate::format::{read_binary, write_binary};
use crate::index::{BinaryCollection, BinaryMetric};
use crate::kernels::Kernels;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What bits are compared by; see `BinaryOptions`. */
export type BinaryMetric = 'hamming' | 'jaccard' | 'tanimoto' | 'substructure' | 'superstructure';
/** How a `BinaryIndex` is made. */
export interface BinaryOptions {
  /**
   * What vectors are compared by: `hamming` if left out, how many bits differ; `jaccard`, 1 − |q ∩ x| / |q ∪ x|;
   * `tanimoto`, −log₂ of the same quotient; `substructure` finds those that the query is part of, `superstructure`
   * those that are part of the query, and both find nothing else.
   */
  metric?: BinaryMetric;
}
"#;

/// Vectors of as many bits, eight a byte, each under the number that it was given, and the nearest to a query.
/// Scores are distances, the smallest first.
#[wasm_bindgen]
#[derive(Debug)]
pub struct BinaryIndex {
    collection: BinaryCollection,
}

#[wasm_bindgen]
impl BinaryIndex {
    /// An empty index of vectors with `dim` bits, a multiple of eight: throws `dimension` where it is none, and
    /// `bad_argument` for a metric that is none.
    #[wasm_bindgen(constructor)]
    pub fn new(
        dim: usize,
        #[wasm_bindgen(unchecked_optional_param_type = "BinaryOptions")] options: JsValue,
    ) -> Answer<BinaryIndex> {
        let metric = metric_of(&options, &BinaryMetric::NAMES)?;
        let collection = BinaryCollection::new(dim, metric).map_err(thrown)?;
        Ok(Self { collection })
    }

    /// What `save` gave. Throws `damaged` or `newer_version` where that is not so.
    pub fn load(bytes: &[u8]) -> Answer<BinaryIndex> {
        let collection = read_binary("the index", bytes).map_err(thrown)?;
        Ok(Self { collection })
    }

    /// The index as bytes, checksummed: for IndexedDB, a file, a server.
    pub fn save(&self) -> Vec<u8> {
        write_binary(&self.collection)
    }

    /// Bits of a vector.
    #[wasm_bindgen(getter)]
    pub fn dim(&self) -> usize {
        self.collection.dim()
    }

    /// What they are compared by.
    #[wasm_bindgen(getter, unchecked_return_type = "BinaryMetric")]
    pub fn metric(&self) -> String {
        name_of(self.collection.metric(), &BinaryMetric::NAMES)
    }

    /// How many vectors there are.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> usize {
        self.collection.len()
    }

    /// Bytes of memory that vectors, lists and ids take.
    #[wasm_bindgen(getter)]
    pub fn bytes(&self) -> usize {
        self.collection.bytes()
    }

    /// Adds vectors that lie one after the other, eight bits a byte, in the same order for all; returns the id of
    /// the first one, the others follow. All are added, or none. Throws `dimension` when there is no whole
    /// number of them.
    pub fn add(&mut self, vectors: &[u8]) -> Answer<u32> {
        let first = self.collection.next();
        self.collection.add(vectors).map_err(thrown)?;
        Ok(first)
    }

    /// Removes a vector; returns whether it was there.
    pub fn remove(&mut self, id: u32) -> bool {
        self.collection.remove(id)
    }

    /// The vector of an id.
    pub fn vector(&self, id: u32) -> Option<Vec<u8>> {
        self.collection.vector(id)
    }

    /// The nearest vectors, of equally near ones those with the lower ids; for `substructure` and
    /// `superstructure` those that match, which are all exact. Throws `dimension` for a query of another length.
    #[wasm_bindgen(unchecked_return_type = "Neighbours")]
    pub fn search(
        &self,
        query: &[u8],
        #[wasm_bindgen(unchecked_optional_param_type = "VectorSearch")] options: JsValue,
    ) -> Answer<JsValue> {
        let options = Options::read(&options, self.collection.next())?;
        let (k, only, recall) = (options.k, options.only.as_ref(), options.recall);
        let hits = self
            .collection
            .search(query, k, only, recall, Kernels::best());
        Ok(to_js(&hits.map_err(thrown)?))
    }

    /// The nearest vectors to each of some queries that lie one after the other, in their order, as
    /// `search` finds them. Throws as it does; then none is answered.
    #[wasm_bindgen(js_name = searchBatch, unchecked_return_type = "Neighbours[]")]
    pub fn search_batch(
        &self,
        queries: &[u8],
        #[wasm_bindgen(unchecked_optional_param_type = "VectorSearch")] options: JsValue,
    ) -> Answer<Array> {
        let options = Options::read(&options, self.collection.next())?;
        let (k, only, recall) = (options.k, options.only.as_ref(), options.recall);
        let answers = self
            .collection
            .search_batch(queries, k, only, recall, Kernels::best());
        let answers = answers.map_err(thrown)?;
        Ok(answers.iter().map(|hits| to_js(hits)).collect())
    }

    /// All vectors whose distance to `query` is `limit` or less, best first; none is left out. Throws
    /// `dimension` for a query of another length, `bad_argument` when `limit` is not a number.
    #[wasm_bindgen(unchecked_return_type = "Neighbours")]
    pub fn range(
        &self,
        query: &[u8],
        limit: f32,
        #[wasm_bindgen(unchecked_optional_param_type = "VectorRange")] options: JsValue,
    ) -> Answer<JsValue> {
        let limit = limit_of(limit)?;
        let options = Options::read(&options, self.collection.next())?;
        let only = options.only.as_ref();
        let hits = self.collection.range(query, limit, only, Kernels::best());
        Ok(to_js(&hits.map_err(thrown)?))
    }

    /// Puts vectors that are alike in lists, of which a search looks into some; ids stay. What is added afterwards
    /// is searched beside them until this is called again. Call it in a worker.
    pub fn compact(&mut self) {
        self.collection.compact();
    }
}
