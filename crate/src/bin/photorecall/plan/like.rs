//! What photos take in a library that was built.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use photorecall::format::{Container, Kind};

/// Sections of an index, compact or flat; all else of a segment is its photos'.
const INDEX: [&str; 19] = [
    "meta",
    "mean",
    "c_codes",
    "c_scales",
    "c_offsets",
    "lists",
    "codebook",
    "scan",
    "codes",
    "scales",
    "offsets",
    "r_codes",
    "r_scales",
    "r_offsets",
    "halves",
    "entries",
    "link_starts",
    "links",
    "plan",
];

/// Bytes of a photo's record.
pub fn measured(library: &Path) -> anyhow::Result<f64> {
    let (mut rows, mut records) = (0, 0);
    for entry in fs::read_dir(library).with_context(|| library.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "segment") {
            continue;
        }
        let name = path.display().to_string();
        let bytes = fs::read(&path).with_context(|| name.clone())?;
        let container = Container::open(&name, Kind::Segment, &bytes)?;
        let len = |section| container.section(section).map_or(0, <[u8]>::len);
        rows += (len("scales") + len("r_scales")) / 4;
        records += bytes.len() - INDEX.into_iter().map(len).sum::<usize>();
    }
    if rows == 0 {
        bail!("no photos in {}: it is no library", library.display());
    }
    Ok(records as f64 / rows as f64)
}
