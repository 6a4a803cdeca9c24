//! What was built of a shard: written last, so that a shard with a receipt is whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use photorecall::image::hex;
use photorecall::library::{Beside, Shared, Stored};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::plan::Plan;

/// A shard's receipt. It has nothing of time and place: built again, it has the same bytes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub shard: u32,
    /// Photos in it.
    pub photos: usize,
    /// Photos that were left out, with the reason.
    pub skipped: Vec<Skipped>,
    pub made_of: MadeOf,
    /// By their endings.
    pub files: BTreeMap<String, Built>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    pub path: String,
    pub reason: String,
}

/// What a shard was made of; another one is another shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeOf {
    pub model_digest: String,
    /// SHA-256 of the list of photos.
    pub inputs: String,
    /// SHA-256 of the shared codebook, if there is one.
    pub codebook: Option<String>,
    pub seed: u64,
    pub trim_borders: bool,
}

/// A file of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Built {
    pub bytes: u64,
    pub crc32: u32,
    pub sha256: String,
}

impl Built {
    /// Reads a file to its end.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let name = || path.display().to_string();
        let mut file = File::open(path).with_context(name)?;
        let (mut sha256, mut crc32) = (Sha256::new(), crc32fast::Hasher::new());
        let (mut bytes, mut some) = (0, vec![0; 1 << 20]);
        loop {
            let count = file.read(&mut some).with_context(name)?;
            if count == 0 {
                break;
            }
            sha256.update(&some[..count]);
            crc32.update(&some[..count]);
            bytes += count as u64;
        }
        Ok(Self {
            bytes,
            crc32: crc32.finalize(),
            sha256: hex(sha256.finalize()),
        })
    }

    fn beside(&self) -> Beside {
        Beside {
            bytes: self.bytes,
            crc32: self.crc32,
        }
    }
}

impl MadeOf {
    /// What a shard of the plan is made of now.
    pub fn now(plan: &Plan, shard: u32) -> anyhow::Result<Self> {
        let codebook = plan.codebook();
        let codebook = match codebook.exists() {
            true => Some(Built::of(&codebook)?.sha256),
            false => None,
        };
        Ok(Self {
            model_digest: plan.model.digest.clone(),
            inputs: Built::of(&plan.inputs_file(shard))?.sha256,
            codebook,
            seed: plan.seed,
            trim_borders: plan.trim_borders,
        })
    }
}

impl Receipt {
    /// The receipt of a shard; `None` when there is none.
    pub fn read(plan: &Plan, shard: u32) -> anyhow::Result<Option<Self>> {
        let path = plan.shard_file(shard, "json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let name = || {
            format!(
                "{}: not a receipt; remove it and build again",
                path.display()
            )
        };
        serde_json::from_slice(&bytes).map(Some).with_context(name)
    }

    /// Whether the files are there, by their lengths or to the last byte; else what is wrong.
    pub fn check(&self, plan: &Plan, every_byte: bool) -> anyhow::Result<()> {
        for (ending, built) in &self.files {
            let path = plan.shard_file(self.shard, ending);
            let about = fs::metadata(&path).with_context(|| path.display().to_string())?;
            if about.len() != built.bytes || (every_byte && Built::of(&path)? != *built) {
                bail!("{} is not what its receipt says", path.display());
            }
        }
        Ok(())
    }

    /// The shard as a segment of a library.
    pub fn stored(&self, name: String) -> anyhow::Result<Stored> {
        let segment = self.files.get("segment");
        let segment = segment.with_context(|| format!("shard {}: no segment", self.shard))?;
        let codebook = self.files.get("codebook");
        Ok(Stored {
            name,
            bytes: segment.bytes,
            crc32: segment.crc32,
            photos: self.photos,
            ranges: self.files.get("ranges").map(Built::beside),
            codebook: codebook.map(|built| Shared::named(&built.sha256, built.beside())),
        })
    }
}
