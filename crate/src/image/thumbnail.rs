//! A small JPEG for the grid.

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::preprocess::resize;
use super::{Decoded, Filter};
use crate::error::{Error, Result};

/// JPEG quality: no blocks are seen at this size.
const QUALITY: u8 = 80;

/// A JPEG whose longer side has at most `max_side` pixels; a smaller photo keeps its size.
///
/// # Errors
/// [`Error::Thumbnail`] when the encoder fails.
pub fn thumbnail_jpeg(photo: &Decoded, max_side: u32) -> Result<Vec<u8>> {
    let scale = f64::from(max_side) / f64::from(photo.width.max(photo.height).max(1));
    let side = |full: u32| ((f64::from(full) * scale.min(1.0)).round() as u32).max(1);
    let (width, height) = (side(photo.width), side(photo.height));
    let rgb = resize(photo, width, height, Filter::Bilinear);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode(&rgb, width, height, ExtendedColorType::Rgb8)
        .map_err(|source| Error::Thumbnail { source })?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Limits, decode};

    #[test]
    fn is_a_small_jpeg_of_the_same_shape() {
        let photo = Decoded {
            width: 640,
            height: 320,
            rgb: [200, 100, 50].repeat(640 * 320),
        };
        let jpeg = thumbnail_jpeg(&photo, 64).expect("encodes");
        let small = decode(&jpeg, &Limits::default()).expect("decodes");
        assert_eq!((small.width, small.height), (64, 32));
        assert!(
            small.rgb[0].abs_diff(200) < 8 && small.rgb[2].abs_diff(50) < 8,
            "{:?}",
            &small.rgb[..3]
        );
    }
}
