//! Bytes → upright RGB pixels.

use std::io::Cursor;

use image::error::LimitErrorKind;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::reduced;
use crate::error::{Error, Result};

/// What a file may cost. Checked against what its header claims, before anything is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Length of the file.
    pub max_bytes: u64,
    /// Width × height.
    pub max_pixels: u64,
    /// Memory that decoding takes at its peak, as estimated by [`memory_needed`].
    pub max_memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_pixels: 128_000_000,
            max_memory_bytes: 768 << 20,
        }
    }
}

/// A decoded photo, upright.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// `[height, width, 3]`, sRGB.
    pub rgb: Vec<u8>,
}

/// Decodes JPEG (progressive, CMYK, grey), PNG (16 bits, alpha, palette), WebP, GIF (its first
/// picture), BMP and TIFF. EXIF orientation is applied; transparency is dropped, as Pillow's
/// `convert("RGB")` does.
///
/// # Errors
/// [`Error::UnsupportedFormat`] or [`Error::NotAnImage`] by the signature, [`Error::ImageTooLarge`] by
/// the limits, [`Error::BrokenImage`] for the rest.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    let opened = open(bytes, limits)?;
    opened.upright(None)
}

/// A photo with no more pixels than are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduced {
    /// All of the photo, maybe smaller.
    pub photo: Decoded,
    /// The photo's own width and height, upright.
    pub full: (u32, u32),
}

/// As [`decode`], but a JPEG whose shorter side is at least twice `least` pixels comes at a half, a quarter or an eighth of its
/// size, the shorter side at least `least`, in a fraction of the time and memory.
///
/// # Errors
/// As [`decode`].
pub fn decode_reduced(bytes: &[u8], least: u32, limits: &Limits) -> Result<Reduced> {
    let opened = open(bytes, limits)?;
    let (width, height) = opened.decoder.dimensions();
    let turned = matches!(
        opened.orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let by =
        reduced::divisor((width, height), least).filter(|_| opened.format == ImageFormat::Jpeg);
    // What the one decoder stumbles over, the other one reads or names.
    let small = by.and_then(|by| reduced::jpeg(bytes, (width, height), by));
    Ok(Reduced {
        photo: opened.upright(small)?,
        full: if turned {
            (height, width)
        } else {
            (width, height)
        },
    })
}

/// A file whose header is within the limits.
struct Opened<'a, D> {
    decoder: D,
    format: ImageFormat,
    orientation: Orientation,
    limits: &'a Limits,
}

fn open<'a>(bytes: &'a [u8], limits: &'a Limits) -> Result<Opened<'a, impl ImageDecoder + 'a>> {
    let format = format_of(bytes)?;
    check("bytes", bytes.len() as u64, limits.max_bytes)?;
    let broken = |source| from_decoder(format, source, limits);
    let mut decoder = decoder(bytes, format, limits).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    check(
        "pixels",
        u64::from(width) * u64::from(height),
        limits.max_pixels,
    )?;
    check(
        "bytes of memory",
        peak(&decoder, format),
        limits.max_memory_bytes,
    )?;
    // Orientation that cannot be read is the usual one: the pixels are what counts.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok(Opened {
        decoder,
        format,
        orientation,
        limits,
    })
}

impl<D: ImageDecoder> Opened<'_, D> {
    /// The pixels, those of `small` if it was decoded elsewhere.
    fn upright(self, small: Option<DynamicImage>) -> Result<Decoded> {
        let broken = |source| from_decoder(self.format, source, self.limits);
        let mut picture = match small {
            Some(picture) => picture,
            None => DynamicImage::from_decoder(self.decoder).map_err(broken)?,
        };
        picture.apply_orientation(self.orientation);
        let rgb = picture.into_rgb8();
        Ok(Decoded {
            width: rgb.width(),
            height: rgb.height(),
            rgb: rgb.into_raw(),
        })
    }
}

impl Decoded {
    /// Pixels that were decoded elsewhere: `[height, width, 4]`, sRGB; the fourth of each is dropped.
    ///
    /// # Errors
    /// [`Error::ImageTooLarge`] by the limits, [`Error::Pixels`] where sides and bytes do not agree.
    pub fn from_rgba(rgba: &[u8], width: u32, height: u32, limits: &Limits) -> Result<Self> {
        let pixels = u64::from(width) * u64::from(height);
        check("pixels", pixels, limits.max_pixels)?;
        if pixels == 0 || pixels * 4 != rgba.len() as u64 {
            let found = rgba.len();
            return Err(Error::Pixels {
                width,
                height,
                found,
            });
        }
        let (pixels, _) = rgba.as_chunks::<4>();
        let rgb = pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect();
        Ok(Self { width, height, rgb })
    }
}

