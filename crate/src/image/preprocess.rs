//! Pixels → the tensor that an image tower takes.

use fast_image_resize as fir;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::U8x3;

use super::{Decoded, Limits, Reduced, decode_reduced};
use crate::error::Result;

/// How pixels are interpolated; all but `Nearest` widen with the reduction, as Pillow's do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// A triangle.
    Bilinear,
    /// Keys' cubic with a = -0.5, as Pillow's `BICUBIC`.
    Bicubic,
    /// Lanczos' kernel over three lobes.
    Lanczos3,
}

impl Filter {
    fn algorithm(self) -> fir::ResizeAlg {
        match self {
            Filter::Nearest => fir::ResizeAlg::Nearest,
            Filter::Bilinear => fir::ResizeAlg::Convolution(fir::FilterType::Bilinear),
            Filter::Bicubic => fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom),
            Filter::Lanczos3 => fir::ResizeAlg::Convolution(fir::FilterType::Lanczos3),
        }
    }
}

/// How a photo becomes a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResizeMode {
    /// The short side becomes the size, then the middle is cut out.
    Crop,
    /// Both sides become the size.
    Squash,
}

/// A model's wishes for its input.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocess {
    /// Width and height of the input, pixels.
    pub size: u32,
    /// The interpolation.
    pub filter: Filter,
    /// How a photo becomes a square.
    pub mode: ResizeMode,
    /// Subtracted from each channel's value in [0, 1].
    pub mean: [f32; 3],
    /// What each channel is divided by then.
    pub std: [f32; 3],
}

impl Preprocess {
    /// The shorter side, in pixels, that a photo may be reduced to before it is resized: three times the input's, so
    /// that fine patterns stay what they are to the filter (Pillow's `reducing_gap` of 3).
    pub fn least_side(&self) -> u32 {
        self.size.saturating_mul(3)
    }

    /// Decodes a photo's file no larger than is needed here, or where a shorter side of `side` pixels is.
    pub fn decode(&self, bytes: &[u8], side: u32, limits: &Limits) -> Result<Reduced> {
        decode_reduced(bytes, self.least_side().max(side), limits)
    }

    /// `[3, size, size]`: (value / 255 − mean) / std. Sizes and offsets are rounded as torchvision's
    /// `Resize` and `CenterCrop` round them, so that embeddings agree with models' own pipelines.
    pub fn tensor(&self, photo: &Decoded) -> Vec<f32> {
        let (width, height) = self.resized_size(photo);
        let resized = resize(photo, width, height, self.filter);
        self.normalise(&resized, width as usize, height as usize)
    }

    fn resized_size(&self, photo: &Decoded) -> (u32, u32) {
        let size = self.size;
        let long =
            |long: u32, short: u32| (u64::from(size) * u64::from(long) / u64::from(short)) as u32;
        match self.mode {
            ResizeMode::Squash => (size, size),
            // A strip of 1 x 10,000 pixels would become size x 10,000·size: what the crop drops anyway
            // is not made.
            ResizeMode::Crop if photo.width <= photo.height => (
                size,
                long(photo.height, photo.width.max(1)).clamp(size, 64 * size),
            ),
            ResizeMode::Crop => (
                long(photo.width, photo.height.max(1)).clamp(size, 64 * size),
                size,
            ),
        }
    }

    fn normalise(&self, rgb: &[u8], width: usize, height: usize) -> Vec<f32> {
        let size = self.size as usize;
        let offset = |full: usize| ((full - size) as f64 / 2.0).round_ties_even() as usize;
        let (left, top) = (offset(width), offset(height));
        let mut tensor = Vec::with_capacity(3 * size * size);
        for channel in 0..3 {
            let scale = 1.0 / (255.0 * self.std[channel]);
            let shift = self.mean[channel] / self.std[channel];
            for y in top..top + size {
                let row = &rgb[3 * (y * width + left)..3 * (y * width + left + size)];
                tensor.extend(
                    row.iter()
                        .skip(channel)
                        .step_by(3)
                        .map(|&v| f32::from(v) * scale - shift),
                );
            }
        }
        tensor
    }
}

/// `[height, width, 3]` of another size.
pub(super) fn resize(photo: &Decoded, width: u32, height: u32, filter: Filter) -> Vec<u8> {
    if (photo.width, photo.height) == (width, height) {
        return photo.rgb.clone();
    }
    let source = TypedImageRef::<U8x3>::from_buffer(photo.width, photo.height, &photo.rgb)
        .expect("a decoded photo has 3 bytes a pixel");
    let mut rgb = vec![0; 3 * width as usize * height as usize];
    let mut target =
        TypedImage::<U8x3>::from_buffer(width, height, &mut rgb).expect("it is as large");
    let options = fir::ResizeOptions::new().resize_alg(filter.algorithm());
    // Of a type told at run time, it would be compiled for all thirteen.
    fir::Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .expect("the whole of the source is resized");
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocess(mode: ResizeMode) -> Preprocess {
        Preprocess {
            size: 4,
            filter: Filter::Bicubic,
            mode,
            mean: [0.5; 3],
            std: [0.25; 3],
        }
    }

    fn flat(width: u32, height: u32, rgb: [u8; 3]) -> Decoded {
        Decoded {
            width,
            height,
            rgb: rgb.repeat((width * height) as usize),
        }
    }

    #[test]
    fn channels_come_apart_and_are_normalised() {
        for (width, height) in [(9, 5), (5, 9), (4, 4), (1, 1), (1, 5000), (5000, 1)] {
            for mode in [ResizeMode::Crop, ResizeMode::Squash] {
                let tensor = preprocess(mode).tensor(&flat(width, height, [0, 51, 255]));
                assert_eq!(tensor.len(), 48);
                for (channel, want) in [-2.0, -1.2, 2.0].into_iter().enumerate() {
                    let plane = &tensor[16 * channel..16 * (channel + 1)];
                    assert!(
                        plane.iter().all(|v| (v - want).abs() < 0.02),
                        "{width}x{height} {plane:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn cropping_keeps_the_middle() {
        let mut photo = flat(8, 4, [0; 3]);
        for (i, pixel) in photo.rgb.chunks_exact_mut(3).enumerate() {
            pixel.fill(if (2..6).contains(&(i % 8)) { 255 } else { 0 });
        }
        assert!(
            preprocess(ResizeMode::Crop)
                .tensor(&photo)
                .iter()
                .all(|v| *v == 2.0)
        );
    }
}
