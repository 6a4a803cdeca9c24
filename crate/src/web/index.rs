//! A library and its store, as one JavaScript class.

use std::cell::RefCell;
use std::collections::HashMap;

use js_sys::{Map, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, from_js, thrown, thrown_with, to_js};
use super::convert::{JsCluster, JsDamage, JsDuplicates, JsMonth, JsPage, JsPhoto, JsStats};
use super::query::JsQuery;
use crate::error::Error;
use crate::library::ask::Ask;
use crate::library::{
    self, ByTime, Clustering, LabelChange, Library, ModelRef, Opened, Photo, Word,
};
use crate::store::idb::{IdbStore, Thumbnail};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What `Index.page` looks for. */
export interface IndexQuery {
  /** A unit vector of the library's model; without one, photos come the newest first. */
  embedding?: number[] | Float32Array;
  /** The query in text: its filters, and its words for names of files, folders, albums and tags. */
  text?: string;
  /** More filters, that must hold too. */
  filter?: string;
  /** False for no look at names. */
  names?: boolean;
  k: number;
  offset?: number;
  /** `next` of the page before. */
  after?: string;
  /** How good the answer should be, against how fast: `high` if left out. */
  recall?: 'fast' | 'high' | 'exact';
  /** Leave out photos with a lower cosine. */
  minScore?: number;
  /** Leave out the photos of these paths. */
  exclude?: string[];
  /** Put near duplicates under the best of them. */
  grouped?: boolean;
}
/** A page of what was found. */
export interface FoundPage {
  found: Found[];
  /** Where the next page begins; undefined at the end. */
  next?: string;
  /** How many photos the filters let through. */
  total: number;
  /**
   * Whether a photo that fits is likely among them: whether the best one fits the query better than usual
   * words. A hint; undefined for filters alone, and as long as the usual words are not read.
   */
  likely?: boolean;
  /** By how many deviations it fits better. */
  deviations?: number;
}
/** A query taken apart: words with their weights, negative for what is not wanted. */
export interface ParsedQuery {
  parts: { weight: number; words: string }[];
  hasFilter: boolean;
}
/** A date in the words of a query, and the query with a filter in its place. */
export interface DateSuggestion {
  said: string;
  query: string;
}
/** The photos of a month. */
export interface Month {
  year: number;
  /** 1 to 12. */
  month: number;
  photos: number;
  /** The path of the newest one. */
  newest: string;
}
/** Photos that look alike. */
export interface Cluster {
  /** What most tells them from the others. */
  word?: string;
  /** Their paths, the most typical first. */
  photos: string[];
}
/** Groups of photos that are there more than once; in each, the one to keep comes first. */
export interface Duplicates {
  /** The same bytes. */
  exact: Photo[][];
  /** The same picture: scaled, compressed again, slightly changed. */
  near: Photo[][];
  /** Shots of the same thing, one after the other. */
  similar: Photo[][];
}
"#;

/// Photos that can be found by meaning, kept in IndexedDB or opened from bytes.
///
/// Methods take `&self`, and no borrow is held while the database works: JavaScript may search while
/// a commit is on its way.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Index {
    pub(super) library: RefCell<Library>,
    /// A path for each digest, made when one is first asked for; kept loosely, so each answer is checked.
    digests: RefCell<Option<HashMap<String, String>>>,
    order: RefCell<ByTime>,
    pub(super) thumbnails: RefCell<Vec<Thumbnail>>,
    pub(super) store: Option<IdbStore>,
    damaged: Vec<JsDamage>,
}

/// The vocabulary's words with their vectors, which follow one another.
pub(super) fn words_of(vectors: &[f32], dim: usize) -> Vec<Word> {
    let words = library::vocabulary().zip(vectors.chunks_exact(dim));
    let word = |(word, vector): (&str, &[f32])| Word {
        word: word.to_owned(),
        vector: vector.to_vec(),
    };
    words.map(word).collect()
}

/// Clusters in the making, of one index.
#[wasm_bindgen(js_name = Clustering)]
#[derive(Debug)]
pub struct JsClustering(Clustering);

