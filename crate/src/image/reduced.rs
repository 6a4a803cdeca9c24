//! JPEG at a half, a quarter or an eighth of its size, from the low frequencies of its blocks alone.
//!
//! A block of 8 × 8 pixels is kept as its cosine transform, whose first 4 × 4, 2 × 2 or 1 × 1 numbers are the
//! transform of the block made smaller (Wallace 1991, "The JPEG still picture compression standard"; libjpeg's
//! `scale_denom`). The rest is neither transformed, nor converted, nor kept in memory.

use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{Decoder, PixelFormat};

/// Divisors of a JPEG's sides, the largest first.
const DIVISORS: [u32; 3] = [8, 4, 2];

/// The most that sides may be divided by, so that the shorter one keeps at least `least` pixels; `None` for 1.
pub(super) fn divisor((width, height): (u32, u32), least: u32) -> Option<u32> {
    let fits = |by: &u32| width.min(height).div_ceil(*by) >= least;
    DIVISORS.into_iter().find(fits)
}

/// The pixels of a JPEG of `width` × `height` with sides divided by `by`, rounded up, not turned; `None` for what this decoder
/// does not read, or reads as something else.
pub(super) fn jpeg(bytes: &[u8], (width, height): (u32, u32), by: u32) -> Option<DynamicImage> {
    let side = |full: u32| full.div_ceil(by);
    let (width, height) = (side(width), side(height));
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(3 * width as usize * height as usize);
    let found = decoder
        .scale(width.try_into().ok()?, height.try_into().ok()?)
        .ok()?;
    if (u32::from(found.0), u32::from(found.1)) != (width, height) {
        return None;
    }
    let pixels = decoder.decode().ok()?;
    match decoder.info()?.pixel_format {
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::L16 | PixelFormat::CMYK32 => None,
    }
}
