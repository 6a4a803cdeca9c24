//! Models that can be had by name. Each is a manifest that also says where its files come from.

use anyhow::{Context, bail};
use photorecall::encoder::Manifest;
use serde::Deserialize;

/// Name → manifest.
const KNOWN: &[(&str, &str)] = &[
    (
        "tinyclip-8m",
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../models/known/tinyclip-8m.json"
        )),
    ),
    (
        "clip-vit-b32",
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../models/known/clip-vit-b32.json"
        )),
    ),
    (
        "siglip-base",
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../models/known/siglip-base.json"
        )),
    ),
];

/// A manifest and where its files are.
pub struct Known {
    /// The manifest's bytes, as they are installed: a model's digest is theirs.
    pub json: String,
    pub manifest: Manifest,
    origin: Origin,
}

/// What the loader passes over.
#[derive(Deserialize)]
struct Origin {
    source: Option<Source>,
    files: std::collections::BTreeMap<String, Place>,
}

/// A repository of a model hub at a revision.
#[derive(Deserialize)]
struct Source {
    repository: String,
    revision: String,
}

#[derive(Deserialize)]
struct Place {
    /// Where the file is in the repository; its own name when absent.
    path: Option<String>,
}

impl Known {
    pub fn parse(json: &str) -> anyhow::Result<Self> {
        let manifest = Manifest::parse(json.as_bytes())?;
        Self::plain_name(&manifest.name)?;
        Ok(Self {
            origin: serde_json::from_str(json)?,
            json: json.to_owned(),
            manifest,
        })
    }

    /// A name that may be a folder's.
    pub fn plain_name(name: &str) -> anyhow::Result<&str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            bail!(
                "{name:?} is no name for a model's folder: letters, digits, - _ and . are allowed"
            );
        }
        Ok(name)
    }

    /// A file's address below the hub's.
    ///
    /// # Errors
    /// When the manifest does not say where its files are.
    pub fn address(&self, file: &str) -> anyhow::Result<String> {
        let Some(Source {
            repository,
            revision,
        }) = &self.origin.source
        else {
            bail!("the manifest has no `source`: repository and revision");
        };
        let place = self
            .origin
            .files
            .get(file)
            .and_then(|place| place.path.as_deref());
        Ok(format!(
            "{repository}/resolve/{revision}/{}",
            place.unwrap_or(file)
        ))
    }

    /// Bytes of all files together.
    pub fn bytes(&self) -> u64 {
        self.manifest.files.values().map(|file| file.bytes).sum()
    }
}

/// All that are known.
///
/// # Errors
/// None but our own: the manifests are part of the program.
pub fn all() -> anyhow::Result<Vec<Known>> {
    KNOWN
        .iter()
        .map(|(name, json)| Known::parse(json).with_context(|| (*name).to_owned()))
        .collect()
}

/// One by its name, or a manifest by its path.
pub fn find(asked: &str) -> anyhow::Result<Known> {
    if asked.ends_with(".json") {
        let json = std::fs::read_to_string(asked).with_context(|| asked.to_owned())?;
        return Known::parse(&json).with_context(|| asked.to_owned());
    }
    let names: Vec<_> = KNOWN.iter().map(|(name, _)| *name).collect();
    let json = KNOWN.iter().find(|(name, _)| *name == asked);
    let (_, json) = json.with_context(|| {
        format!(
            "no model {asked} is known: there are {}, or give a manifest's path",
            names.join(", ")
        )
    })?;
    Known::parse(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_manifest_is_sound_and_named_as_its_file() {
        for (known, (name, _)) in all().expect("sound").iter().zip(KNOWN) {
            assert_eq!(known.manifest.name, *name);
            for file in known.manifest.files.keys() {
                assert!(known.address(file).expect("a source").contains("/resolve/"));
            }
        }
    }
}
