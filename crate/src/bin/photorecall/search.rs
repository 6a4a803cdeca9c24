//! Finding photos.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use photorecall::library::ask::{Ask, Day, Filter, Suggestion, suggest};
use photorecall::library::{self, Cursor, Found, Library, Page, Photo, Query, Word};
use photorecall::store::files::FileStore;
use serde_json::{Value, json};

use crate::args::{HitArgs, SearchArgs, SimilarArgs};
use crate::place::Place;
use crate::{Outcome, browse, info, model, photo};

/// One usual word in so many is enough for a verdict, and a large text tower takes its time for each.
pub const VERDICT_WORDS: usize = 2;

/// `photorecall search`
pub fn search(args: &SearchArgs) -> anyhow::Result<Outcome> {
    let place = Place::open(&args.hits.place)?;
    let text = args.words.join(" ");
    let ask = Ask::parse(&text)?;
    let (embedding, vocabulary) = embedding(args, &ask, &place)?;
    let query = Query {
        embedding,
        names: if args.no_names {
            String::new()
        } else {
            ask.names()
        },
        ..query(&args.hits, ask.filter)?
    };
    let suggestion = suggest(&text, today());
    print(
        &place.page(&query, vocabulary)?,
        &query,
        suggestion,
        &args.hits,
    )
}

/// The vector of the words and the example photos, and the words for a verdict; the model is loaded only
/// where it is needed.
fn embedding(
    args: &SearchArgs,
    ask: &Ask,
    place: &Place,
) -> anyhow::Result<(Option<Vec<f32>>, Vec<Word>)> {
    if ask.parts.is_empty() && args.image.is_empty() {
        return Ok((None, Vec::new()));
    }
    let source = place.source()?;
    let model = model::load(source.model(args.model.choice.as_deref()))?;
    place.require_model(&info::model_ref(&model))?;
    let mut examples = Vec::new();
    for file in &args.image {
        let name = || file.display().to_string();
        let bytes = std::fs::read(file).with_context(name)?;
        let embedded = photo::embed_file(&model, &bytes, source.trim_borders);
        examples.push(embedded.with_context(name)?);
    }
    let has_verdict = !ask.parts.is_empty() && (args.hits.page || !args.hits.json);
    let vocabulary = match has_verdict {
        true => browse::usual_words(&model, VERDICT_WORDS)?,
        false => Vec::new(),
    };
    let embedding = ask.embedding(&examples, |words| model.text()?.embed(words))?;
    Ok((embedding, vocabulary))
}

/// `photorecall similar`
pub fn similar(args: &SimilarArgs) -> anyhow::Result<Outcome> {
    let place = Place::open(&args.hits.place)?;
    let vectors: Vec<Vec<f32>> = args
        .paths
        .iter()
        .map(|path| place.embedding(path))
        .collect::<anyhow::Result<_>>()?;
    let parts: Vec<(f32, &[f32])> = vectors.iter().map(|v| (1.0, v.as_slice())).collect();
    let filter = args.filter.as_deref().map(filters).transpose()?.flatten();
    let query = Query {
        embedding: Some(library::combine(&parts)?),
        exclude: args.paths.clone(),
        ..query(&args.hits, filter)?
    };
    print(&place.page(&query, Vec::new())?, &query, None, &args.hits)
}

/// A text that has filters only.
pub fn filters(text: &str) -> anyhow::Result<Option<Filter>> {
    let ask = Ask::parse(text)?;
    if let Some(part) = ask.parts.first() {
        anyhow::bail!(
            "only filters are taken here, not the words `{}`",
            part.words
        );
    }
    Ok(ask.filter)
}

/// Opens a library to read; damage is told.
pub fn open(folder: &Path) -> anyhow::Result<Library> {
    let opened = FileStore::read_only(folder)?
        .load()?
        .with_context(|| format!("no library in {}", folder.display()))?;
    info::tell_damage(&opened.damaged);
    Ok(opened.library)
}

fn query(how: &HitArgs, filter: Option<Filter>) -> anyhow::Result<Query> {
    Ok(Query {
        filter,
        k: how.k,
        offset: how.offset,
        after: how.after.as_deref().map(str::parse::<Cursor>).transpose()?,
        min_score: how.min_score,
        recall: how.recall.into(),
        grouped: how.group,
        ..Query::default()
    })
}

/// The day in UTC: the machine's time zone is not known here.
pub fn today() -> Day {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Day::of_ms(since.map_or(0, |since| since.as_millis() as i64))
}

fn print(
    page: &Page,
    query: &Query,
    suggestion: Option<Suggestion>,
    how: &HitArgs,
) -> anyhow::Result<Outcome> {
    if how.json {
        let told = if how.page {
            page_json(page, suggestion.as_ref())
        } else {
            page.found.iter().map(as_json).collect()
        };
        say!("{}", serde_json::to_string(&told)?);
        return Ok(Outcome::Done);
    }
    for found in &page.found {
        let path = &found.photo.path;
        match &query.embedding {
            Some(_) => say!("{:.4}  {path}", found.score),
            None => say!("{}  {path}", Day::of_photo(&found.photo)),
        }
        for other in &found.others {
            say!("        {other}");
        }
    }
    hints(page, suggestion.as_ref());
    Ok(Outcome::Done)
}

/// On stderr: what a script reads is the photos.
fn hints(page: &Page, suggestion: Option<&Suggestion>) {
    if let Some(verdict) = page.verdict.filter(|verdict| !verdict.likely) {
        eprintln!(
            "perhaps nothing here is what you look for: usual words fit the best photo nearly as well \
             ({:.1} deviations between them)",
            verdict.deviations
        );
    }
    if let Some(Suggestion { said, query }) = suggestion {
        eprintln!("to take \"{said}\" for a date: {query}");
    }
}

/// A page with all that goes with it.
pub fn page_json(page: &Page, suggestion: Option<&Suggestion>) -> Value {
    json!({
        "found": page.found.iter().map(as_json).collect::<Vec<Value>>(),
        "next": page.next.as_ref().map(ToString::to_string),
        "total": page.total,
        "likely": page.verdict.map(|verdict| verdict.likely),
        "deviations": page.verdict.map(|verdict| verdict.deviations),
        "suggestion": suggestion.map(|s| json!({"said": s.said, "query": s.query})),
    })
}

fn as_json(found: &Found) -> Value {
    let mut told = photo_json(&found.photo);
    told["score"] = json!(found.score);
    if !found.others.is_empty() {
        told["others"] = json!(found.others);
    }
    told
}

/// What is known of a photo, with every field there.
pub fn photo_json(photo: &Photo) -> Value {
    json!({
        "path": photo.path,
        "bytes": photo.bytes,
        "width": photo.width,
        "height": photo.height,
        "taken": photo.taken,
        "camera": photo.camera,
        "gps": photo.gps,
        "format": photo.format,
        "phash": photo.phash,
        "favourite": photo.favourite,
        "albums": photo.albums,
        "tags": photo.tags,
        "digest": photo.digest,
    })
}
