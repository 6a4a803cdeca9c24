//! A photo as a row, and columns of rows.
//!
//! | column | type | what |
//! | --- | --- | --- |
//! | `id` | integer, key | the first 63 bits of the SHA-256 of the path |
//! | `version` | integer | the same of `photo`: what an export compares |
//! | `vector` | float `[dim]` | of length one |
//! | `photo` | text | all that is known, as JSON |
//! | `date` | integer | year · 10⁴ + month · 10² + day |
//! | `time` | double | seconds since 1970, local time |
//! | `path`, `camera`, `format` | text | in lower case |
//! | `album`, `tag` | texts | in lower case |
//! | `folder` | texts | every run of folders of the path, in lower case: `a`, `a/b`, `b` |
//! | `bytes`, `width`, `height` | integer | |
//! | `shape` | integer | 0 unknown, 1 portrait, 2 landscape, 3 square |
//! | `favourite`, `has_place`, `has_date` | boolean | |
//! | `has_camera`, `has_album`, `has_tag` | boolean | |
//! | `latitude`, `longitude` | double | degrees; 0 where `has_place` is false |
//! | `path_words`, `label_words` | texts | what words of a query are looked up in |

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::note::pair;
use super::proto::{
    ArrayArray, BoolArray, CollectionSchema, DoubleArray, Field, FieldData, FieldSchema,
    FloatArray, LongArray, ScalarField, Scalars, StringArray, VectorData, VectorField, data_type,
};
use crate::error::{Error, Result};
use crate::library::ask::Day;
use crate::library::search::time_of;
use crate::library::{Photo, words};

/// Bytes of a text column, at most: Milvus has no longer ones.
const MAX_TEXT: usize = 65_535;
/// Bytes of one of several texts.
const MAX_ELEMENT: usize = 4096;
/// Texts of one row, at most.
const MAX_ELEMENTS: usize = 1024;

/// The values of a column.
enum Column {
    Integer(fn(&Photo) -> i64),
    Double(fn(&Photo) -> f64),
    Boolean(fn(&Photo) -> bool),
    Text(fn(&Photo) -> String),
    Texts(fn(&Photo) -> Vec<String>),
}

/// All columns but the key and the vector.
const COLUMNS: &[(&str, Column)] = &[
    ("version", Column::Integer(version)),
    ("photo", Column::Text(json)),
    ("date", Column::Integer(|photo| date(Day::of_photo(photo)))),
    ("time", Column::Double(|photo| time_of(&photo.record()))),
    ("path", Column::Text(|photo| photo.path.to_lowercase())),
    ("camera", Column::Text(camera)),
    (
        "format",
        Column::Text(|photo| photo.format.map_or_else(String::new, format)),
    ),
    ("album", Column::Texts(|photo| lower(&photo.albums))),
    ("tag", Column::Texts(|photo| lower(&photo.tags))),
    ("folder", Column::Texts(folders)),
    ("bytes", Column::Integer(|photo| integer(photo.bytes))),
    ("width", Column::Integer(|photo| photo.width.into())),
    ("height", Column::Integer(|photo| photo.height.into())),
    ("shape", Column::Integer(shape)),
    ("favourite", Column::Boolean(|photo| photo.favourite)),
    ("has_place", Column::Boolean(|photo| photo.gps.is_some())),
    ("has_date", Column::Boolean(|photo| photo.taken.is_some())),
    (
        "has_camera",
        Column::Boolean(|photo| photo.camera.is_some()),
    ),
    (
        "has_album",
        Column::Boolean(|photo| !photo.albums.is_empty()),
    ),
    ("has_tag", Column::Boolean(|photo| !photo.tags.is_empty())),
    (
        "latitude",
        Column::Double(|photo| photo.gps.map_or(0.0, |[latitude, _]| latitude)),
    ),
    (
        "longitude",
        Column::Double(|photo| photo.gps.map_or(0.0, |[_, longitude]| longitude)),
    ),
    (
        "path_words",
        Column::Texts(|photo| each_once(words::path_words(&photo.record()))),
    ),
    (
        "label_words",
        Column::Texts(|photo| each_once(words::label_words(&photo.record()))),
    ),
];

fn json(photo: &Photo) -> String {
    serde_json::to_string(photo).expect("a photo is JSON")
}

/// The key of a path.
pub(super) fn id(path: &str) -> i64 {
    hash(path)
}

/// What an export compares: another one when anything that is known of the photo is.
pub(super) fn version(photo: &Photo) -> i64 {
    hash(&json(photo))
}

fn hash(text: &str) -> i64 {
    let digest = Sha256::digest(text.as_bytes());
    let first = digest.first_chunk().expect("32 bytes");
    i64::from_be_bytes(*first) & i64::MAX
}

