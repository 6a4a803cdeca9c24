//! What is known of a photo.

use serde::{Deserialize, Serialize};

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
}

/// Which model made a library's vectors. Vectors of two models never mix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// The model's name, for people.
    pub name: String,
    /// The digest that tells models apart.
    pub digest: String,
    /// Axes of a vector.
    pub dim: usize,
}
