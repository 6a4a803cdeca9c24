//! All photos of a library, as a page lists them.

use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, to_js};
use super::convert::JsPhoto;
use super::index::Index;
use crate::library::Facets;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What the photos of a library can be filtered by, with their numbers. */
export interface Facets {
  favourites: number;
  /** Photos that tell where they were taken. */
  places: number;
  /** The latest first. */
  years: [string, number][];
  albums: [string, number][];
  tags: [string, number][];
  cameras: [string, number][];
}

/** A page of photos. */
export interface Listed {
  photos: Photo[];
  total: number;
}
"#;

#[derive(Serialize)]
struct JsListed {
    photos: Vec<JsPhoto>,
    total: usize,
}

/// [`Facets`] as a plain object.
#[derive(Serialize)]
struct JsFacets {
    favourites: usize,
    places: usize,
    years: Vec<(String, usize)>,
    albums: Vec<(String, usize)>,
    tags: Vec<(String, usize)>,
    cameras: Vec<(String, usize)>,
}

impl From<Facets> for JsFacets {
    fn from(facets: Facets) -> Self {
        let Facets {
            favourites,
            places,
            years,
            albums,
            tags,
            cameras,
        } = facets;
        let years = years.into_iter();
        Self {
            favourites,
            places,
            years: years.map(|(year, of)| (format!("{year:04}"), of)).collect(),
            albums,
            tags,
            cameras,
        }
    }
}

#[wasm_bindgen]
impl Index {
    /// At most `count` photos, the newest first, without the first `offset`.
    #[wasm_bindgen(unchecked_return_type = "Listed")]
    pub fn list(&self, count: usize, offset: usize) -> Answer<JsValue> {
        let listed = self.in_order(|library, order| JsListed {
            photos: library
                .listed(order, offset, count)
                .map(JsPhoto::from)
                .collect(),
            total: order.len(),
        });
        to_js(&listed)
    }

    /// Each photo's width by its height, in the order of `list`.
    pub fn shapes(&self) -> Vec<f32> {
        self.in_order(|library, order| library.shapes(order))
    }

    /// What the photos can be filtered by.
    #[wasm_bindgen(unchecked_return_type = "Facets")]
    pub fn facets(&self) -> Answer<JsValue> {
        to_js(&JsFacets::from(self.library.borrow().facets()))
    }

    /// The paths of all photos below a folder; of all, where it is empty.
    #[wasm_bindgen(js_name = pathsBelow)]
    pub fn paths_below(&self, folder: &str) -> Vec<String> {
        let library = self.library.borrow();
        library.paths_below(folder).map(str::to_owned).collect()
    }
}
