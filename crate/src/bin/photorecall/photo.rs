//! One photo's file: what is known of it, its picture, its vector.

use anyhow::bail;
use photorecall::encoder::Model;
use photorecall::image::{self, Decoded, Limits, PerceptualHash, Reduced};
use photorecall::library::Photo;

use crate::budget::{Budget, Share};

/// Asks that a file is not too large to be read.
pub fn require_size(bytes: u64) -> anyhow::Result<()> {
    let most = Limits::default().max_bytes;
    if bytes > most {
        bail!("{bytes} bytes are more than the limit of {most}");
    }
    Ok(())
}

/// What a file's bytes tell of a photo without being decoded.
pub fn facts(path: &str, modified_ms: i64, bytes: &[u8]) -> Photo {
    let about = image::metadata(bytes);
    Photo {
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        modified_ms,
        digest: image::digest(bytes),
        taken: about.taken,
        camera: about.camera,
        gps: about.gps,
        format: image::format(bytes),
        ..Photo::default()
    }
}

/// A decoded photo, in its share of the workers' memory.
pub struct Picture<'a> {
    /// Its facts, those of its pixels among them.
    pub photo: Photo,
    decoded: Decoded,
    _memory: Share<'a>,
}

impl<'a> Picture<'a> {
    /// Decodes the photo of these facts, as large as the model asks for, when there is memory for it.
    pub fn decode(
        facts: Photo,
        bytes: &[u8],
        model: &Model,
        memory: &'a Budget,
    ) -> anyhow::Result<Self> {
        let limits = Limits::default();
        let needed = image::memory_needed(bytes, &limits)?;
        let share = memory.take(needed + bytes.len() as u64);
        let Reduced {
            photo: decoded,
            full: (width, height),
        } = model.image().preprocess().decode(bytes, 0, &limits)?;
        let photo = Photo {
            width,
            height,
            phash: Some(PerceptualHash::of(&decoded)),
            ..facts
        };
        Ok(Self {
            photo,
            decoded,
            _memory: share,
        })
    }

    /// The photo with its vector.
    pub fn embed(self, model: &Model, trim: bool) -> anyhow::Result<(Photo, Vec<f32>)> {
        Ok((self.photo, embed(model, self.decoded, trim)?))
    }
}

/// The vector of a photo's file.
pub fn embed_file(model: &Model, bytes: &[u8], trim: bool) -> anyhow::Result<Vec<f32>> {
    let preprocess = model.image().preprocess();
    let reduced = preprocess.decode(bytes, 0, &Limits::default())?;
    embed(model, reduced.photo, trim)
}

fn embed(model: &Model, decoded: Decoded, trim: bool) -> anyhow::Result<Vec<f32>> {
    let decoded = if trim {
        image::trim_black_borders(decoded)
    } else {
        decoded
    };
    let tensor = model.image().preprocess().tensor(&decoded);
    drop(decoded);
    Ok(model.image().embed(&tensor)?)
}
