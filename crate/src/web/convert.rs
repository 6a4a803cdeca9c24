//! A library's values as JavaScript has them.

use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::image::{Format, PerceptualHash};
use crate::library::{Cluster, Drift, Duplicates, Found, Month, Page, Photo, Stats};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What is known of a photo. `path` is its lasting name: below its folder, with `/`. */
export interface Photo {
  path: string;
  /** Size of the file. */
  bytes: number;
  /** When the file was changed, in milliseconds since 1970 (UTC). */
  modifiedMs: number;
  /** SHA-256 of the file's bytes, lower-case hex. */
  digest: string;
  /** Pixels, upright. */
  width: number;
  height: number;
  /** When it was taken, local time: `2019-07-04T12:30:00`. */
  taken?: string;
  camera?: string;
  /** Latitude and longitude in degrees, north and east positive. */
  gps?: [number, number];
  /** `jpeg`, `png`, `webp`, `gif`, `bmp` or `tiff`. */
  format?: string;
  /** What near duplicates have nearly in common: 64 bits as hex. */
  phash?: string;
  favourite?: boolean;
  albums?: string[];
  tags?: string[];
}
/** A change to the labels of photos; what is left out stays as it is. */
export interface LabelChange {
  favourite?: boolean;
  addAlbums?: string[];
  removeAlbums?: string[];
  addTags?: string[];
  removeTags?: string[];
}
/** A photo that was found; `score` is its cosine to the query, 1 where only filters were asked for. */
export interface Found {
  /** The cosine between the query and the photo. */
  score: number;
  /** What its names, albums and tags add to the cosine in the order of what was found; without it, nothing. */
  byName?: number;
  photo: Photo;
  /** Paths of near duplicates that were found too; in a grouped search. */
  others?: string[];
}
/** Which model made a library's vectors. Vectors of two models never mix. */
export interface ModelRef {
  name: string;
  digest: string;
  dim: number;
}
/** Figures of a library. */
export interface Stats {
  photos: number;
  /** Rows that wait for compaction. */
  deleted: number;
  segments: number;
  /** Bytes of the stored segments. */
  bytes: number;
  dim: number;
  generation: number;
  model: ModelRef;
  /**
   * How far photos that were added since the last compaction lie from what the index was learnt from: their mean
   * squared distance to its centroids over that of those in it, about 1 without drift. Above 1.25 it is learnt
   * again at the next compaction. Undefined where there is too little to tell.
   */
  drift?: number;
}
/** A segment that could not be read. The rest of the library works. */
export interface Damage {
  segment: string;
  reason: string;
  /** The photos to be indexed again, where their list can still be read. */
  photos?: string[];
}
"#;

/// [`Photo`] with JavaScript's names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsPhoto {
    path: String,
    bytes: u64,
    modified_ms: i64,
    digest: String,
    width: u32,
    height: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    camera: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gps: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phash: Option<PerceptualHash>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    favourite: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    albums: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

impl From<&Photo> for JsPhoto {
    fn from(photo: &Photo) -> Self {
        let Photo {
            path,
            bytes,
            modified_ms,
            digest,
            width,
            height,
            taken,
            camera,
            gps,
            format,
            phash,
            favourite,
            albums,
            tags,
        } = photo.clone();
        Self {
            path,
            bytes,
            modified_ms,
            digest,
            width,
            height,
            taken,
            camera,
            gps,
            format,
            phash,
            favourite,
            albums,
            tags,
        }
    }
}

impl From<JsPhoto> for Photo {
    fn from(photo: JsPhoto) -> Self {
        let JsPhoto {
            path,
            bytes,
            modified_ms,
            digest,
            width,
            height,
            taken,
            camera,
            gps,
            format,
            phash,
            favourite,
            albums,
            tags,
        } = photo;
        Self {
            path,
            bytes,
            modified_ms,
            digest,
            width,
            height,
            taken,
            camera,
            gps,
            format,
            phash,
            favourite,
            albums,
            tags,
        }
    }
}