/// A day as a number that sorts as days do.
pub(super) fn date(day: Day) -> i64 {
    i64::from(day.year) * 10_000 + i64::from(day.month) * 100 + i64::from(day.day)
}

/// A format's word: as JSON has it.
pub(super) fn format(format: crate::image::Format) -> String {
    let json = serde_json::to_value(format).expect("a format is JSON");
    json.as_str().unwrap_or_default().to_lowercase()
}

pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn camera(photo: &Photo) -> String {
    photo.camera.as_deref().unwrap_or_default().to_lowercase()
}

fn lower(names: &[String]) -> Vec<String> {
    each_once(names.iter().map(|name| name.to_lowercase()).collect())
}

fn each_once(words: Vec<String>) -> Vec<String> {
    let words: BTreeSet<String> = words.into_iter().collect();
    words.into_iter().collect()
}

fn folders(photo: &Photo) -> Vec<String> {
    let path = photo.path.to_lowercase();
    let Some((folders, _)) = path.rsplit_once('/') else {
        return Vec::new();
    };
    let names: Vec<&str> = folders.split('/').collect();
    let from = |start: usize| (start + 1..=names.len()).map(move |end| (start, end));
    let runs = (0..names.len()).flat_map(from);
    each_once(
        runs.map(|(start, end)| names[start..end].join("/"))
            .collect(),
    )
}

fn shape(photo: &Photo) -> i64 {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match photo.width.cmp(&photo.height) {
        _ if photo.width == 0 => 0,
        Less => 1,
        Greater => 2,
        Equal => 3,
    }
}

/// The columns of a collection.
pub(super) fn schema(collection: &str, dim: usize, description: String) -> CollectionSchema {
    let of = |name: &str, data_type: i32| FieldSchema {
        name: name.to_owned(),
        data_type,
        ..FieldSchema::default()
    };
    let id = FieldSchema {
        is_primary_key: true,
        ..of("id", data_type::INT64)
    };
    let vector = FieldSchema {
        type_params: vec![pair("dim", dim)],
        ..of("vector", data_type::FLOAT_VECTOR)
    };
    let columns = COLUMNS.iter().map(|(name, column)| match column {
        Column::Integer(_) => of(name, data_type::INT64),
        Column::Double(_) => of(name, data_type::DOUBLE),
        Column::Boolean(_) => of(name, data_type::BOOL),
        Column::Text(_) => FieldSchema {
            type_params: vec![pair("max_length", MAX_TEXT)],
            ..of(name, data_type::VARCHAR)
        },
        Column::Texts(_) => FieldSchema {
            element_type: data_type::VARCHAR,
            type_params: vec![
                pair("max_length", MAX_ELEMENT),
                pair("max_capacity", MAX_ELEMENTS),
            ],
            ..of(name, data_type::ARRAY)
        },
    });
    CollectionSchema {
        name: collection.to_owned(),
        description,
        fields: [id, vector].into_iter().chain(columns).collect(),
    }
}

/// Rows that go to the server at once.
#[derive(Default)]
pub(super) struct Batch {
    pub photos: Vec<Photo>,
    /// `[photos, dim]`
    pub vectors: Vec<f32>,
}

impl Batch {
    /// The columns.
    ///
    /// # Errors
    /// [`Error::Collection`] when more is known of a photo than a row can hold.
    pub fn columns(&self, collection: &str) -> Result<Vec<FieldData>> {
        let ids = self.photos.iter().map(|photo| id(&photo.path)).collect();
        let mut columns = vec![
            scalars(
                "id",
                data_type::INT64,
                Scalars::Longs(LongArray { data: ids }),
            ),
            vectors(&self.vectors, self.vectors.len() / self.photos.len().max(1)),
        ];
        for (name, column) in COLUMNS {
            columns.push(self.column(collection, name, column)?);
        }
        Ok(columns)
    }