/// Bytes of memory that [`decode`] takes at its peak, by the header.
///
/// # Errors
/// As [`decode`], as far as the header shows.
pub fn memory_needed(bytes: &[u8], limits: &Limits) -> Result<u64> {
    let format = format_of(bytes)?;
    let decoder =
        decoder(bytes, format, limits).map_err(|source| from_decoder(format, source, limits))?;
    Ok(peak(&decoder, format))
}

/// A format that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// JPEG
    Jpeg,
    /// PNG
    Png,
    /// WebP
    WebP,
    /// GIF
    Gif,
    /// BMP
    Bmp,
    /// TIFF
    Tiff,
    /// AVIF, which only a browser decodes.
    Avif,
    /// HEIC and HEIF, which only some browsers decode.
    Heic,
    /// One that a newer version knows.
    #[serde(other)]
    Other,
}

/// The format of a file by its first bytes, whether or not it is decoded here; `None` for what is none of them.
pub fn format(bytes: &[u8]) -> Option<Format> {
    match format_of(bytes) {
        Ok(ImageFormat::Jpeg) => Some(Format::Jpeg),
        Ok(ImageFormat::Png) => Some(Format::Png),
        Ok(ImageFormat::WebP) => Some(Format::WebP),
        Ok(ImageFormat::Gif) => Some(Format::Gif),
        Ok(ImageFormat::Bmp) => Some(Format::Bmp),
        Ok(ImageFormat::Tiff) => Some(Format::Tiff),
        Ok(_) => Some(Format::Other),
        Err(Error::UnsupportedFormat { format: "AVIF" }) => Some(Format::Avif),
        Err(Error::UnsupportedFormat {
            format: "HEIC" | "HEIF",
        }) => Some(Format::Heic),
        Err(_) => None,
    }
}

/// What a file's header says, before anything is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Whether [`decode`] knows the format.
    pub decodes: bool,
    /// The format.
    pub format: Option<Format>,
    /// Width × height; 0 where the header does not tell.
    pub pixels: u64,
}

/// Looks at a file's header.
///
/// # Errors
/// [`Error::ImageTooLarge`] for more bytes or pixels than the limits allow.
pub fn glance(bytes: &[u8], limits: &Limits) -> Result<Glance> {
    check("bytes", bytes.len() as u64, limits.max_bytes)?;
    let pixels = match format_of(bytes) {
        Ok(known) => decoder(bytes, known, limits).map_or(0, |decoder| {
            let (width, height) = decoder.dimensions();
            u64::from(width) * u64::from(height)
        }),
        Err(_) => media_pixels(bytes),
    };
    check("pixels", pixels, limits.max_pixels)?;
    Ok(Glance {
        decodes: format_of(bytes).is_ok(),
        format: format(bytes),
        pixels,
    })
}

/// The most pixels that any picture of an ISO media file has (ISO/IEC 23008-12, `ispe`: version, flags, width and
/// height in 32 bits each); 0 without one. Boxes are not followed: what is found too often only makes the file larger.
fn media_pixels(bytes: &[u8]) -> u64 {
    const HEADER: usize = 64 << 10;
    if bytes.get(4..8) != Some(b"ftyp") {
        return 0;
    }
    let header = &bytes[..bytes.len().min(HEADER)];
    let number = |at: &[u8]| u32::from_be_bytes([at[0], at[1], at[2], at[3]]);
    header
        .windows(16)
        .filter(|window| window.starts_with(b"ispe"))
        .map(|window| u64::from(number(&window[8..])) * u64::from(number(&window[12..])))
        .max()
        .unwrap_or(0)
}

fn check(what: &'static str, found: u64, limit: u64) -> Result<()> {
    if found > limit {
        Err(Error::ImageTooLarge { what, found, limit })
    } else {
        Ok(())
    }
}

fn decoder<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    limits: &Limits,
) -> std::result::Result<impl ImageDecoder + 'a, ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut inner = image::Limits::default();
    inner.max_alloc = Some(limits.max_memory_bytes);
    reader.limits(inner);
    reader.into_decoder()
}

/// The decoder's own picture, our RGB copy, and what the format keeps beside them.
fn peak(decoder: &impl ImageDecoder, format: ImageFormat) -> u64 {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let beside = match format {
        // A progressive JPEG's coefficients: three components of 16 bits.
        ImageFormat::Jpeg => 6 * pixels,
        // Canvas and frame.
        ImageFormat::Gif | ImageFormat::WebP => 8 * pixels,
        _ => pixels,
    };
    decoder
        .total_bytes()
        .saturating_add(3 * pixels)
        .saturating_add(beside)
}

