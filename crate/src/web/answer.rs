//! Answers to JavaScript: values, and errors with a code.

use js_sys::{Error as JsError, Reflect};
#[cfg(feature = "photos")]
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::error::Error;

/// What every exported function answers.
pub type Answer<T> = Result<T, JsValue>;

/// A JavaScript `Error` with the message and the stable code.
pub fn thrown(error: Error) -> JsValue {
    thrown_with(error.code(), &error.to_string())
}

/// A JavaScript `Error` of this face's own: a value of the wrong shape.
pub fn thrown_with(code: &str, message: &str) -> JsValue {
    let js = JsError::new(message);
    js.set_name("PhotorecallError");
    // A plain object takes any property.
    let _ = Reflect::set(&js, &JsValue::from("code"), &JsValue::from(code));
    js.into()
}

/// A value as a plain JavaScript object.
#[cfg(feature = "photos")]
pub fn to_js(value: &impl Serialize) -> Answer<JsValue> {
    serde_wasm_bindgen::to_value(value)
        .map_err(|error| thrown_with("bad_argument", &error.to_string()))
}

/// A plain JavaScript object as a value.
#[cfg(feature = "photos")]
pub fn from_js<T: serde::de::DeserializeOwned>(value: JsValue) -> Answer<T> {
    serde_wasm_bindgen::from_value(value)
        .map_err(|error| thrown_with("bad_argument", &error.to_string()))
}
