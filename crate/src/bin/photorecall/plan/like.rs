//! What photos take in a library that was built.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use photorecall::format::{Container, Kind};

/// Sections of an index, compact or flat; all else of a segment is its photos'.
const INDEX: [&str; 16] = [
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
    "halves",
    "entries",
    "link_starts",
    "links",
    "plan",
];

/// Bytes of a photo's record, and of a row's links where the library has a graph.
pub fn measured(library: &Path) -> anyhow::Result<(f64, Option<f64>)> {
    let (mut rows, mut records) = (0, 0);
    let (mut linked, mut links) = (0, 0);
    for entry in fs::read_dir(library).with_context(|| library.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "segment") {
            continue;
        }
        let name = path.display().to_string();
        let bytes = fs::read(&path).with_context(|| name.clone())?;
        let container = Container::open(&name, Kind::Segment, &bytes)?;
        let len = |section| container.section(section).map_or(0, <[u8]>::len);
        let own = len("scales") / 4;
        rows += own;
        records += bytes.len() - INDEX.into_iter().map(len).sum::<usize>();
        if len("links") > 0 {
            linked += own;
            links += len("links");
        }
    }
    if rows == 0 {
        bail!("no photos in {}: it is no library", library.display());
    }
    let each = |bytes: usize, rows: usize| bytes as f64 / rows as f64;
    Ok((
        each(records, rows),
        (linked > 0).then(|| each(links, linked)),
    ))
}