/// Formats that are known but not decoded, by the `ftyp` brand of ISO media files.
const BRANDS: &[(&[u8], &str)] = &[
    (b"avif", "AVIF"),
    (b"avis", "AVIF"),
    (b"heic", "HEIC"),
    (b"heix", "HEIC"),
    (b"hevc", "HEIC"),
    (b"hevx", "HEIC"),
    (b"heim", "HEIC"),
    (b"heis", "HEIC"),
    (b"mif1", "HEIF"),
    (b"msf1", "HEIF"),
    (b"mif2", "HEIF"),
    (b"unci", "HEIF"),
    (b"crx ", "CR3"),
];

/// The same, by the first bytes.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"8BPS", "PSD"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG"),
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"IIRO", "ORF"),
    (b"IIU\0", "RW2"),
];

fn format_of(bytes: &[u8]) -> Result<ImageFormat> {
    if let Some(format) = foreign(bytes) {
        return Err(Error::UnsupportedFormat { format });
    }
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => Ok(format),
        Ok(format) => Err(Error::UnsupportedFormat {
            format: name(format),
        }),
        Err(_) => Err(Error::NotAnImage {
            len_bytes: bytes.len(),
        }),
    }
}

fn foreign(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8) == Some(b"ftyp") {
        let brand = bytes.get(8..12)?;
        let known = BRANDS.iter().find(|(known, _)| *known == brand);
        return Some(known.map_or("this ISO media kind", |(_, name)| name));
    }
    SIGNATURES
        .iter()
        .find(|(start, _)| bytes.starts_with(start))
        .map(|(_, name)| *name)
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::Gif => "GIF",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Avif => "AVIF",
        ImageFormat::Hdr => "HDR",
        ImageFormat::OpenExr => "OpenEXR",
        ImageFormat::Ico => "ICO",
        _ => "this image format",
    }
}

fn from_decoder(format: ImageFormat, source: ImageError, limits: &Limits) -> Error {
    let format = name(format);
    match source {
        ImageError::Limits(ref limit)
            if matches!(limit.kind(), LimitErrorKind::InsufficientMemory) =>
        {
            let limit = limits.max_memory_bytes;
            Error::ImageTooLarge {
                what: "bytes of memory",
                found: limit + 1,
                limit,
            }
        }
        source => Error::BrokenImage { format, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A BMP's header that claims a size; the pixels are not there.
    fn bmp_header(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend(b"\x01\0\x18\0".iter().chain(&[0; 24]));
        bytes
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        let error = decode(&bmp_header(60_000, 60_000), &Limits::default()).expect_err("too large");
        assert_eq!(error.code(), "image_too_large");
        assert!(error.to_string().contains("3600000000"), "{error}");
    }

    #[test]
    fn foreign_formats_are_named() {
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0";
        let error = decode(heic, &Limits::default()).expect_err("not decoded");
        assert!(error.to_string().starts_with("HEIC"), "{error}");
        assert_eq!(
            decode(b"", &Limits::default()).expect_err("empty").code(),
            "not_an_image"
        );
        assert_eq!(
            decode(b"hello", &Limits::default())
                .expect_err("text")
                .code(),
            "not_an_image"
        );
    }

    /// The start of an AVIF file whose header claims a size.
    fn avif_header(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\0\0\0\x18ftypavif\0\0\0\0\0\0\0\x14ispe\0\0\0\0".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    #[test]
    fn a_glance_tells_format_and_size_of_what_others_decode() {
        let seen = glance(&avif_header(640, 480), &Limits::default()).expect("small");
        let want = Glance {
            decodes: false,
            format: Some(Format::Avif),
            pixels: 640 * 480,
        };
        assert_eq!(seen, want);
        let error = glance(&avif_header(60_000, 60_000), &Limits::default()).expect_err("a bomb");
        assert_eq!(error.code(), "image_too_large");
        let bmp = glance(&bmp_header(4, 5), &Limits::default()).expect("a header is enough");
        assert_eq!((bmp.decodes, bmp.pixels), (true, 20));
        let text = glance(b"hello", &Limits::default()).expect("nothing to refuse");
        assert_eq!((text.decodes, text.format, text.pixels), (false, None, 0));
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let error = decode(&bmp_header(4, 4), &Limits::default()).expect_err("no pixels");
        assert_eq!(error.code(), "broken_image");
    }
}