impl Index {
    pub(super) fn new(opened: Opened, store: Option<IdbStore>) -> Self {
        Self {
            digests: RefCell::default(),
            order: RefCell::default(),
            library: RefCell::new(opened.library),
            thumbnails: RefCell::default(),
            store,
            damaged: opened.damaged.into_iter().map(JsDamage::from).collect(),
        }
    }

    fn note(&self, photo: &Photo) {
        if let Some(digests) = self.digests.borrow_mut().as_mut() {
            digests.insert(photo.digest.clone(), photo.path.clone());
        }
    }

    /// Answers with the library and its photos by time, which are sorted again after a change.
    pub(super) fn in_order<T>(&self, answer: impl FnOnce(&Library, &ByTime) -> T) -> T {
        let library = self.library.borrow();
        let mut order = self.order.borrow_mut();
        if !library.is_current(&order) {
            *order = library.by_time();
        }
        answer(&library, &order)
    }
}

#[wasm_bindgen]
impl Index {
    /// Opens the library called `name` in IndexedDB; one that is not there is made for `model`.
    #[wasm_bindgen(unchecked_return_type = "Index")]
    pub async fn open(
        name: String,
        #[wasm_bindgen(unchecked_param_type = "ModelRef")] model: JsValue,
    ) -> Answer<JsValue> {
        let model: ModelRef = from_js(model)?;
        let store = IdbStore::open(&name).await.map_err(thrown)?;
        let opened = match store.load().await.map_err(thrown)? {
            Some(opened) => opened,
            None => Opened {
                library: Library::create(model.clone()),
                damaged: Vec::new(),
            },
        };
        // An empty library has no vectors that could be mixed up: it takes the model that is there.
        let opened = if opened.library.stats().photos == 0
            && opened.library.require_model(&model).is_err()
        {
            Opened {
                library: Library::create(model),
                damaged: opened.damaged,
            }
        } else {
            opened.library.require_model(&model).map_err(thrown)?;
            opened
        };
        Ok(Self::new(opened, Some(store)).into())
    }

    /// The segments that a manifest names: what `fromBytes` needs.
    #[wasm_bindgen(js_name = segmentNames)]
    pub fn segment_names(manifest: &[u8]) -> Answer<Vec<String>> {
        Library::segment_names(manifest).map_err(thrown)
    }

    /// Opens a library from its files' bytes, to search only.
    #[wasm_bindgen(js_name = fromBytes)]
    pub fn from_bytes(
        manifest: &[u8],
        #[wasm_bindgen(unchecked_param_type = "Map<string, Uint8Array>")] segments: Map,
    ) -> Answer<Index> {
        let read = |name: &str| {
            let bytes = segments.get(&JsValue::from(name)).dyn_into::<Uint8Array>();
            bytes
                .map(|bytes| bytes.to_vec())
                .map_err(|_| Error::Missing {
                    name: name.to_owned(),
                })
        };
        Ok(Self::new(
            Library::open(manifest, read).map_err(thrown)?,
            None,
        ))
    }

    /// Throws unless `model` is the library's.
    #[wasm_bindgen(js_name = requireModel)]
    pub fn require_model(
        &self,
        #[wasm_bindgen(unchecked_param_type = "ModelRef")] model: JsValue,
    ) -> Answer<()> {
        self.library
            .borrow()
            .require_model(&from_js(model)?)
            .map_err(thrown)
    }

    /// Adds a photo with its unit vector and, where there is one, its small JPEG. One of the same path is replaced.
    pub fn put(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Photo")] photo: JsValue,
        embedding: Vec<f32>,
        thumbnail: Option<Vec<u8>>,
    ) -> Answer<()> {
        let photo = Photo::from(from_js::<JsPhoto>(photo)?);
        self.library
            .borrow_mut()
            .put(photo.clone(), &embedding)
            .map_err(thrown)?;
        self.note(&photo);
        if let Some(jpeg) = thumbnail {
            self.thumbnails
                .borrow_mut()
                .push(Thumbnail::Put(photo.path, jpeg));
        }
        Ok(())
    }

    /// Takes a photo out; says whether it was there.
    pub fn remove(&self, path: &str) -> bool {
        let there = self.library.borrow_mut().remove(path);
        if there {
            self.thumbnails
                .borrow_mut()
                .push(Thumbnail::Remove(path.to_owned()));
        }
        there
    }

