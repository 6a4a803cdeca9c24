//! A whole library at a glance: all photos by time, and what they can be filtered by.

use std::collections::BTreeMap;

use super::ask::Day;
use super::search::Timed;
use super::segment::Segment;
use super::{Library, Photo, Place};

/// The photos of a library, the newest first, as of one state of it.
#[derive(Debug, Default)]
pub struct ByTime {
    changes: u64,
    places: Vec<Place>,
}

impl ByTime {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// What a library can be filtered by, with the numbers of photos.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facets {
    /// Favourites.
    pub favourites: usize,
    /// Photos that tell where they were taken.
    pub places: usize,
    /// The latest first.
    pub years: Vec<(u16, usize)>,
    /// The most frequent first, as what follows.
    pub albums: Vec<(String, usize)>,
    /// Tags.
    pub tags: Vec<(String, usize)>,
    /// Cameras.
    pub cameras: Vec<(String, usize)>,
}

impl Library {
    /// All photos, the newest first; of one time, by path.
    pub fn by_time(&self) -> ByTime {
        let mut timed = self.timed(|_, _| true);
        timed.sort_unstable_by(Timed::newest_first);
        ByTime {
            changes: self.changes,
            places: timed.iter().map(|of| of.place).collect(),
        }
    }

    /// Whether `order` is still that of the library.
    pub fn is_current(&self, order: &ByTime) -> bool {
        self.changes == order.changes && self.places.len() == order.places.len()
    }

    /// At most `count` photos of a current order, without the first `offset`.
    pub fn listed<'a>(
        &'a self,
        order: &'a ByTime,
        offset: usize,
        count: usize,
    ) -> impl Iterator<Item = &'a Photo> {
        let some = order.places.iter().skip(offset).take(count);
        some.map(|place| self.photo_at(*place))
    }

    /// Each photo's width by its height, in a current order.
    pub fn shapes(&self, order: &ByTime) -> Vec<f32> {
        let shape = |(segment, row): &Place| {
            let record = self.segments[*segment].photos.record(*row);
            record.width as f32 / record.height as f32
        };
        order.places.iter().map(shape).collect()
    }

    /// The paths of all photos below a folder; of all, where it is empty.
    pub fn paths_below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        let is_below = move |path: &&str| {
            let rest = path.strip_prefix(folder);
            folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let paths = |segment: &'a Segment| {
            let rows = segment.live_rows();
            rows.map(|row| segment.photos.path(row))
        };
        self.segments.iter().flat_map(paths).filter(is_below)
    }

    /// What the library can be filtered by.
    pub fn facets(&self) -> Facets {
        let mut years: BTreeMap<u16, usize> = BTreeMap::new();
        let mut words: [BTreeMap<&str, usize>; 3] = Default::default();
        let mut facets = Facets::default();
        for (_, photo) in self.segments.iter().flat_map(Segment::records) {
            facets.favourites += usize::from(photo.favourite);
            facets.places += usize::from(photo.gps.is_some());
            *years.entry(Day::of_record(&photo).year).or_default() += 1;
            let [albums, tags, cameras] = &mut words;
            for (counts, words) in [(albums, &photo.albums), (tags, &photo.tags)] {
                words
                    .iter()
                    .for_each(|word| *counts.entry(word).or_default() += 1);
            }
            if let Some(camera) = photo.camera.filter(|camera| !camera.is_empty()) {
                *cameras.entry(camera).or_default() += 1;
            }
        }
        let [albums, tags, cameras] = words.map(most_frequent);
        Facets {
            years: years.into_iter().rev().collect(),
            albums,
            tags,
            cameras,
            ..facets
        }
    }
}

/// The most frequent first; of equal ones, in their order.
fn most_frequent(counts: BTreeMap<&str, usize>) -> Vec<(String, usize)> {
    let counts = counts.into_iter();
    let mut counts: Vec<(String, usize)> = counts
        .map(|(word, count)| (word.to_owned(), count))
        .collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use crate::library::{Library, ModelRef, Photo};

    #[test]
    fn all_photos_at_a_glance() {
        let mut library = Library::create(ModelRef {
            name: "m".into(),
            digest: "d".into(),
            dim: 2,
        });
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        for (at, path) in ["a/1.jpg", "a/2.jpg", "ab/3.jpg"].iter().enumerate() {
            let photo = Photo {
                path: (*path).to_owned(),
                taken: Some(format!("20{}-01-01T10:00:00", 10 + at / 2)),
                width: 400,
                height: 100 * (1 + at as u32),
                favourite: at == 1,
                tags: names(&["sea", "dog"][..1 + at % 2]),
                ..Photo::default()
            };
            library.put(photo, &[1.0, 0.0]).expect("fits");
        }
        let order = library.by_time();
        let paths = |offset, count| {
            let listed = library.listed(&order, offset, count);
            listed.map(|photo| photo.path.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(paths(0, 9), ["ab/3.jpg", "a/1.jpg", "a/2.jpg"]);
        assert_eq!((paths(1, 1), order.len()), (vec!["a/1.jpg"], 3));
        assert_eq!(library.shapes(&order)[1..], [4.0, 2.0]);
        let below: Vec<&str> = library.paths_below("a").collect();
        assert_eq!(below, ["a/1.jpg", "a/2.jpg"]);
        assert_eq!(library.paths_below("").count(), 3);
        let facets = library.facets();
        assert_eq!((facets.favourites, facets.places), (1, 0));
        assert_eq!(facets.years, [(2011, 1), (2010, 2)]);
        assert_eq!(facets.tags, [("sea".to_owned(), 3), ("dog".to_owned(), 1)]);
        library.remove("a/1.jpg");
        assert!(!library.is_current(&order) && library.is_current(&library.by_time()));
    }
}
