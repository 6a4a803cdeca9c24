//! A model's towers, as one JavaScript class.

use js_sys::{Float32Array, Map, Uint8Array};
use serde::Serialize;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown, thrown_with, to_js};
use crate::encoder::{MANIFEST, Manifest, Model, ReadFile};
use crate::error::Error;
use crate::image::{self, Decoded, Format, Limits, Metadata, PerceptualHash, Reduced};
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
  format?: string;
  phash: string;
  /** A small JPEG. */
  thumbnail: Uint8Array;
}
/** What a photo's header says. */
export interface Glance {
  /** Whether `embedImage` knows the format. */
  decodes: boolean;
  format?: string;
  /** Width × height; 0 where the header does not tell. */
  pixels: number;
}
/** What an encoder is. */
export interface EncoderInfo {
  /** The kernels that run: `simd128`, `relaxed-simd-u8`, `relaxed-simd-s8`, `relaxed-simd-16bit`. */
  kernels: string;
  model: ModelRef;
  hasText: boolean;
  /** What the engine made of the model's graph. */
  report: string;
}
"#;

/// Longest side of a thumbnail, pixels.
const THUMBNAIL_SIDE: u32 = 320;

/// A model: photos and words into vectors of one space.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Encoder {
    model: Model,
    about: ModelRef,
    has_text: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    kernels: &'static str,
    model: ModelRef,
    has_text: bool,
    report: String,
}

#[derive(Serialize)]
struct Seen {
    decodes: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    pixels: f64,
}

/// Looks at a photo's header.
#[wasm_bindgen(unchecked_return_type = "Glance")]
pub fn glance(bytes: &[u8]) -> Answer<JsValue> {
    let image::Glance {
        decodes,
        format,
        pixels,
    } = image::glance(bytes, &Limits::default()).map_err(thrown)?;
    to_js(&Seen {
        decodes,
        format,
        pixels: pixels as f64,
    })
}

#[derive(Serialize)]
struct About {
    width: u32,
    height: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    camera: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gps: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    phash: PerceptualHash,
}

fn set(object: &JsValue, key: &str, value: &JsValue) {
    // A plain object takes any property.
    let _ = js_sys::Reflect::set(object, &JsValue::from(key), value);
}

/// A manifest without its text tower: that of a model which knows images only. A worker that sees
/// photos only is spared the memory of the words.
fn without_text(manifest: &[u8]) -> Result<Vec<u8>, Error> {
    let broken = |error: serde_json::Error| Error::Manifest {
        reason: error.to_string(),
    };
    let mut json: serde_json::Value = serde_json::from_slice(manifest).map_err(broken)?;
    if let Some(fields) = json.as_object_mut() {
        fields.remove("text");
    }
    serde_json::to_vec(&json).map_err(broken)
}

/// A model's files as JavaScript has them: one is copied when it is read, and freed before the next.
struct FromMap<'a> {
    manifest: Vec<u8>,
    files: &'a Map,
    digests: Option<Map>,
}

impl ReadFile for FromMap<'_> {
    fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        if name == MANIFEST {
            return Ok(self.manifest.clone());
        }
        let file = self.files.get(&JsValue::from(name));
        let bytes = file.dyn_into::<Uint8Array>();
        bytes
            .map(|bytes| bytes.to_vec())
            .map_err(|_| Error::Missing {
                name: name.to_owned(),
            })
    }

    fn digest(&self, name: &str, bytes: &[u8]) -> String {
        let digests = self.digests.as_ref();
        let known = digests.and_then(|digests| digests.get(&JsValue::from(name)).as_string());
        known.unwrap_or_else(|| image::digest(bytes))
    }
}