    /// Gives the photo at `from` a new path and new facts; its vector and small JPEG stay.
    pub fn rename(
        &self,
        from: &str,
        #[wasm_bindgen(unchecked_param_type = "Photo")] photo: JsValue,
    ) -> Answer<bool> {
        let photo = Photo::from(from_js::<JsPhoto>(photo)?);
        let there = self.library.borrow_mut().rename(from, photo.clone());
        if there {
            self.note(&photo);
        }
        if there && from != photo.path {
            self.thumbnails
                .borrow_mut()
                .push(Thumbnail::Rename(from.to_owned(), photo.path));
        }
        Ok(there)
    }

    /// Changes the labels of photos; returns how many of the paths are there.
    pub fn label(
        &self,
        paths: Vec<String>,
        #[wasm_bindgen(unchecked_param_type = "LabelChange")] change: JsValue,
    ) -> Answer<usize> {
        let change: LabelChange = from_js(change)?;
        Ok(self.library.borrow_mut().label(paths, &change))
    }

    /// Makes all changes so far last; false when there were none.
    pub async fn commit(&self) -> Answer<bool> {
        let Some(store) = &self.store else {
            return Err(thrown_with(
                "read_only",
                "a library opened from bytes cannot be changed",
            ));
        };
        let commit = self.library.borrow_mut().commit();
        let thumbnails = self.thumbnails.take();
        if commit.is_none() && thumbnails.is_empty() {
            return Ok(false);
        }
        if let Err(error) = store.store(commit.as_ref(), &thumbnails).await {
            // What could not be kept is tried again by the next commit, before what came meanwhile.
            self.thumbnails.borrow_mut().splice(0..0, thumbnails);
            return Err(thrown(error));
        }
        if let Some(commit) = commit {
            self.library.borrow_mut().committed(commit.generation);
        }
        Ok(true)
    }

    /// A page of the photos that are asked for, best first.
    #[wasm_bindgen(unchecked_return_type = "FoundPage")]
    pub fn page(
        &self,
        #[wasm_bindgen(unchecked_param_type = "IndexQuery")] query: JsValue,
    ) -> Answer<JsValue> {
        let query = from_js::<JsQuery>(query)?.into_query().map_err(thrown)?;
        let page = self.library.borrow().page(&query).map_err(thrown)?;
        to_js(&JsPage::new(&page, query.embedding.is_some()))
    }

    /// How many photos each month has, the newest first; `filter` as in a query.
    #[wasm_bindgen(unchecked_return_type = "Month[]")]
    pub fn months(&self, filter: &str) -> Answer<JsValue> {
        let filter = Ask::parse(filter).map_err(thrown)?.filter;
        let months = self.library.borrow().months(filter.as_ref());
        let months: Vec<JsMonth> = months.into_iter().map(JsMonth::from).collect();
        to_js(&months)
    }

    /// Begins to put the photos in clusters by what is seen: [`Index::cluster_on`] as long as it says so, then
    /// [`Index::clustered`].
    pub fn clustering(&self, count: Option<usize>) -> JsClustering {
        JsClustering(self.library.borrow().clustering(count))
    }

    /// Does the next step, of some milliseconds. False when nothing is left to do, or the library has changed.
    #[wasm_bindgen(js_name = clusterOn)]
    pub fn cluster_on(&self, clustering: &mut JsClustering) -> bool {
        self.library.borrow().cluster_on(&mut clustering.0)
    }

    /// The clusters, the largest first; undefined when the library has changed since they were begun.
    #[wasm_bindgen(unchecked_return_type = "Cluster[] | undefined")]
    pub fn clustered(&self, clustering: JsClustering) -> Answer<JsValue> {
        let Some(clusters) = self.library.borrow().clustered(clustering.0) else {
            return Ok(JsValue::UNDEFINED);
        };
        let clusters: Vec<JsCluster> = clusters.into_iter().map(JsCluster::from).collect();
        to_js(&clusters)
    }

