//! From photos with their cosines to a page: what they are ranked by, groups, the cut.

use super::search::time_of;
use super::{Cursor, Found, Page, Photo, Query, duplicates};

/// Rows whose cosines stand for those of the library, at most.
pub(crate) const SAMPLE: usize = 2048;
/// Fewer photos than this say nothing of what is usual.
const MIN_SAMPLE: usize = 20;
/// The deviation of a query's cosines where there are too few of them.
const USUAL_DEVIATION: f32 = 0.05;

/// A photo and what it is ranked by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ranked<'a> {
    pub photo: &'a Photo,
    pub score: f32,
    pub rank: f64,
}

impl<'a> Ranked<'a> {
    /// By its cosine, and what its names are worth in deviations of the query's cosines.
    pub fn new(photo: &'a Photo, score: f32, worth: f32, deviation: Option<f32>) -> Self {
        let deviation = f64::from(deviation.unwrap_or(USUAL_DEVIATION));
        let rank = f64::from(score) + deviation * f64::from(worth);
        Self { photo, score, rank }
    }

    /// By its time, the newest first.
    pub fn by_time(photo: &'a Photo) -> Self {
        Self {
            photo,
            score: 1.0,
            rank: time_of(&photo.record()),
        }
    }
}

/// Sorts, and keeps the first `depth`; of equal ranks by path, so that a page goes on where the one
/// before ended.
pub(crate) fn best_first(mut ranked: Vec<Ranked<'_>>, depth: usize) -> Vec<Ranked<'_>> {
    let order = |a: &Ranked<'_>, b: &Ranked<'_>| {
        let by_path = || a.photo.path.cmp(&b.photo.path);
        b.rank.total_cmp(&a.rank).then_with(by_path)
    };
    ranked.sort_by(order);
    ranked.truncate(depth);
    ranked
}

/// The standard deviation of cosines; `None` where there are too few to tell.
pub(crate) fn deviation_of(cosines: &[f32]) -> Option<f32> {
    if cosines.len() < MIN_SAMPLE {
        return None;
    }
    let count = cosines.len() as f64;
    let mean = cosines.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let square = |x: f32| (f64::from(x) - mean).powi(2);
    let variance = cosines.iter().map(|&x| square(x)).sum::<f64>() / count;
    Some(variance.sqrt() as f32)
}

/// Cuts the page out; says whether it has all that was asked for.
pub(crate) fn cut(ranked: Vec<Ranked<'_>>, query: &Query) -> (Page, bool) {
    let enough = |ranked: &Ranked<'_>| query.min_score.is_none_or(|least| ranked.score >= least);
    // From the first one without a name that is too low, all others without one are.
    let below = ranked
        .iter()
        .any(|ranked| !enough(ranked) && ranked.rank == f64::from(ranked.score));
    let lowest = ranked.last().map_or(f64::MIN, |last| last.rank);
    let groups = groups(ranked.into_iter().filter(enough), query.grouped);
    let start = start(&groups, query.after.as_ref()).saturating_add(query.offset);
    let end = start.saturating_add(query.k);
    // Of those that rank as the last one does, some may be missing.
    let is_sure = |(first, _): &Group<'_>| first.rank > lowest;
    let is_whole = groups.get(end).is_some_and(is_sure) || below;
    let shown = groups.iter().skip(start).take(query.k);
    let found: Vec<Found> = shown.map(found).collect();
    let next = found
        .last()
        .filter(|_| groups.len() > end)
        .map(|last| Cursor {
            offset: end,
            rank: last.rank,
            path: last.photo.path.clone(),
        });
    let page = Page {
        found,
        next,
        ..Page::default()
    };
    (page, is_whole)
}

/// A photo with the near duplicates that are ranked after it.
type Group<'a> = (Ranked<'a>, Vec<Ranked<'a>>);

fn groups<'a>(ranked: impl Iterator<Item = Ranked<'a>>, grouped: bool) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for ranked in ranked {
        let same = |(first, _): &&mut Group<'a>| {
            grouped && duplicates::look_alike(first.photo, ranked.photo)
        };
        match groups.iter_mut().find(same) {
            Some((_, others)) => others.push(ranked),
            None => groups.push((ranked, Vec::new())),
        }
    }
    groups
}

/// Where the page begins: after the cursor.
fn start(groups: &[Group<'_>], after: Option<&Cursor>) -> usize {
    let Some(cursor) = after else {
        return 0;
    };
    let is_it = |(first, _): &Group<'_>| first.photo.path == cursor.path;
    let is_later = |(first, _): &Group<'_>| cursor.is_before(first.rank, &first.photo.path);
    let at = groups.iter().position(is_it).map(|at| at + 1);
    // The photo is gone: go on with what is ranked below it.
    at.or_else(|| groups.iter().position(is_later))
        .unwrap_or(groups.len())
}

fn found((first, others): &Group<'_>) -> Found {
    Found {
        score: first.score,
        rank: first.rank,
        photo: first.photo.clone(),
        others: others.iter().map(|one| one.photo.path.clone()).collect(),
    }
}
