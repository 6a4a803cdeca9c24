//! A model's towers, as one JavaScript class.

use std::collections::HashMap;

use js_sys::{Float32Array, Map, Uint8Array};
use serde::Serialize;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::convert::{Answer, thrown, thrown_with, to_js};
use crate::encoder::{ImageEncoder, Manifest, ReadFile, TextEncoder};
use crate::error::Error;
use crate::image::{self, Limits, Metadata};
use crate::kernels::Kernels;
use crate::library::ModelRef;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What `Encoder.embedImage` makes of a photo. */
export interface ImageEmbedding {
  /** A unit vector. */
  embedding: Float32Array;
  /** Pixels, upright. */
  width: number;
  height: number;
  taken?: string;
  camera?: string;
  gps?: [number, number];
  /** SHA-256 of the bytes, lower-case hex. */
  digest: string;
  /** A small JPEG. */
  thumbnail: Uint8Array;
}
/** What an encoder is. */
export interface EncoderInfo {
  /** The kernels that run: `simd128`, `relaxed-simd`. */
  kernels: string;
  model: ModelRef;
  hasText: boolean;
  /** What the engine made of the model's graph. */
  report?: string;
}
"#;

/// Longest side of a thumbnail, pixels.
const THUMBNAIL_SIDE: u32 = 320;

/// A model's files, as JavaScript gave them.
struct Files(HashMap<String, Vec<u8>>);

impl ReadFile for Files {
    fn read(&self, name: &str) -> crate::Result<Vec<u8>> {
        self.0.get(name).cloned().ok_or_else(|| Error::Missing {
            name: name.to_owned(),
        })
    }
}

/// A model: photos and words into vectors of one space.
#[wasm_bindgen]
pub struct Encoder {
    model: ModelRef,
    image: Option<ImageEncoder>,
    text: Option<TextEncoder>,
    has_text: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    kernels: &'static str,
    model: ModelRef,
    has_text: bool,
    report: Option<String>,
}

#[derive(Serialize)]
struct About {
    width: u32,
    height: u32,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    camera: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gps: Option<[f64; 2]>,
}

fn set(object: &JsValue, key: &str, value: &JsValue) {
    // A plain object takes any property.
    let _ = js_sys::Reflect::set(object, &JsValue::from(key), value);
}

#[wasm_bindgen]
impl Encoder {
    /// Loads the towers asked for: `image`, `text` or `both`. `files` has the model's files by name,
    /// as its manifest lists them.
    #[wasm_bindgen(constructor)]
    pub fn new(
        manifest: &[u8],
        #[wasm_bindgen(unchecked_param_type = "Map<string, Uint8Array>")] files: &Map,
        #[wasm_bindgen(unchecked_param_type = "'image' | 'text' | 'both'")] towers: &str,
    ) -> Answer<Encoder> {
        let mut read = HashMap::new();
        files.for_each(&mut |bytes, name| {
            if let (Ok(bytes), Some(name)) = (bytes.dyn_into::<Uint8Array>(), name.as_string()) {
                read.insert(name, bytes.to_vec());
            }
        });
        let files = Files(read);
        let parsed = Manifest::parse(manifest).map_err(thrown)?;
        let kernels = Kernels::best();
        let image = (towers != "text")
            .then(|| ImageEncoder::load(&parsed, &files, kernels))
            .transpose();
        let has_text = parsed.text.is_some();
        let text = (towers != "image" && has_text)
            .then(|| TextEncoder::load(&parsed, &files, kernels))
            .transpose();
        Ok(Self {
            model: ModelRef {
                name: parsed.name.clone(),
                digest: image::digest(manifest),
                dim: parsed.dim,
            },
            image: image.map_err(thrown)?,
            text: text.map_err(thrown)?,
            has_text,
        })
    }

    /// A photo's file into its vector, its facts and its small JPEG. `max_memory_bytes` bounds what
    /// decoding may take.
    #[wasm_bindgen(js_name = embedImage, unchecked_return_type = "ImageEmbedding")]
    pub fn embed_image(
        &self,
        bytes: &[u8],
        max_memory_bytes: f64,
        trim_borders: bool,
    ) -> Answer<JsValue> {
        let tower = self
            .image
            .as_ref()
            .ok_or_else(|| thrown_with("not_loaded", "the image tower is not loaded"))?;
        let limits = Limits {
            max_memory_bytes: max_memory_bytes as u64,
            ..Limits::default()
        };
        let mut photo = image::decode(bytes, &limits).map_err(thrown)?;
        let Metadata {
            taken, camera, gps, ..
        } = image::metadata(bytes);
        let (width, height) = (photo.width, photo.height);
        let thumbnail = image::thumbnail_jpeg(&photo, THUMBNAIL_SIDE).map_err(thrown)?;
        if trim_borders {
            photo = image::trim_black_borders(photo);
        }
        let tensor = tower.preprocess().tensor(&photo);
        drop(photo);
        let embedding = tower.embed(&tensor).map_err(thrown)?;
        let answer = to_js(&About {
            width,
            height,
            digest: image::digest(bytes),
            taken,
            camera,
            gps,
        })?;
        set(
            &answer,
            "embedding",
            &Float32Array::from(embedding.as_slice()),
        );
        set(
            &answer,
            "thumbnail",
            &Uint8Array::from(thumbnail.as_slice()),
        );
        Ok(answer)
    }

    /// Words into their vector.
    #[wasm_bindgen(js_name = embedText)]
    pub fn embed_text(&self, text: &str) -> Answer<Vec<f32>> {
        match &self.text {
            Some(tower) => tower.embed(text).map_err(thrown),
            None if self.has_text => Err(thrown_with("not_loaded", "the text tower is not loaded")),
            None => Err(thrown(Error::NoTextTower {
                model: self.model.name.clone(),
            })),
        }
    }

    /// What runs, and what it is.
    #[wasm_bindgen(unchecked_return_type = "EncoderInfo")]
    pub fn info(&self) -> Answer<JsValue> {
        to_js(&Info {
            kernels: Kernels::best().name(),
            model: self.model.clone(),
            has_text: self.has_text,
            report: self
                .image
                .as_ref()
                .map(|tower| format!("{:?}", tower.report())),
        })
    }
}
