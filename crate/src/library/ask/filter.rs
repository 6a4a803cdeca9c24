//! Which photos may be found.

use super::date::{DateRange, Day};
use crate::format::{Glance, Names, Records};
use crate::image::Format;
use crate::library::Photo;

/// A condition on what is known of a photo. Names are compared without regard to case.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// All of them hold.
    All(Vec<Filter>),
    /// One of them holds.
    Any(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// Taken then.
    Date(DateRange),
    /// In the album of this name, in lower case.
    Album(String),
    /// With this tag, in lower case.
    Tag(String),
    /// In such a folder, at any depth; lower case, without `/` at the ends.
    Folder(String),
    /// With this in its path, or like this where it has a `*`; lower case.
    Path(String),
    /// A camera with this in its name, in lower case.
    Camera(String),
    /// At most so far from a place.
    Near {
        /// Latitude and longitude, degrees.
        centre: [f64; 2],
        /// Kilometres.
        km: f64,
    },
    /// Between two corners; over the date line where west is more than east.
    Box {
        /// Latitude and longitude of the south-western corner, degrees.
        south_west: [f64; 2],
        /// Those of the north-eastern corner.
        north_east: [f64; 2],
    },
    /// Of this format.
    Format(Format),
    /// A file of so many bytes.
    Size(Bounds),
    /// So many pixels wide.
    Width(Bounds),
    /// So many pixels high.
    Height(Bounds),
    /// Marked as one of the best.
    Favourite,
    /// Of this shape.
    Shape(Shape),
    /// This is known of it.
    Has(Fact),
}

/// From the least to the most, both counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
}

impl Bounds {
    fn contains(&self, value: u64) -> bool {
        (self.least..=self.most).contains(&value)
    }
}

/// The shape of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Higher than wide.
    Portrait,
    /// Wider than high.
    Landscape,
    /// As wide as high.
    Square,
}

/// What may be known of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Where it was taken.
    Place,
    /// When it was taken, by its camera.
    Date,
    /// The camera.
    Camera,
    /// An album.
    Album,
    /// A tag.
    Tag,
}

/// Mean radius of the earth, km (IUGG).
const EARTH_KM: f64 = 6371.0088;

impl Filter {
    /// Whether a photo may be found.
    pub fn matches(&self, photo: &Photo) -> bool {
        let mut record = Records::default();
        record.push(&photo.record());
        self.holds(&record.glance(0))
    }

    /// Whether a photo of which this is known may be found.
    pub(crate) fn holds(&self, photo: &Glance<'_>) -> bool {
        let is = |names: Names<'_>, wanted: &str| names.iter().any(|name| same(name, wanted));
        match self {
            Filter::All(filters) => filters.iter().all(|filter| filter.holds(photo)),
            Filter::Any(filters) => filters.iter().any(|filter| filter.holds(photo)),
            Filter::Not(filter) => !filter.holds(photo),
            Filter::Date(range) => {
                range.contains(Day::of_camera_or_file(photo.taken, photo.modified_ms))
            }
            Filter::Album(name) => is(photo.rest().albums, name),
            Filter::Tag(name) => is(photo.rest().tags, name),
            Filter::Folder(name) => in_folder(photo.path, name),
            Filter::Path(part) if part.contains('*') => like(&lower(photo.path), part),
            Filter::Path(part) => contains(photo.path, part),
            Filter::Camera(name) => photo.rest().camera.is_some_and(|of| contains(of, name)),
            Filter::Near { centre, km } => {
                let at = photo.rest().gps;
                at.is_some_and(|at| distance_km(at, *centre) <= *km)
            }
            Filter::Box {
                south_west,
                north_east,
            } => {
                let at = photo.rest().gps;
                at.is_some_and(|at| in_box(at, *south_west, *north_east))
            }
            Filter::Format(format) => photo.rest().format == Some(*format),
            Filter::Size(bounds) => bounds.contains(photo.bytes),
            Filter::Width(bounds) => bounds.contains(photo.width.into()),
            Filter::Height(bounds) => bounds.contains(photo.height.into()),
            Filter::Favourite => photo.rest().favourite,
            Filter::Shape(shape) => shape.is_of(photo),
            Filter::Has(fact) => fact.is_known_of(photo),
        }
    }
}

