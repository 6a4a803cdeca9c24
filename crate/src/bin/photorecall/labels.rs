//! Favourites, albums and tags.

use anyhow::bail;
use photorecall::library::LabelChange;

use crate::args::LabelArgs;
use crate::{Outcome, index, search};

/// `photorecall label`
pub fn label(args: &LabelArgs) -> anyhow::Result<Outcome> {
    let change = LabelChange {
        favourite: match (args.favourite, args.not_favourite) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        add_albums: args.album.clone(),
        remove_albums: args.not_album.clone(),
        add_tags: args.tag.clone(),
        remove_tags: args.not_tag.clone(),
    };
    let (store, mut library) = index::open_existing(&args.library.library)?;
    let mut paths = args.paths.clone();
    if let Some(text) = &args.filter {
        let Some(filter) = search::filters(text)? else {
            bail!("--where takes filters, as in `photorecall search`");
        };
        let matching = library.photos().filter(|photo| filter.matches(photo));
        paths.extend(matching.map(|photo| photo.path.clone()));
    }
    let unknown: Vec<&String> = paths
        .iter()
        .filter(|path| library.get(path).is_none())
        .collect();
    for path in &unknown {
        eprintln!("skipped {path}: no such photo in the library");
    }
    let skipped = !unknown.is_empty();
    let changed = library.label(&paths, &change);
    index::commit(&store, &mut library)?;
    say!("{changed} photos");
    Ok(if skipped {
        Outcome::Skipped
    } else {
        Outcome::Done
    })
}