    /// Gives the library the vectors of the vocabulary's words, in their order, one after the other.
    #[wasm_bindgen(js_name = setVocabulary)]
    pub fn set_vocabulary(&self, vectors: &[f32]) -> Answer<()> {
        let mut library = self.library.borrow_mut();
        let words = words_of(vectors, library.model().dim);
        library.set_vocabulary(words).map_err(thrown)
    }

    /// Photos that are there more than once.
    #[wasm_bindgen(unchecked_return_type = "Duplicates")]
    pub fn duplicates(&self) -> Answer<JsValue> {
        let found = self.library.borrow().duplicates();
        to_js(&JsDuplicates::from(&found))
    }

    /// The photo of a path.
    #[wasm_bindgen(unchecked_return_type = "Photo | undefined")]
    pub fn photo(&self, path: &str) -> Answer<JsValue> {
        self.library
            .borrow()
            .get(path)
            .map_or(Ok(JsValue::UNDEFINED), |photo| to_js(&JsPhoto::from(photo)))
    }

    /// The path of a photo whose file has this digest, and of which all is known that this version
    /// wants to know: one from an older library is to be looked at again.
    #[wasm_bindgen(js_name = pathOfDigest)]
    pub fn path_of_digest(&self, digest: &str) -> Option<String> {
        let library = self.library.borrow();
        let mut digests = self.digests.borrow_mut();
        let digests = digests.get_or_insert_with(|| {
            let photos = library.photos();
            photos
                .map(|photo| (photo.digest.clone(), photo.path.clone()))
                .collect()
        });
        let path = digests.get(digest).cloned()?;
        library
            .get(&path)
            .is_some_and(|photo| photo.digest == digest && photo.phash.is_some())
            .then_some(path)
    }

    /// Whether the photo of this path was indexed with this size and time of change, by a version that
    /// looked for as much as this one.
    #[wasm_bindgen(js_name = isUnchanged)]
    pub fn is_unchanged(&self, path: &str, bytes: f64, modified_ms: f64) -> bool {
        let library = self.library.borrow();
        library.get(path).is_some_and(|photo| {
            photo.bytes as f64 == bytes
                && photo.modified_ms as f64 == modified_ms
                && photo.phash.is_some()
        })
    }

    /// The vector of a photo.
    pub fn embedding(&self, path: &str) -> Option<Vec<f32>> {
        self.library.borrow().embedding(path)
    }

    /// The small JPEG of a photo, whether it is stored already or not.
    pub async fn thumbnail(&self, path: String) -> Answer<Option<Vec<u8>>> {
        let waiting = self
            .thumbnails
            .borrow()
            .iter()
            .rev()
            .find_map(|change| match change {
                Thumbnail::Put(of, jpeg) if *of == path => Some(jpeg.clone()),
                _ => None,
            });
        match (waiting, &self.store) {
            (Some(jpeg), _) => Ok(Some(jpeg)),
            (None, Some(store)) => store.thumbnail(&path).await.map_err(thrown),
            (None, None) => Ok(None),
        }
    }

    /// Figures of the library.
    #[wasm_bindgen(unchecked_return_type = "Stats")]
    pub fn stats(&self) -> Answer<JsValue> {
        let library = self.library.borrow();
        to_js(&JsStats::new(library.stats(), library.drift()))
    }

    /// What was damaged when the library was opened.
    #[wasm_bindgen(unchecked_return_type = "Damage[]")]
    pub fn damaged(&self) -> Answer<JsValue> {
        to_js(&self.damaged)
    }

    /// Reads everything that is stored again and checks every byte.
    #[wasm_bindgen(unchecked_return_type = "Damage[]")]
    pub async fn verify(&self) -> Answer<JsValue> {
        let Some(store) = &self.store else {
            return self.damaged();
        };
        let opened = store.load().await.map_err(thrown)?;
        let damaged: Vec<JsDamage> = opened
            .map(|opened| opened.damaged)
            .unwrap_or_default()
            .into_iter()
            .map(JsDamage::from)
            .collect();
        to_js(&damaged)
    }

    /// Lets go of the database.
    pub fn close(&self) {
        if let Some(store) = &self.store {
            store.close();
        }
    }

    /// Removes the library called `name` from IndexedDB; close it first.
    pub async fn destroy(name: String) -> Answer<()> {
        IdbStore::destroy(&name).await.map_err(thrown)
    }
}