impl Shape {
    fn is_of(self, photo: &Glance<'_>) -> bool {
        photo.width > 0
            && match self {
                Shape::Portrait => photo.height > photo.width,
                Shape::Landscape => photo.width > photo.height,
                Shape::Square => photo.width == photo.height,
            }
    }
}

impl Fact {
    fn is_known_of(self, photo: &Glance<'_>) -> bool {
        match self {
            Fact::Place => photo.rest().gps.is_some(),
            Fact::Date => photo.taken.is_some(),
            Fact::Camera => photo.rest().camera.is_some(),
            Fact::Album => !photo.rest().albums.is_empty(),
            Fact::Tag => !photo.rest().tags.is_empty(),
        }
    }
}

/// UTF-8 in lower case.
fn lower(text: &[u8]) -> String {
    String::from_utf8_lossy(text).to_lowercase()
}

/// Whether a name is `wanted`, which is in lower case, but for its case.
fn same(name: &[u8], wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted.as_bytes()) || (!name.is_ascii() && lower(name) == wanted)
}

/// Whether `wanted`, which is in lower case, is in the text, whatever the text's case.
fn contains(text: &[u8], wanted: &str) -> bool {
    if text.is_ascii() {
        // Nothing is copied: this runs over every photo of a library.
        let wanted = wanted.as_bytes();
        return wanted.is_empty()
            || text
                .windows(wanted.len())
                .any(|part| part.eq_ignore_ascii_case(wanted));
    }
    lower(text).contains(wanted)
}

/// Whether the folders of a path have these ones among them, one after the other.
fn in_folder(path: &[u8], wanted: &str) -> bool {
    let Some(end) = path.iter().rposition(|byte| *byte == b'/') else {
        return false;
    };
    let folders = &path[..end];
    contains(folders, wanted) && {
        let folders = format!("/{}/", lower(folders));
        folders.contains(&format!("/{wanted}/"))
    }
}

/// Whether the whole text is like a pattern in which `*` stands for anything.
fn like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place will do: what comes later only has more room.
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The great-circle distance of two places, by the haversine formula.
pub(crate) fn distance_km(a: [f64; 2], b: [f64; 2]) -> f64 {
    let half_chord = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let h = half_chord(a[0], b[0])
        + a[0].to_radians().cos() * b[0].to_radians().cos() * half_chord(a[1], b[1]);
    2.0 * EARTH_KM * h.sqrt().min(1.0).asin()
}

fn in_box([lat, lon]: [f64; 2], [south, west]: [f64; 2], [north, east]: [f64; 2]) -> bool {
    let between = if west <= east {
        (west..=east).contains(&lon)
    } else {
        lon >= west || lon <= east
    };
    (south..=north).contains(&lat) && between
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, want) in [
            ("*beach*", true),
            ("trips/*.jpg", true),
            ("*.png", false),
            ("trips*beach", false),
            ("*", true),
            ("t*s/b*h.j*g", true),
            ("trips/beach.jpg*jpg", false),
        ] {
            assert_eq!(like("trips/beach.jpg", pattern), want, "{pattern}");
        }
    }

    #[test]
    fn folders_are_whole_names() {
        for (folder, want) in [
            ("rome", true),
            ("trips/rome", true),
            ("rom", false),
            ("trips", true),
            ("beach.jpg", false),
            ("été", true),
        ] {
            assert_eq!(
                in_folder("Trips/Rome/Été/beach.jpg".as_bytes(), folder),
                want,
                "{folder}"
            );
        }
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let (paris, rome) = ([48.8566, 2.3522], [41.9028, 12.4964]);
        assert!((distance_km(paris, rome) - 1105.0).abs() < 5.0);
        assert!(distance_km([0.0, 179.9], [0.0, -179.9]) < 30.0);
        assert!((distance_km([90.0, 0.0], [-90.0, 0.0]) - 20_015.0).abs() < 5.0);
    }

    #[test]
    fn boxes_cross_the_date_line() {
        assert!(in_box([-17.0, 179.0], [-20.0, 177.0], [-12.0, -178.0]));
        assert!(!in_box([-17.0, 0.0], [-20.0, 177.0], [-12.0, -178.0]));
        assert!(in_box([41.9, 12.5], [41.0, 12.0], [42.0, 13.0]));
    }
}
