//! Vectors under ids, as one JavaScript class: the index alone, without photos.

use js_sys::{Array, Float32Array, Object, Reflect, Uint32Array};
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown, thrown_with};
use crate::format::{read_collection, write_collection};
use crate::index::{Bitset, Collection, Hit, Metric, Recall};
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

struct Options {
    k: usize,
    recall: Recall,
    only: Option<Vec<u32>>,
}

impl Options {
    /// Read by hand: serde's reader of JavaScript values would be a tenth of this module.
    fn read(options: &JsValue) -> Answer<Self> {
        let get = |name: &str| property(options, name);
        let (k, recall, only) = (get("k"), get("recall"), get("only"));
        let bad = |message| thrown_with("bad_argument", message);
        Ok(Self {
            k: match k.as_f64() {
                Some(k) if k >= 0.0 && k.fract() == 0.0 => k as usize,
                None if k.is_undefined() => 10,
                _ => return Err(bad("k is not a number of vectors")),
            },
            recall: match recall.as_string().as_deref() {
                Some("fast") => Recall::Fast,
                Some("high") => Recall::High,
                Some("exact") => Recall::Exact,
                None if recall.is_undefined() => Recall::High,
                _ => return Err(bad("recall is `fast`, `high` or `exact`")),
            },
            only: match only {
                only if only.is_undefined() => None,
                only if only.is_object() => Some(Uint32Array::new(&only).to_vec()),
                _ => return Err(bad("only is not a list of ids")),
            },
        })
    }
}

/// The metric that an index is to be made with.
fn metric_of(options: &JsValue) -> Answer<Metric> {
    let metric = property(options, "metric");
    match metric.as_string().as_deref() {
        Some("cosine") => Ok(Metric::Cosine),
        Some("ip") => Ok(Metric::Ip),
        Some("l2") => Ok(Metric::L2),
        None if metric.is_undefined() => Ok(Metric::Cosine),
        _ => Err(thrown_with(
            "bad_argument",
            "metric is `cosine`, `ip` or `l2`",
        )),
    }
}

/// A property of an object that may be left out.
fn property(options: &JsValue, name: &str) -> JsValue {
    match options {
        options if options.is_undefined() => JsValue::UNDEFINED,
        // What is no object has no properties.
        options => Reflect::get(options, &name.into()).unwrap_or(JsValue::UNDEFINED),
    }
}

fn to_js(hits: &[Hit]) -> JsValue {
    let ids: Vec<u32> = hits.iter().map(|hit| hit.id).collect();
    let scores: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
    let found = Object::new();
    // A plain object takes any property.
    let _ = Reflect::set(&found, &"ids".into(), &Uint32Array::from(&ids[..]));
    let _ = Reflect::set(&found, &"scores".into(), &Float32Array::from(&scores[..]));
    found.into()
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
        let metric = metric_of(&options)?;
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
        let name = match self.collection.metric() {
            Metric::Cosine => "cosine",
            Metric::Ip => "ip",
            Metric::L2 => "l2",
        };
        name.to_owned()
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
        let options = Options::read(&options)?;
        let only = options.only.map(|ids| self.set_of(&ids)).transpose()?;
        let hits = self
            .collection
            .search(
                query,
                options.k,
                only.as_ref(),
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
        let options = Options::read(&options)?;
        let only = options.only.map(|ids| self.set_of(&ids)).transpose()?;
        let (k, recall) = (options.k, options.recall);
        let answers = self
            .collection
            .search_batch(queries, k, only.as_ref(), recall, Kernels::best())
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
        if limit.is_nan() {
            return Err(thrown_with("bad_argument", "limit is not a number"));
        }
        let options = Options::read(&options)?;
        let only = options.only.map(|ids| self.set_of(&ids)).transpose()?;
        let hits = self
            .collection
            .range(query, limit, only.as_ref(), Kernels::best());
        Ok(to_js(&hits.map_err(thrown)?))
    }

    fn set_of(&self, ids: &[u32]) -> Answer<Bitset> {
        let mut set = Bitset::new(self.collection.next() as usize);
        for id in ids {
            if *id >= self.collection.next() {
                let message = format!("no vector ever had the id {id}");
                return Err(thrown_with("bad_argument", &message));
            }
            set.insert(*id as usize);
        }
        Ok(set)
    }

    /// Builds the compact index over all vectors, for faster answers from fewer bytes; ids stay. What is
    /// added afterwards is searched beside it until this is called again. It takes a while: about a
    /// millisecond a vector of 512 values, so call it in a worker.
    pub fn compact(&mut self) {
        self.collection.compact();
    }
}
