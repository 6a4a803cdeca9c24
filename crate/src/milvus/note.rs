//! What a collection says of itself.

use serde::{Deserialize, Serialize};

use super::proto::{DescribeCollectionResponse, KeyValuePair};
use crate::error::{Error, Result};
use crate::library::ModelRef;

/// The property that the note is kept in; milvus-lite forgets descriptions.
const PROPERTY: &str = "photorecall";
/// The columns of this version.
const LAYOUT: u32 = 1;

/// How a collection was made; JSON in its description and in a property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The version of the columns.
    layout: u32,
    /// The model that the vectors come from.
    pub model: ModelRef,
    /// The index over the vectors.
    pub index: IndexKind,
    /// What the server compares vectors by.
    pub metric: Metric,
    /// Whether photos of one album have a partition of their own.
    pub by_album: bool,
}

/// An index of Milvus's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// A graph over whole vectors: fast, and 4 bytes an axis in memory.
    #[default]
    Hnsw,
    /// Lists of 8-bit codes: 1 byte an axis in memory.
    IvfSq8,
}

/// What vectors are compared by. As they have length one, all three rank alike, and a found photo's score
/// is the cosine in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The cosine.
    #[default]
    Cosine,
    /// The inner product.
    Ip,
    /// The squared Euclidean distance.
    L2,
}

impl Metric {
    /// The server's word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Metric::Cosine => "COSINE",
            Metric::Ip => "IP",
            Metric::L2 => "L2",
        }
    }

    /// The cosine of two vectors of length one: |x − y|² = 2 − 2·x·y.
    pub(super) fn cosine(self, score: f32) -> f32 {
        match self {
            Metric::Cosine | Metric::Ip => score,
            Metric::L2 => 1.0 - score / 2.0,
        }
    }
}

impl Note {
    pub(super) fn new(model: ModelRef, index: IndexKind, metric: Metric, by_album: bool) -> Self {
        Self {
            layout: LAYOUT,
            model,
            index,
            metric,
            by_album,
        }
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("a note is JSON")
    }

    pub(super) fn properties(&self) -> Vec<KeyValuePair> {
        vec![pair(PROPERTY, self.text())]
    }

    /// Reads the note of a collection.
    pub(super) fn of(collection: &str, described: &DescribeCollectionResponse) -> Result<Self> {
        let wrong = |reason: &str| Error::Collection {
            collection: collection.to_owned(),
            reason: reason.to_owned(),
        };
        let description = described.schema.as_ref().map(|schema| &schema.description);
        let property = described.properties.iter().find(|of| of.key == PROPERTY);
        let texts = property.map(|of| &of.value).into_iter().chain(description);
        let note: Option<Note> = texts
            .filter_map(|text| serde_json::from_str(text).ok())
            .next();
        let note = note.ok_or_else(|| {
            wrong("it was not made by `photorecall export milvus`; name another collection")
        })?;
        if note.layout != LAYOUT {
            return Err(wrong(
                "its columns are those of another version: drop it and export again",
            ));
        }
        Ok(note)
    }

    /// Asks that the collection is what an export wants; `None` takes what is there.
    pub(super) fn require(
        &self,
        collection: &str,
        index: Option<IndexKind>,
        metric: Option<Metric>,
        by_album: bool,
    ) -> Result<()> {
        let differs = |what: &str, has: String| Error::Collection {
            collection: collection.to_owned(),
            reason: format!("it has {what} {has}: export as that, or into another collection"),
        };
        if index.is_some_and(|index| index != self.index) {
            return Err(differs("the index", format!("{:?}", self.index)));
        }
        if metric.is_some_and(|metric| metric != self.metric) {
            return Err(differs("the metric", format!("{:?}", self.metric)));
        }
        if by_album && !self.by_album {
            return Err(differs("no partitions", "by album".to_owned()));
        }
        Ok(())
    }

    /// Asks that `model` is the collection's.
    ///
    /// # Errors
    /// [`Error::Collection`] when it is another.
    pub fn require_model(&self, collection: &str, model: &ModelRef) -> Result<()> {
        if self.model.is(model) {
            return Ok(());
        }
        Err(Error::Collection {
            collection: collection.to_owned(),
            reason: format!(
                "it was filled by {}, not by {}: vectors of two models never mix; use that model, or \
                 export into another collection",
                self.model.told(),
                model.told()
            ),
        })
    }
}

/// A key and its value.
pub(super) fn pair(key: &str, value: impl ToString) -> KeyValuePair {
    KeyValuePair {
        key: key.to_owned(),
        value: value.to_string(),
    }
}
