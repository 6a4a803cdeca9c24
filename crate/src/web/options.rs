//! What searches of vectors are asked with and answer, read and written by hand.

use js_sys::{Float32Array, Object, Reflect, Uint32Array};
use wasm_bindgen::prelude::*;

use super::answer::{Answer, thrown_with};
use crate::index::{Bitset, Hit, Recall};

/// What a search of vectors is asked with.
pub(super) struct Options {
    pub k: usize,
    pub recall: Recall,
    pub only: Option<Bitset>,
}

impl Options {
    /// Of an index whose ids are below `next`. Read by hand: serde's reader of JavaScript values would be a
    /// tenth of this module.
    pub fn read(options: &JsValue, next: u32) -> Answer<Self> {
        let get = |name: &str| property(options, name);
        let (k, recall, only) = (get("k"), get("recall"), get("only"));
        let bad = |message| thrown_with("bad_argument", message);
        Ok(Self {
            k: match k.as_f64() {
                Some(k) if k >= 0.0 && k.fract() == 0.0 => k as usize,
                None if k.is_undefined() => 10,
                _ => return Err(bad("k is not a number of vectors")),
            },
            recall: match recall.as_string().as_deref() {
                Some("fast") => Recall::Fast,
                Some("high") => Recall::High,
                Some("exact") => Recall::Exact,
                None if recall.is_undefined() => Recall::High,
                _ => return Err(bad("recall is `fast`, `high` or `exact`")),
            },
            only: match only {
                only if only.is_undefined() => None,
                only if only.is_object() => Some(set_of(&Uint32Array::new(&only).to_vec(), next)?),
                _ => return Err(bad("only is not a list of ids")),
            },
        })
    }
}

/// The metric that an index is to be made with, the first of `known` if left out.
pub(super) fn metric_of<M: Copy>(options: &JsValue, known: &[(&str, M)]) -> Answer<M> {
    let asked = property(options, "metric");
    let found = match asked.as_string() {
        Some(name) => known.iter().find(|(known, _)| *known == name),
        None => known.first().filter(|_| asked.is_undefined()),
    };
    found.map(|(_, metric)| *metric).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
        let message = format!("metric is one of {}", names.join(", "));
        thrown_with("bad_argument", &message)
    })
}

/// A metric's name.
pub(super) fn name_of<M: PartialEq>(metric: M, known: &[(&str, M)]) -> String {
    let found = known.iter().find(|(_, known)| *known == metric);
    found.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// The limit of a range.
pub(super) fn limit_of(limit: f32) -> Answer<f32> {
    if limit.is_nan() {
        return Err(thrown_with("bad_argument", "limit is not a number"));
    }
    Ok(limit)
}

fn set_of(ids: &[u32], next: u32) -> Answer<Bitset> {
    let mut set = Bitset::new(next as usize);
    for id in ids {
        if *id >= next {
            let message = format!("no vector ever had the id {id}");
            return Err(thrown_with("bad_argument", &message));
        }
        set.insert(*id as usize);
    }
    Ok(set)
}

/// A property of an object that may be left out.
fn property(options: &JsValue, name: &str) -> JsValue {
    match options {
        options if options.is_undefined() => JsValue::UNDEFINED,
        // What is no object has no properties.
        options => Reflect::get(options, &name.into()).unwrap_or(JsValue::UNDEFINED),
    }
}

/// Hits, as `Neighbours`.
pub(super) fn to_js(hits: &[Hit]) -> JsValue {
    let ids: Vec<u32> = hits.iter().map(|hit| hit.id).collect();
    let scores: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
    let found = Object::new();
    // A plain object takes any property.
    let _ = Reflect::set(&found, &"ids".into(), &Uint32Array::from(&ids[..]));
    let _ = Reflect::set(&found, &"scores".into(), &Float32Array::from(&scores[..]));
    found.into()
}
