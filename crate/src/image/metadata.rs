//! What a camera wrote beside the pixels (EXIF).

use std::io::Cursor;

use exif::{Exif, In, Tag, Value};

/// What could be read; the rest is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// When it was taken, local time: `2019-07-04T12:30:00`.
    pub taken: Option<String>,
    /// Maker and model.
    pub camera: Option<String>,
    /// Latitude and longitude in degrees, north and east positive.
    pub gps: Option<[f64; 2]>,
}

/// Reads a photo's EXIF. Never fails: a broken or missing part is absent.
pub fn metadata(bytes: &[u8]) -> Metadata {
    match exif::Reader::new().read_from_container(&mut Cursor::new(bytes)) {
        Ok(exif) => Metadata {
            taken: taken(&exif),
            camera: camera(&exif),
            gps: gps(&exif),
        },
        Err(_) => Metadata::default(),
    }
}

fn ascii(exif: &Exif, tag: Tag) -> Option<String> {
    let Value::Ascii(parts) = &exif.get_field(tag, In::PRIMARY)?.value else {
        return None;
    };
    let text = String::from_utf8_lossy(parts.first()?);
    let text = text
        .trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .to_owned();
    (!text.is_empty()).then_some(text)
}

fn taken(exif: &Exif) -> Option<String> {
    let text = ascii(exif, Tag::DateTimeOriginal).or_else(|| ascii(exif, Tag::DateTime))?;
    let at = exif::DateTime::from_ascii(text.as_bytes()).ok()?;
    let real = (1..=12).contains(&at.month)
        && (1..=31).contains(&at.day)
        && at.hour < 24
        && at.minute < 60;
    real.then(|| {
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            at.year, at.month, at.day, at.hour, at.minute, at.second
        )
    })
}

fn camera(exif: &Exif) -> Option<String> {
    let (maker, model) = (ascii(exif, Tag::Make), ascii(exif, Tag::Model));
    match (maker, model) {
        // Many models begin with the maker's name.
        (Some(maker), Some(model)) if !model.starts_with(&maker) => {
            Some(format!("{maker} {model}"))
        }
        (maker, model) => model.or(maker),
    }
}

fn gps(exif: &Exif) -> Option<[f64; 2]> {
    let degrees = |tag| {
        let Value::Rational(parts) = &exif.get_field(tag, In::PRIMARY)?.value else {
            return None;
        };
        let [d, m, s] = parts.first_chunk()?;
        let value = d.to_f64() + m.to_f64() / 60.0 + s.to_f64() / 3600.0;
        value.is_finite().then_some(value)
    };
    let sign = |tag, negative: &str| {
        if ascii(exif, tag).as_deref() == Some(negative) {
            -1.0
        } else {
            1.0
        }
    };
    let latitude = degrees(Tag::GPSLatitude)? * sign(Tag::GPSLatitudeRef, "S");
    let longitude = degrees(Tag::GPSLongitude)? * sign(Tag::GPSLongitudeRef, "W");
    (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some([latitude, longitude])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_absent() {
        for bytes in [
            &b""[..],
            b"not an image",
            b"\xff\xd8\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\xff",
        ] {
            assert_eq!(metadata(bytes), Metadata::default());
        }
    }
}
