//! Photos that are there more than once.

use photorecall::library::Photo;
use serde_json::{Value, json};

use crate::args::DuplicatesArgs;
use crate::{Outcome, search};

/// `photorecall duplicates`
pub fn duplicates(args: &DuplicatesArgs) -> anyhow::Result<Outcome> {
    let found = search::open(&args.library.library)?.duplicates();
    let kinds = [
        ("exact", "the same file", &found.exact),
        ("near", "the same picture", &found.near),
        ("similar", "the same moment", &found.similar),
    ];
    if args.json {
        let groups = |groups: &Vec<Vec<Photo>>| -> Vec<Vec<Value>> {
            let told = |group: &Vec<Photo>| group.iter().map(search::photo_json).collect();
            groups.iter().map(told).collect()
        };
        let told: serde_json::Map<String, Value> = kinds
            .iter()
            .map(|(kind, _, found)| ((*kind).to_owned(), json!(groups(found))))
            .collect();
        say!("{}", serde_json::to_string(&told)?);
        return Ok(Outcome::Done);
    }
    for (kind, meaning, groups) in kinds {
        let spare = groups.iter().flat_map(|group| &group[1..]);
        let (photos, bytes) = spare.fold((0, 0), |(n, sum), photo| (n + 1, sum + photo.bytes));
        say!(
            "{kind} ({meaning}): {} groups, {photos} photos beside the best, {:.1} MB",
            groups.len(),
            bytes as f64 / 1e6
        );
        for group in groups {
            for (at, photo) in group.iter().enumerate() {
                let mark = if at == 0 { "keep" } else { "    " };
                let Photo { width, height, .. } = photo;
                say!(
                    "  {mark}  {width} x {height}  {} B  {}",
                    photo.bytes,
                    photo.path
                );
            }
            say!();
        }
    }
    Ok(Outcome::Done)
}
