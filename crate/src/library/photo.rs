//! What is known of a photo.

use serde::{Deserialize, Serialize};

use crate::image::{Format, PerceptualHash};

/// A photo of a library. Its path is its lasting name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Photo {
    /// Below the indexed folder, with `/`.
    pub path: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// When the file was changed, in milliseconds since 1970 (UTC).
    pub modified_ms: i64,
    /// SHA-256 of the file's bytes, in lower-case hex.
    pub digest: String,
    /// Width in pixels, upright.
    pub width: u32,
    /// Height in pixels, upright.
    pub height: u32,
    /// When it was taken, local time: `2019-07-04T12:30:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<String>,
    /// The camera's maker and model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<String>,
    /// Latitude and longitude in degrees, north and east positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gps: Option<[f64; 2]>,
    /// The file's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What near duplicates have nearly in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phash: Option<PerceptualHash>,
    /// Marked as one of the best. This and the two that follow are its owner's words, which stay when
    /// the file is changed, moved or indexed again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub favourite: bool,
    /// Albums that it is in, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub albums: Vec<String>,
    /// Words that were put to it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Photo {
    /// Whether its owner has said something of it.
    pub fn is_labelled(&self) -> bool {
        self.favourite || !self.albums.is_empty() || !self.tags.is_empty()
    }

    /// The same photo with the labels of another one.
    pub(super) fn labelled_as(self, other: &Photo) -> Self {
        Self {
            favourite: other.favourite,
            albums: other.albums.clone(),
            tags: other.tags.clone(),
            ..self
        }
    }
}

/// A change to the labels of photos.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LabelChange {
    /// Whether they are favourites; `None` leaves that as it is.
    pub favourite: Option<bool>,
    /// Albums that they come into.
    pub add_albums: Vec<String>,
    /// Albums that they leave.
    pub remove_albums: Vec<String>,
    /// Tags that they get.
    pub add_tags: Vec<String>,
    /// Tags that they lose.
    pub remove_tags: Vec<String>,
}

impl LabelChange {
    /// The photo after the change. Names are told apart without regard to case; the first one stays.
    pub fn apply(&self, photo: &Photo) -> Photo {
        Photo {
            favourite: self.favourite.unwrap_or(photo.favourite),
            albums: edited(&photo.albums, &self.add_albums, &self.remove_albums),
            tags: edited(&photo.tags, &self.add_tags, &self.remove_tags),
            ..photo.clone()
        }
    }
}

fn edited(names: &[String], add: &[String], remove: &[String]) -> Vec<String> {
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    let mut edited: Vec<String> = names
        .iter()
        .filter(|name| !remove.iter().any(|gone| same(name, gone.trim())))
        .cloned()
        .collect();
    for name in add.iter().map(|name| name.trim()) {
        if !name.is_empty() && !edited.iter().any(|known| same(known, name)) {
            edited.push(name.to_owned());
        }
    }
    edited.sort();
    edited
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_changed_without_regard_to_case() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let photo = Photo {
            tags: names(&["Dog", "sea"]),
            ..Photo::default()
        };
        let change = LabelChange {
            favourite: Some(true),
            add_tags: names(&["dog", " Äpfel ", ""]),
            remove_tags: names(&["SEA"]),
            ..LabelChange::default()
        };
        let changed = change.apply(&photo);
        assert!(changed.favourite);
        assert_eq!(changed.tags, ["Dog", "Äpfel"]);
        assert_eq!(LabelChange::default().apply(&changed), changed);
    }

    #[test]
    fn photos_of_older_libraries_are_read() {
        let old = r#"{"path":"a.jpg","bytes":1,"modified_ms":2,"digest":"d","width":3,"height":4}"#;
        let photo: Photo = serde_json::from_str(old).expect("nothing that is needed is missing");
        assert!(photo.phash.is_none() && photo.format.is_none() && !photo.is_labelled());
        assert_eq!(serde_json::to_string(&photo).expect("JSON"), old);
    }
}