/// [`Found`] with JavaScript's names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JsFound {
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_name: Option<f64>,
    photo: JsPhoto,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<String>,
}

impl JsFound {
    /// `by_meaning` is false for filters alone: those rank by time.
    fn new(found: &Found, by_meaning: bool) -> Self {
        let by_name = found.rank - f64::from(found.score);
        Self {
            score: found.score,
            by_name: (by_meaning && by_name > 0.0).then_some(by_name),
            photo: JsPhoto::from(&found.photo),
            others: found.others.clone(),
        }
    }
}

/// [`Page`] as a plain object.
#[derive(Debug, Serialize)]
pub struct JsPage {
    found: Vec<JsFound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    likely: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deviations: Option<f32>,
}

impl JsPage {
    /// `by_meaning` is false for filters alone.
    pub fn new(page: &Page, by_meaning: bool) -> Self {
        let found = |found| JsFound::new(found, by_meaning);
        Self {
            found: page.found.iter().map(found).collect(),
            next: page.next.as_ref().map(ToString::to_string),
            total: page.total,
            likely: page.verdict.map(|verdict| verdict.likely),
            deviations: page.verdict.map(|verdict| verdict.deviations),
        }
    }
}

/// [`Duplicates`] as a plain object.
#[derive(Debug, Serialize)]
pub struct JsDuplicates {
    exact: Vec<Vec<JsPhoto>>,
    near: Vec<Vec<JsPhoto>>,
    similar: Vec<Vec<JsPhoto>>,
}

impl From<&Duplicates> for JsDuplicates {
    fn from(found: &Duplicates) -> Self {
        let groups = |groups: &Vec<Vec<Photo>>| -> Vec<Vec<JsPhoto>> {
            let group = |group: &Vec<Photo>| group.iter().map(JsPhoto::from).collect();
            groups.iter().map(group).collect()
        };
        Self {
            exact: groups(&found.exact),
            near: groups(&found.near),
            similar: groups(&found.similar),
        }
    }
}

/// [`Month`] as a plain object.
#[derive(Debug, Serialize)]
pub struct JsMonth {
    year: u16,
    month: u8,
    photos: usize,
    newest: String,
}

impl From<Month> for JsMonth {
    fn from(of: Month) -> Self {
        let Month {
            year,
            month,
            photos,
            newest,
        } = of;
        Self {
            year,
            month,
            photos,
            newest,
        }
    }
}

/// [`Cluster`] as a plain object.
#[derive(Debug, Serialize)]
pub struct JsCluster {
    #[serde(skip_serializing_if = "Option::is_none")]
    word: Option<String>,
    photos: Vec<String>,
}

impl From<Cluster> for JsCluster {
    fn from(Cluster { word, photos }: Cluster) -> Self {
        Self { word, photos }
    }
}

/// [`Stats`] as a plain object.
#[derive(Debug, Serialize)]
pub struct JsStats {
    photos: usize,
    deleted: usize,
    segments: usize,
    bytes: u64,
    dim: usize,
    generation: u64,
    model: crate::library::ModelRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<f64>,
}

impl JsStats {
    pub fn new(stats: Stats, drift: Option<Drift>) -> Self {
        let Stats {
            photos,
            deleted,
            segments,
            bytes,
            dim,
            generation,
            model,
        } = stats;
        Self {
            photos,
            deleted,
            segments,
            bytes,
            dim,
            generation,
            model,
            drift: drift.map(|drift| drift.ratio),
        }
    }
}

/// [`crate::library::Damage`] as a plain object.
#[derive(Debug, Clone, Serialize)]
pub struct JsDamage {
    segment: String,
    reason: String,
    photos: Option<Vec<String>>,
}

impl From<crate::library::Damage> for JsDamage {
    fn from(damage: crate::library::Damage) -> Self {
        Self {
            segment: damage.segment,
            reason: damage.reason,
            photos: damage.photos,
        }
    }
}
