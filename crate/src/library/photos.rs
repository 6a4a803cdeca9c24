//! The photos of a segment: their records as they are stored, and those that were asked for as values.
//!
//! ```text
//! records   path, digest, size, … │ path, …       read in place: filters, dates, names
//! met       photo 0 │ – │ – │ photo 3 │ …         made when it is first shown
//! ```

use std::sync::OnceLock;

use super::Photo;
use crate::format::{Digest, Glance, Listed, Record, Records};

/// Photos, row by row.
#[derive(Debug, Default)]
pub(super) struct Photos {
    records: Records,
    met: Vec<OnceLock<Box<Photo>>>,
}

impl Photos {
    /// What a segment lists; `None` for JSON of anything else than photos.
    pub fn listed(listed: Listed<'_>) -> Option<Self> {
        Some(match listed {
            Listed::Records(records) => Self {
                met: std::iter::repeat_with(OnceLock::new)
                    .take(records.len())
                    .collect(),
                records,
            },
            Listed::Json(json) => {
                let photos: Vec<Photo> = serde_json::from_slice(json).ok()?;
                photos.into_iter().collect()
            }
        })
    }

    pub fn len(&self) -> usize {
        self.met.len()
    }

    pub fn records(&self) -> &Records {
        &self.records
    }

    /// What is kept of the photo of a row.
    pub fn record(&self, row: usize) -> Record<'_> {
        self.records.get(row)
    }

    /// What filters ask of the photo of a row.
    pub fn glance(&self, row: usize) -> Glance<'_> {
        self.records.glance(row)
    }

    pub fn path(&self, row: usize) -> &str {
        self.records.path(row)
    }

    /// The photo of a row.
    pub fn get(&self, row: usize) -> &Photo {
        self.met[row].get_or_init(|| Box::new(Photo::from(&self.record(row))))
    }

    pub fn push(&mut self, photo: Photo) {
        self.records.push(&photo.record());
        self.met.push(OnceLock::from(Box::new(photo)));
    }

    /// Appends a photo of others.
    pub fn push_from(&mut self, others: &Photos, row: usize) {
        self.records.push_from(&others.records, row);
        self.met.push(OnceLock::new());
    }
}

impl FromIterator<Photo> for Photos {
    fn from_iter<I: IntoIterator<Item = Photo>>(photos: I) -> Self {
        let mut all = Self::default();
        for photo in photos {
            all.records.push(&photo.record());
            all.met.push(OnceLock::new());
        }
        all
    }
}

impl Photo {
    /// What is kept of it.
    pub(crate) fn record(&self) -> Record<'_> {
        fn texts(names: &[String]) -> Vec<&str> {
            names.iter().map(String::as_str).collect()
        }
        let record = Record {
            path: &self.path,
            digest: Digest::of(&self.digest),
            bytes: self.bytes,
            modified_ms: self.modified_ms,
            width: self.width,
            height: self.height,
            taken: self.taken.as_deref(),
            camera: self.camera.as_deref(),
            gps: self.gps,
            favourite: self.favourite,
            albums: texts(&self.albums),
            tags: texts(&self.tags),
            ..Record::default()
        };
        record.with_format(self.format).with_phash(self.phash)
    }
}

impl From<&Record<'_>> for Photo {
    fn from(record: &Record<'_>) -> Self {
        let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            path: record.path.to_owned(),
            bytes: record.bytes,
            modified_ms: record.modified_ms,
            digest: record.digest.text(),
            width: record.width,
            height: record.height,
            taken: record.taken.map(str::to_owned),
            camera: record.camera.map(str::to_owned),
            gps: record.gps,
            format: record.format(),
            phash: record.phash(),
            favourite: record.favourite,
            albums: texts(&record.albums),
            tags: texts(&record.tags),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Format, PerceptualHash};

    #[test]
    fn nothing_of_a_photo_is_lost() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let full = Photo {
            path: "Été/1.jpg".into(),
            bytes: u64::MAX,
            modified_ms: i64::MIN,
            digest: "ab".repeat(32),
            width: 1,
            height: u32::MAX,
            taken: Some("2019-07-04T12:30:00".into()),
            camera: Some(String::new()),
            gps: Some([-90.0, 180.0]),
            format: Some(Format::WebP),
            phash: Some(PerceptualHash(u64::MAX)),
            favourite: true,
            albums: names(&["Rome", ""]),
            tags: names(&["sea"]),
        };
        let odd = Photo {
            digest: "AB".repeat(32),
            format: Some(Format::Other),
            ..Photo::default()
        };
        let mut photos: Photos = [full.clone(), odd.clone()].into_iter().collect();
        photos.push(Photo::default());
        let listed = Photos::listed(Listed::Records(photos.records().clone())).expect("records");
        for (row, wanted) in [full, odd, Photo::default()].iter().enumerate() {
            assert_eq!((photos.get(row), listed.get(row)), (wanted, wanted));
        }
    }
}