#[wasm_bindgen]
impl Encoder {
    /// Loads a model: `both` towers, or the one for `image`s only. `files` has the model's files by
    /// name, as its manifest lists them, `digests` their SHA-256 in lower-case hex: the engine finds them several
    /// times faster than this module, which computes what is missing. None but the manifest's own will do.
    #[wasm_bindgen(constructor)]
    pub fn new(
        manifest: &[u8],
        #[wasm_bindgen(unchecked_param_type = "Map<string, Uint8Array>")] files: &Map,
        #[wasm_bindgen(unchecked_param_type = "'image' | 'both'")] towers: &str,
        #[wasm_bindgen(unchecked_param_type = "Map<string, string> | undefined")] digests: Option<
            Map,
        >,
    ) -> Answer<Encoder> {
        let parsed = Manifest::parse(manifest).map_err(thrown)?;
        let has_text = parsed.text.is_some();
        let used = if towers == "image" {
            without_text(manifest).map_err(thrown)?
        } else {
            manifest.to_vec()
        };
        let read = FromMap {
            manifest: used,
            files,
            digests,
        };
        let model = Model::load(&read, Kernels::best()).map_err(thrown)?;
        // The digest is the whole manifest's, whichever towers are loaded.
        let about = ModelRef {
            name: parsed.name,
            digest: image::digest(manifest),
            dim: parsed.dim,
        };
        Ok(Self {
            model,
            about,
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
        let limits = Limits {
            max_memory_bytes: max_memory_bytes as u64,
            ..Limits::default()
        };
        let preprocess = self.model.image().preprocess();
        let decoded = preprocess.decode(bytes, THUMBNAIL_SIDE, &limits);
        let Reduced { photo, full } = decoded.map_err(thrown)?;
        self.embedded(bytes, photo, full, trim_borders)
    }

    /// A photo whose pixels the engine has decoded: `rgba`, upright and maybe smaller than the photo, `[height, width,
    /// 4]`. `bytes` are the file's, for what else is in it; `fullWidth` and `fullHeight` the photo's own pixels.
    #[allow(clippy::too_many_arguments)] // JavaScript's side of the border has flat arguments.
    #[wasm_bindgen(js_name = embedPixels, unchecked_return_type = "ImageEmbedding")]
    pub fn embed_pixels(
        &self,
        bytes: &[u8],
        rgba: &[u8],
        width: u32,
        height: u32,
        full_width: u32,
        full_height: u32,
        trim_borders: bool,
    ) -> Answer<JsValue> {
        let photo = Decoded::from_rgba(rgba, width, height, &Limits::default()).map_err(thrown)?;
        self.embedded(bytes, photo, (full_width, full_height), trim_borders)
    }

    fn embedded(
        &self,
        bytes: &[u8],
        mut photo: Decoded,
        (width, height): (u32, u32),
        trim_borders: bool,
    ) -> Answer<JsValue> {
        let Metadata {
            taken, camera, gps, ..
        } = image::metadata(bytes);
        let phash = PerceptualHash::of(&photo);
        let thumbnail = image::thumbnail_jpeg(&photo, THUMBNAIL_SIDE).map_err(thrown)?;
        if trim_borders {
            photo = image::trim_black_borders(photo);
        }
        let tensor = self.model.image().preprocess().tensor(&photo);
        drop(photo);
        let embedding = self.model.image().embed(&tensor).map_err(thrown)?;
        let answer = to_js(&About {
            width,
            height,
            taken,
            camera,
            gps,
            format: image::format(bytes),
            phash,
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

    /// The image tower's input, `[3, size, size]` and normalised as its manifest says, into its vector.
    #[wasm_bindgen(js_name = embedTensor)]
    pub fn embed_tensor(&self, tensor: &[f32]) -> Answer<Vec<f32>> {
        self.model.image().embed(tensor).map_err(thrown)
    }

    /// Words into their vector.
    #[wasm_bindgen(js_name = embedText)]
    pub fn embed_text(&self, text: &str) -> Answer<Vec<f32>> {
        match self.model.text() {
            Ok(tower) => tower.embed(text).map_err(thrown),
            Err(_) if self.has_text => {
                Err(thrown_with("not_loaded", "the text tower is not loaded"))
            }
            Err(error) => Err(thrown(error)),
        }
    }

    /// The side of the image tower's input, pixels.
    #[wasm_bindgen(js_name = inputSide)]
    pub fn input_side(&self) -> u32 {
        self.model.image().preprocess().size
    }

    /// What runs, and what it is.
    #[wasm_bindgen(unchecked_return_type = "EncoderInfo")]
    pub fn info(&self) -> Answer<JsValue> {
        to_js(&Info {
            kernels: Kernels::best().name(),
            model: self.about.clone(),
            has_text: self.has_text,
            report: format!("{:?}", self.model.image().report()),
        })
    }
}
