//! Queries in text, taken apart.

use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown, thrown_with, to_js};
use crate::library;
use crate::library::ask::{Ask, Day, suggest};

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
