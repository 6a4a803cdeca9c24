//! What stands behind a filter's colon.

use super::date::DateRange;
use super::filter::{Bounds, Fact, Filter, Shape};
use crate::image::Format;

/// The filters, and what their values look like.
pub(super) const FILTERS: &[(&str, &str)] = &[
    ("album", "an album's name"),
    ("box", "south,west,north,east in degrees"),
    ("camera", "a part of a camera's name"),
    (
        "date",
        "2019, 2019-05, 2019-05-12, or two of them around `..`",
    ),
    ("folder", "a folder's name"),
    ("has", "place, date, camera, album or tag"),
    ("height", "1080, >1080, <=1080 or 800..1080"),
    ("is", "favourite, portrait, landscape or square"),
    ("near", "latitude,longitude,km"),
    ("path", "a part of a path, or a pattern with *"),
    ("size", ">2mb, <=500kb or 1mb..5mb"),
    ("tag", "a tag"),
    ("type", "jpeg, png, webp, gif, bmp or tiff"),
    ("width", "1920, >1920, <=1920 or 800..1920"),
];

/// The filter of this name and value; `None` when the value does not fit.
pub(super) fn filter(name: &str, value: &str) -> Option<Filter> {
    let lower = value.trim().to_lowercase();
    if lower.is_empty() {
        return None;
    }
    Some(match name {
        "album" => Filter::Album(lower),
        "box" => rectangle(&lower)?,
        "camera" => Filter::Camera(lower),
        "date" => Filter::Date(DateRange::parse(&lower)?),
        "folder" => Filter::Folder(folder(&lower)?),
        "has" => Filter::Has(fact(&lower)?),
        "height" => Filter::Height(bounds(&lower, count)?),
        "is" => quality(&lower)?,
        "near" => near(&lower)?,
        "path" => Filter::Path(lower),
        "size" => size(&lower)?,
        "tag" => Filter::Tag(lower),
        "type" => Filter::Format(format(&lower)?),
        "width" => Filter::Width(bounds(&lower, count)?),
        _ => return None,
    })
}

fn folder(text: &str) -> Option<String> {
    let name = text.trim_matches('/');
    (!name.is_empty()).then(|| name.to_owned())
}

fn fact(text: &str) -> Option<Fact> {
    Some(match text {
        "place" | "gps" => Fact::Place,
        "date" => Fact::Date,
        "camera" => Fact::Camera,
        "album" => Fact::Album,
        "tag" => Fact::Tag,
        _ => return None,
    })
}

fn quality(text: &str) -> Option<Filter> {
    Some(match text {
        "favourite" | "favorite" => Filter::Favourite,
        "portrait" => Filter::Shape(Shape::Portrait),
        "landscape" => Filter::Shape(Shape::Landscape),
        "square" => Filter::Shape(Shape::Square),
        _ => return None,
    })
}

fn format(text: &str) -> Option<Format> {
    Some(match text {
        "jpeg" | "jpg" => Format::Jpeg,
        "png" => Format::Png,
        "webp" => Format::WebP,
        "gif" => Format::Gif,
        "bmp" => Format::Bmp,
        "tiff" | "tif" => Format::Tiff,
        "avif" => Format::Avif,
        "heic" | "heif" => Format::Heic,
        _ => return None,
    })
}

/// Exactly `N` finite numbers with commas between them.
fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let parsed: Vec<f64> = text
        .split(',')
        .map(|part| part.trim().parse().ok().filter(|x: &f64| x.is_finite()))
        .collect::<Option<_>>()?;
    parsed.try_into().ok()
}

fn place(latitude: f64, longitude: f64) -> Option<[f64; 2]> {
    (latitude.abs() <= 90.0 && longitude.abs() <= 180.0).then_some([latitude, longitude])
}

fn near(text: &str) -> Option<Filter> {
    let [latitude, longitude, km] = numbers(text.strip_suffix("km").unwrap_or(text))?;
    let centre = place(latitude, longitude)?;
    (km >= 0.0).then_some(Filter::Near { centre, km })
}

fn rectangle(text: &str) -> Option<Filter> {
    let [south, west, north, east] = numbers(text)?;
    (south <= north).then_some(Filter::Box {
        south_west: place(south, west)?,
        north_east: place(north, east)?,
    })
}

/// A size is hardly ever known to the byte: one without a sign would find nothing.
fn size(text: &str) -> Option<Filter> {
    let is_range = text.contains(['<', '>']) || text.contains("..");
    is_range.then(|| bounds(text, bytes).map(Filter::Size))?
}

/// `>n`, `>=n`, `<n`, `<=n`, `n..m`, `n..`, `..n` or `n`.
fn bounds(text: &str, number: fn(&str) -> Option<u64>) -> Option<Bounds> {
    let from = |least| Bounds {
        least,
        most: u64::MAX,
    };
    let up_to = |most| Bounds { least: 0, most };
    let bounds = if let Some(n) = text.strip_prefix(">=") {
        from(number(n)?)
    } else if let Some(n) = text.strip_prefix('>') {
        from(number(n)?.checked_add(1)?)
    } else if let Some(n) = text.strip_prefix("<=") {
        up_to(number(n)?)
    } else if let Some(n) = text.strip_prefix('<') {
        up_to(number(n)?.checked_sub(1)?)
    } else if let Some((least, most)) = text.split_once("..") {
        let open = least.is_empty() && most.is_empty();
        let side = |text: &str, open| {
            if text.is_empty() {
                Some(open)
            } else {
                number(text)
            }
        };
        Bounds {
            least: side(least, 0).filter(|_| !open)?,
            most: side(most, u64::MAX)?,
        }
    } else {
        let n = number(text)?;
        Bounds { least: n, most: n }
    };
    (bounds.least <= bounds.most).then_some(bounds)
}

fn count(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Bytes, in units of 1,000.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches('b');
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 'k') => (&text[..at], 1e3),
        (at, 'm') => (&text[..at], 1e6),
        (at, 'g') => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    let number: f64 = digits.trim().parse().ok()?;
    let bytes = number * unit;
    (bytes.is_finite() && (0.0..1e18).contains(&bytes)).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let size = |text| match filter("size", text) {
            Some(Filter::Size(Bounds { least, most })) => Some((least, most)),
            _ => None,
        };
        assert_eq!(size(">2mb"), Some((2_000_001, u64::MAX)));
        assert_eq!(size("<= 1.5kb"), Some((0, 1500)));
        assert_eq!(size("1k..2M"), Some((1000, 2_000_000)));
        assert_eq!(size("<1"), Some((0, 0)));
        for wrong in [
            "2mb", "", ">", "..", "5mb..1mb", ">-1", "<0", ">nan", ">1e40",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn places_are_read() {
        assert!(filter("near", "41.9, 12.5, 20km").is_some());
        assert!(filter("box", "41,12,42,13").is_some());
        for wrong in ["91,0,1", "1,2", "1,2,-3", "a,b,c", "1,2,inf", "1,2,3,4"] {
            assert!(filter("near", wrong).is_none(), "{wrong}");
        }
        assert!(filter("box", "42,12,41,13").is_none());
    }

    #[test]
    fn every_filter_that_is_told_of_is_known() {
        let good = [
            "x", "1,2,3,4", "x", "2019", "x", "tag", "<9", "square", "1,2,3", "x*", ">1mb", "x",
            "tif", "1920",
        ];
        assert_eq!(good.len(), FILTERS.len());
        for ((name, _), value) in FILTERS.iter().zip(good) {
            assert!(filter(name, value).is_some(), "{name}:{value}");
            assert!(filter(name, " ").is_none(), "{name}");
        }
    }
}