    fn column(&self, collection: &str, name: &str, column: &Column) -> Result<FieldData> {
        let photos = self.photos.iter();
        let too_long = |photo: &Photo| Error::Collection {
            collection: collection.to_owned(),
            reason: format!(
                "{}: its {name} is longer than a row of Milvus can hold ({MAX_TEXT} bytes, \
                 {MAX_ELEMENTS} names of {MAX_ELEMENT} bytes)",
                photo.path
            ),
        };
        Ok(match column {
            Column::Integer(of) => {
                let data = photos.map(of).collect();
                scalars(name, data_type::INT64, Scalars::Longs(LongArray { data }))
            }
            Column::Double(of) => {
                let data = photos.map(of).collect();
                scalars(
                    name,
                    data_type::DOUBLE,
                    Scalars::Doubles(DoubleArray { data }),
                )
            }
            Column::Boolean(of) => {
                let data = photos.map(of).collect();
                scalars(name, data_type::BOOL, Scalars::Bools(BoolArray { data }))
            }
            Column::Text(of) => {
                let text = |photo| Some(of(photo)).filter(|text| text.len() <= MAX_TEXT);
                let data = photos.map(|photo| text(photo).ok_or_else(|| too_long(photo)));
                let data = data.collect::<Result<_>>()?;
                scalars(
                    name,
                    data_type::VARCHAR,
                    Scalars::Texts(StringArray { data }),
                )
            }
            Column::Texts(of) => {
                let fits = |texts: &Vec<String>| {
                    texts.len() <= MAX_ELEMENTS
                        && texts.iter().all(|text| text.len() <= MAX_ELEMENT)
                };
                let texts = |photo| Some(of(photo)).filter(fits);
                let data = photos.map(|photo| texts(photo).ok_or_else(|| too_long(photo)));
                arrays(name, data.collect::<Result<_>>()?)
            }
        })
    }
}

fn scalars(name: &str, data_type: i32, data: Scalars) -> FieldData {
    FieldData {
        data_type,
        field_name: name.to_owned(),
        field: Some(Field::Scalars(ScalarField { data: Some(data) })),
    }
}

fn arrays(name: &str, rows: Vec<Vec<String>>) -> FieldData {
    let row = |data| ScalarField {
        data: Some(Scalars::Texts(StringArray { data })),
    };
    let array = ArrayArray {
        data: rows.into_iter().map(row).collect(),
        element_type: data_type::VARCHAR,
    };
    scalars(name, data_type::ARRAY, Scalars::Arrays(array))
}

fn vectors(floats: &[f32], dim: usize) -> FieldData {
    let data = floats.to_vec();
    FieldData {
        data_type: data_type::FLOAT_VECTOR,
        field_name: "vector".to_owned(),
        field: Some(Field::Vectors(VectorField {
            dim: dim as i64,
            data: Some(VectorData::Floats(FloatArray { data })),
        })),
    }
}

fn data(field: &FieldData) -> Option<&Scalars> {
    match &field.field {
        Some(Field::Scalars(scalars)) => scalars.data.as_ref(),
        _ => None,
    }
}

/// The values of a column of integers.
pub(super) fn longs(field: &FieldData) -> Option<&[i64]> {
    match data(field)? {
        Scalars::Longs(longs) => Some(&longs.data),
        _ => None,
    }
}

/// The values of a column of numbers.
pub(super) fn doubles(field: &FieldData) -> Option<&[f64]> {
    match data(field)? {
        Scalars::Doubles(doubles) => Some(&doubles.data),
        _ => None,
    }
}

/// The values of a column of texts.
pub(super) fn texts(field: &FieldData) -> Option<Vec<String>> {
    match data(field)? {
        Scalars::Texts(texts) => Some(texts.data.clone()),
        _ => None,
    }
}

/// The values of the column of vectors, one after the other.
pub(super) fn floats(field: &FieldData) -> Option<&[f32]> {
    match &field.field {
        Some(Field::Vectors(VectorField {
            data: Some(VectorData::Floats(floats)),
            ..
        })) => Some(&floats.data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_all_runs() {
        let photo = Photo {
            path: "Trips/Rome/Été/beach.jpg".into(),
            ..Photo::default()
        };
        let want = [
            "rome",
            "rome/été",
            "trips",
            "trips/rome",
            "trips/rome/été",
            "été",
        ];
        assert_eq!(folders(&photo), want);
        assert!(folders(&Photo::default()).is_empty());
    }

    #[test]
    fn keys_are_lasting_and_positive() {
        assert_eq!(id("a.jpg"), id("a.jpg"));
        assert!((0..100).all(|i| id(&format!("{i}.jpg")) >= 0));
        let photo = Photo::default();
        let favourite = Photo {
            favourite: true,
            ..Photo::default()
        };
        assert_ne!(version(&photo), version(&favourite));
    }

    #[test]
    fn a_row_that_does_not_fit_is_told() {
        let batch = Batch {
            photos: vec![Photo {
                path: "a.jpg".into(),
                tags: vec!["x".repeat(MAX_ELEMENT + 1)],
                ..Photo::default()
            }],
            vectors: vec![1.0],
        };
        let error = batch.columns("c").expect_err("too long").to_string();
        assert!(error.contains("a.jpg") && error.contains("tag"), "{error}");
    }
}
