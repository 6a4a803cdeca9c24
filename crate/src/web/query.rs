//! Queries as JavaScript gives them, and in text, taken apart.

use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown, thrown_with, to_js};
use crate::error::Error;
use crate::index::Recall;
use crate::library;
use crate::library::Query;
use crate::library::ask::{Ask, Day, Filter, suggest};

/// What [`Index::page`](super::index::Index::page) is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JsQuery {
    #[serde(default)]
    embedding: Option<Vec<f32>>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    names: Option<bool>,
    k: usize,
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    min_score: Option<f32>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    recall: JsRecall,
    #[serde(default)]
    grouped: bool,
}

/// [`Recall`] by JavaScript's names.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum JsRecall {
    Fast,
    #[default]
    High,
    Exact,
}

impl From<JsRecall> for Recall {
    fn from(recall: JsRecall) -> Self {
        match recall {
            JsRecall::Fast => Self::Fast,
            JsRecall::High => Self::High,
            JsRecall::Exact => Self::Exact,
        }
    }
}

impl JsQuery {
    /// As the library takes it.
    pub fn into_query(self) -> Result<Query, Error> {
        let ask = Ask::parse(&self.text)?;
        let more = Ask::parse(&self.filter)?.filter;
        let looks_at_names = self.names.unwrap_or(true);
        Ok(Query {
            names: if looks_at_names {
                ask.names()
            } else {
                String::new()
            },
            embedding: self.embedding,
            filter: match (ask.filter, more) {
                (Some(one), Some(other)) => Some(Filter::All(vec![one, other])),
                (one, other) => one.or(other),
            },
            k: self.k,
            offset: self.offset,
            after: self.after.map(|text| text.parse()).transpose()?,
            min_score: self.min_score,
            exclude: self.exclude,
            recall: self.recall.into(),
            grouped: self.grouped,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsAsk {
    parts: Vec<JsPart>,
    has_filter: bool,
}

#[derive(Serialize)]
struct JsPart {
    weight: f32,
    words: String,
}

#[derive(Serialize)]
struct JsSuggestion {
    said: String,
    query: String,
}

/// Takes a query apart. Throws `query` with the place of what cannot be understood.
#[wasm_bindgen(js_name = parseQuery, unchecked_return_type = "ParsedQuery")]
pub fn parse_query(text: &str) -> Answer<JsValue> {
    let ask = Ask::parse(text).map_err(thrown)?;
    let part = |part: crate::library::ask::Part| JsPart {
        weight: part.weight,
        words: part.words,
    };
    to_js(&JsAsk {
        has_filter: ask.filter.is_some(),
        parts: ask.parts.into_iter().map(part).collect(),
    })
}

/// A date in the words of a query, as a filter; `today` is like `2026-11-21`.
#[wasm_bindgen(js_name = suggestDate, unchecked_return_type = "DateSuggestion | undefined")]
pub fn suggest_date(text: &str, today: &str) -> Answer<JsValue> {
    let day = Day::of_text(today)
        .ok_or_else(|| thrown_with("bad_argument", &format!("not a day: {today}")))?;
    match suggest(text, day) {
        Some(found) => to_js(&JsSuggestion {
            said: found.said,
            query: found.query,
        }),
        None => Ok(JsValue::UNDEFINED),
    }
}

/// What to put to the text tower for `Index.setVocabulary`.
#[wasm_bindgen]
pub fn vocabulary() -> Vec<String> {
    library::vocabulary().map(library::photo_of).collect()
}
