//! What a model's folder says of itself: `manifest.json`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ReadFile;
use crate::error::{Error, Result};
use crate::image::{Filter, Preprocess, ResizeMode};

/// The version of manifests that is read.
const FORMAT: u32 = 1;

/// A model's towers and files. Unknown fields are passed over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Manifest {
    /// 1.
    pub format: u32,
    /// The model's name, for people.
    pub name: String,
    /// The weights' version, for people.
    #[serde(default)]
    pub version: String,
    /// The weights' licence, as an SPDX expression.
    #[serde(default)]
    pub license: String,
    /// Axes of the space, 1 to 4,096.
    pub dim: usize,
    /// The image tower.
    pub image: ImageTower,
    /// The text tower; a model without one only knows images.
    #[serde(default)]
    pub text: Option<TextTower>,
    /// Length and digest of every file.
    pub files: BTreeMap<String, FileEntry>,
}

/// The image tower: `[1, 3, size, size]` → `[1, dim]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ImageTower {
    /// The ONNX file.
    pub file: String,
    /// The graph's input.
    pub input: String,
    /// The graph's output.
    pub output: String,
    /// Width and height of the input in pixels, 16 to 1,024.
    pub size: u32,
    /// How a photo becomes a square.
    pub resize: Resize,
    /// Subtracted from each channel's value in [0, 1].
    pub mean: [f32; 3],
    /// What each channel is divided by then, positive.
    pub std: [f32; 3],
}

/// How a photo becomes a square.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Resize {
    /// The interpolation.
    pub filter: Filter,
    /// Crop or squash.
    pub mode: ResizeMode,
}

/// The text tower: ids `[1, context_length]` → `[1, dim]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TextTower {
    /// The ONNX file.
    pub file: String,
    /// The graph's input.
    pub input: String,
    /// The graph's output.
    pub output: String,
    /// Ids of an input, 3 to 512.
    pub context_length: usize,
    /// Words to ids.
    pub tokenizer: TokenizerEntry,
    /// The id that fills up an input.
    pub pad_id: i64,
}

/// Which tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenizerEntry {
    /// `clip-bpe` or `siglip-unigram`.
    pub kind: String,
    /// Ids, the special ones counted, up to 65,535: from 515 for `clip-bpe`, from 4 for
    /// `siglip-unigram`.
    pub vocab_size: u16,
    /// The merges, in CLIP's own format, or a `tokenizer.json`.
    #[serde(default = "merges_file")]
    pub file: String,
}

fn merges_file() -> String {
    "merges.txt".into()
}

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FileEntry {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::Manifest {
        reason: reason.into(),
    }
}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// [`Error::Manifest`] says what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<()> {
        if self.format != FORMAT {
            return Err(wrong(format!(
                "format {}, this version reads {FORMAT}",
                self.format
            )));
        }
        within("dim", self.dim, 1, 4096)?;
        within("image.size", self.image.size as usize, 16, 1024)?;
        let positive = |std: &f32| std.is_finite() && *std > 0.0;
        if !self.image.std.iter().all(positive)
            || !self.image.mean.iter().all(|mean| mean.is_finite())
        {
            return Err(wrong("image.mean must be finite, image.std positive"));
        }
        let mut used = vec![&self.image.file];
        if let Some(text) = &self.text {
            within("text.context_length", text.context_length, 3, 512)?;
            let TokenizerEntry {
                kind, vocab_size, ..
            } = &text.tokenizer;
            let least = match kind.as_str() {
                "clip-bpe" => 515,
                "siglip-unigram" => 4,
                _ => {
                    return Err(wrong(format!(
                        "tokenizer {kind}, clip-bpe and siglip-unigram are known"
                    )));
                }
            };
            within(
                "text.tokenizer.vocab_size",
                (*vocab_size).into(),
                least,
                65_535,
            )?;
            used.extend([&text.file, &text.tokenizer.file]);
        }
        for name in used {
            let plain = !name.is_empty()
                && !name.starts_with('.')
                && !name.contains(['/', '\\', ':', '\0']);
            if !plain {
                return Err(wrong(format!("{name:?} is not a plain file name")));
            }
            if !self.files.contains_key(name) {
                return Err(wrong(format!("no digest of {name} under files")));
            }
        }
        Ok(())
    }

    /// A file, its length and digest checked.
    pub(super) fn read(&self, name: &str, files: &dyn ReadFile) -> Result<Vec<u8>> {
        let bytes = files.read(name)?;
        let entry = self
            .files
            .get(name)
            .ok_or_else(|| wrong(format!("no digest of {name} under files")))?;
        let differs = |what, expected: &dyn ToString, found: &dyn ToString| Error::ModelFile {
            file: name.to_owned(),
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        };
        if bytes.len() as u64 != entry.bytes {
            return Err(differs("bytes", &entry.bytes, &bytes.len()));
        }
        let found = files.digest(name, &bytes);
        if found != entry.sha256 {
            return Err(differs("sha256", &entry.sha256, &found));
        }
        Ok(bytes)
    }

    /// How a photo becomes the image tower's input.
    pub fn preprocess(&self) -> Preprocess {
        let ImageTower {
            size,
            resize,
            mean,
            std,
            ..
        } = &self.image;
        Preprocess {
            size: *size,
            filter: resize.filter,
            mode: resize.mode,
            mean: *mean,
            std: *std,
        }
    }
}

fn within(what: &str, found: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(wrong(format!(
        "{what} is {found}, from {least} to {most} are allowed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Files;

    const SOUND: &str = r#"{"format":1,"name":"m","dim":4,"later":true,
        "image":{"file":"i.onnx","input":"x","output":"y","size":32,
                 "resize":{"filter":"bicubic","mode":"crop"},"mean":[0,0,0],"std":[1,1,1]},
        "files":{"i.onnx":{"bytes":2,"sha256":"8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"}}}"#;

    #[test]
    fn what_is_out_of_range_is_named() {
        assert!(Manifest::parse(SOUND.as_bytes()).is_ok());
        for (from, to, word) in [
            ("\"dim\":4", "\"dim\":0", "dim"),
            ("\"size\":32", "\"size\":4096", "image.size"),
            ("\"format\":1", "\"format\":2", "format 2"),
            ("[1,1,1]", "[1,0,1]", "image.std"),
            (
                "\"file\":\"i.onnx\"",
                "\"file\":\"../i.onnx\"",
                "plain file name",
            ),
            (
                "\"file\":\"i.onnx\"",
                "\"file\":\"other.onnx\"",
                "other.onnx",
            ),
            ("bicubic", "cubist", "cubist"),
        ] {
            let error = Manifest::parse(SOUND.replace(from, to).as_bytes()).expect_err(word);
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_file_that_differs_is_refused_with_both_digests() {
        let manifest = Manifest::parse(SOUND.as_bytes()).expect("sound");
        let with = |bytes: &[u8]| Files([("i.onnx".to_owned(), bytes.to_vec())].into());
        assert_eq!(
            manifest.read("i.onnx", &with(b"hi")).expect("as promised"),
            b"hi"
        );
        let error = manifest
            .read("i.onnx", &with(b"ho"))
            .expect_err("another digest");
        assert!(error.to_string().contains("8f4343"), "{error}");
        assert_eq!(
            manifest
                .read("i.onnx", &with(b"hello"))
                .expect_err("longer")
                .code(),
            "model_file"
        );
    }
}
