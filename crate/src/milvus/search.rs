//! Searching a collection as a library is searched.

use std::collections::HashMap;

use super::client::Nearest;
use super::export::partitions_of;
use super::expression::{self, EVERYTHING, Known, Needs, in_box, joined, number, one_of, quoted};
use super::names::Names;
use super::note::{IndexKind, Note};
use super::{Client, MOST_ROWS, row};
use crate::error::{Error, Result};
use crate::index::Recall;
use crate::library::ask::{Filter, distance_km};
use crate::library::ranking::{Ranked, SAMPLE, best_first, cut, deviation_of};
use crate::library::vocabulary::judge;
use crate::library::{Page, Photo, Query, Word};

/// Cameras that are asked for, at most.
const MOST_CAMERAS: usize = 1000;
/// Photos around a place that are looked at, at most.
const MOST_NEAR: usize = 10_000;
/// A degree of latitude is no shorter, km.
const KM_A_DEGREE: f64 = 111.1;
/// The first and the last second of the calendar.
const TIMES: [f64; 2] = [-7e10, 3e11];

/// Where a search looks.
struct Scope<'a> {
    collection: &'a str,
    note: &'a Note,
    expr: String,
    partitions: Vec<String>,
}

impl Client {
    /// A page of the photos that a query asks for, as [`Library::page`](crate::library::Library::page)
    /// gives it; `vocabulary` is for its verdict, and may be empty.
    ///
    /// # Errors
    /// [`Error::NotInMilvus`] for what the server cannot be asked, [`Error::Dimension`] for an embedding
    /// that is not the model's, [`Error::Milvus`] when the server refuses.
    pub async fn page(&self, collection: &str, query: &Query, vocabulary: &[Word]) -> Result<Page> {
        let note = self.existing(collection).await?;
        if query.recall == Recall::Exact && query.embedding.is_some() {
            return Err(Error::NotInMilvus {
                what: "--recall exact".to_owned(),
                reason: "its indexes compare a part of the photos: take fast or high".to_owned(),
            });
        }
        self.load(collection).await?;
        let scope = self.scope(collection, &note, query).await?;
        let total = self
            .count(collection, &scope.expr, &scope.partitions)
            .await?;
        let page = match &query.embedding {
            Some(embedding) => {
                if embedding.len() != note.model.dim {
                    return Err(Error::Dimension {
                        expected: note.model.dim,
                        found: embedding.len(),
                    });
                }
                self.by_meaning(&scope, query, embedding, total, vocabulary)
                    .await?
            }
            None => self.newest(&scope, query, total).await?,
        };
        Ok(Page { total, ..page })
    }

    /// The note of a collection that must be there.
    ///
    /// # Errors
    /// [`Error::Collection`] when it is not.
    pub async fn existing(&self, collection: &str) -> Result<Note> {
        self.note(collection)
            .await?
            .ok_or_else(|| Error::Collection {
                collection: collection.to_owned(),
                reason: "there is none of that name: `photorecall export milvus` makes one"
                    .to_owned(),
            })
    }

    /// The vector of a photo.
    ///
    /// # Errors
    /// [`Error::Missing`] when the collection has no such photo.
    pub async fn embedding(&self, collection: &str, path: &str) -> Result<Vec<f32>> {
        let expr = format!("id == {}", row::id(path));
        let columns = self.query(collection, &expr, &["vector"], &[]).await?;
        let vector = columns.first().and_then(row::floats);
        let vector = vector.filter(|vector| !vector.is_empty());
        vector.map(<[f32]>::to_vec).ok_or_else(|| Error::Missing {
            name: path.to_owned(),
        })
    }

    async fn scope<'a>(
        &self,
        collection: &'a str,
        note: &'a Note,
        query: &Query,
    ) -> Result<Scope<'a>> {
        let mut all = Vec::new();
        let mut partitions = Vec::new();
        if let Some(filter) = &query.filter {
            let known = self.known(collection, filter).await?;
            all.push(expression::expression(filter, &known)?);
            if let (true, Some(album)) = (note.by_album, expression::album_of(filter)) {
                partitions = partitions_of(album, &self.partitions(collection).await?);
                if partitions.is_empty() {
                    // No photo is in that album: the partition that always is there has none of it.
                    partitions.push("_default".to_owned());
                }
            }
        }
        if !query.exclude.is_empty() {
            let ids = query.exclude.iter().map(|path| row::id(path).to_string());
            all.push(format!("not ({})", one_of("id", &ids.collect::<Vec<_>>())));
        }
        Ok(Scope {
            collection,
            note,
            expr: joined(&all, " and ", EVERYTHING),
            partitions,
        })
    }

    /// What a filter needs to be known before it is an expression.
    async fn known(&self, collection: &str, filter: &Filter) -> Result<Known> {
        let needs = Needs::of(filter);
        let mut known = Known {
            finds_parts: self.finds_parts(collection).await,
            ..Known::default()
        };
        if needs.cameras {
            known.cameras = self.cameras(collection).await?;
        }
        for (centre, km) in needs.near {
            known.near.push(self.near(collection, centre, km).await?);
        }
        Ok(known)
    }

    /// Whether the server takes a pattern with a sign for anything in front: it says so when asked.
    async fn finds_parts(&self, collection: &str) -> bool {
        let probe = "path like \"%\\\\_%\"";
        let probe = format!("({probe}) and (id < 0)");
        self.count(collection, &probe, &[]).await.is_ok()
    }

    /// The names of all cameras: ever those that have not been seen, until there is none.
    async fn cameras(&self, collection: &str) -> Result<Vec<String>> {
        let mut cameras: Vec<String> = Vec::new();
        loop {
            let seen: Vec<String> = cameras.iter().map(|camera| quoted(camera)).collect();
            let expr = match seen.as_slice() {
                [] => "has_camera == true".to_owned(),
                seen => format!(
                    "(has_camera == true) and (not ({}))",
                    one_of("camera", seen)
                ),
            };
            let columns = self.query_few(collection, &expr, &["camera"], 1000).await?;
            let mut fresh = columns.first().and_then(row::texts).unwrap_or_default();
            fresh.sort();
            fresh.dedup();
            if fresh.is_empty() {
                return Ok(cameras);
            }
            cameras.extend(fresh);
            if cameras.len() > MOST_CAMERAS {
                return Err(Error::NotInMilvus {
                    what: "camera:".to_owned(),
                    reason: format!("the collection has more than {MOST_CAMERAS} cameras"),
                });
            }
        }
    }

    /// The keys of the photos at most so far from a place.
    async fn near(&self, collection: &str, centre: [f64; 2], km: f64) -> Result<Vec<i64>> {
        let expr = around(centre, km);
        let count = self.count(collection, &expr, &[]).await?;
        if count > MOST_NEAR {
            return Err(Error::NotInMilvus {
                what: format!("near:{},{},{km}", centre[0], centre[1]),
                reason: format!(
                    "{count} photos are about there, more than the {MOST_NEAR} that can be measured: take \
                     less kilometres, or box:"
                ),
            });
        }
        let names = ["id", "latitude", "longitude"];
        let columns = self.query(collection, &expr, &names, &[]).await?;
        let [ids, latitudes, longitudes] = columns.as_slice() else {
            return Ok(Vec::new());
        };
        let ids = row::longs(ids).unwrap_or_default().iter();
        let latitudes = row::doubles(latitudes).unwrap_or_default().iter();
        let places = latitudes.zip(row::doubles(longitudes).unwrap_or_default());
        let near = ids.zip(places).filter(|(_, (latitude, longitude))| {
            distance_km([**latitude, **longitude], centre) <= km
        });
        Ok(near.map(|(id, _)| *id).collect())
    }

    async fn by_meaning(
        &self,
        scope: &Scope<'_>,
        query: &Query,
        embedding: &[f32],
        total: usize,
        vocabulary: &[Word],
    ) -> Result<Page> {
        let names = self.names(scope, &query.names).await?;
        let sets = names.sets()?;
        let deviation = match sets.is_empty() {
            true => None,
            false => self.deviation(scope, embedding).await?,
        };
        let mut depth = first_depth(query).min(total);
        loop {
            if depth > MOST_ROWS {
                return Err(too_deep());
            }
            let found = self
                .found(scope, &sets, (embedding, query.recall), depth)
                .await?;
            let ranked = found.values().map(|(photo, score)| {
                let worth = if sets.is_empty() {
                    0.0
                } else {
                    names.worth(photo)
                };
                Ranked::new(photo, *score, worth, deviation)
            });
            let ranked = best_first(ranked.collect(), depth);
            let best = ranked
                .iter()
                .max_by(|a, b| a.score.total_cmp(&b.score))
                .copied();
            let (page, is_whole) = cut(ranked, query);
            if is_whole || depth >= total {
                let mut page = page;
                if let Some(best) = best.filter(|_| !vocabulary.is_empty()) {
                    let vector = self.embedding(scope.collection, &best.photo.path).await?;
                    page.verdict = judge(vocabulary, &vector, best.score);
                }
                return Ok(page);
            }
            depth = depth.saturating_mul(2).min(total);
        }
    }

    /// The nearest photos, and the nearest ones of each set of words, by key with their cosines.
    async fn found(
        &self,
        scope: &Scope<'_>,
        sets: &[String],
        (vector, recall): (&[f32], Recall),
        depth: usize,
    ) -> Result<HashMap<i64, (Photo, f32)>> {
        let mut found = HashMap::new();
        if depth == 0 {
            return Ok(found);
        }
        let all = std::iter::once(scope.expr.clone());
        let named = sets
            .iter()
            .map(|set| format!("({}) and ({set})", scope.expr));
        for expr in all.chain(named) {
            let nearest = Nearest {
                vector,
                k: depth,
                expr: &expr,
                partitions: &scope.partitions,
                metric: scope.note.metric.name(),
                params: params(scope.note.index, recall, depth),
                with_photos: true,
            };
            let (photos, scores) = self.nearest(scope.collection, &nearest).await?;
            for (photo, score) in photos.iter().zip(scores) {
                let photo = self.photo(photo)?;
                let cosine = scope.note.metric.cosine(score);
                found.insert(row::id(&photo.path), (photo, cosine));
            }
        }
        Ok(found)
    }

    fn photo(&self, json: &str) -> Result<Photo> {
        serde_json::from_str(json)
            .map_err(|error| self.error("a row", &format!("its photo cannot be read: {error}")))
    }

    /// The words of the query that are in names, whatever the filter.
    async fn names(&self, scope: &Scope<'_>, query: &str) -> Result<Names> {
        let words = Names::words(query);
        if words.is_empty() {
            return Ok(Names::default());
        }
        let photos = self.count(scope.collection, "", &[]).await?;
        let mut counted = Vec::new();
        for word in words {
            let mut counts = [0; 2];
            for (count, column) in counts.iter_mut().zip(["path_words", "label_words"]) {
                let expr = expression::has(column, &word);
                *count = self.count(scope.collection, &expr, &[]).await?;
            }
            counted.push((word, counts));
        }
        Ok(Names::new(counted, photos))
    }

    /// The deviation of the query's cosines over the collection. Keys are spread evenly: the smallest
    /// ones are a sample.
    async fn deviation(&self, scope: &Scope<'_>, vector: &[f32]) -> Result<Option<f32>> {
        let photos = self.count(scope.collection, "", &[]).await?;
        let share = (SAMPLE as f64 / photos.max(1) as f64).min(1.0);
        let most = (share * i64::MAX as f64) as i64;
        let k = 2 * SAMPLE;
        let nearest = Nearest {
            vector,
            k,
            expr: &format!("id <= {most}"),
            partitions: &[],
            metric: scope.note.metric.name(),
            params: params(scope.note.index, Recall::High, k),
            with_photos: false,
        };
        let (_, scores) = self.nearest(scope.collection, &nearest).await?;
        let cosines = scores.iter().map(|score| scope.note.metric.cosine(*score));
        Ok(deviation_of(&cosines.collect::<Vec<_>>()))
    }

    /// The newest photos first. Milvus does not sort: the time is looked for after which there are enough.
    async fn newest(&self, scope: &Scope<'_>, query: &Query, total: usize) -> Result<Page> {
        let mut depth = first_depth(query).min(total);
        loop {
            let (since, rows) = self.since(scope, depth, total).await?;
            if rows > MOST_ROWS {
                return Err(too_deep());
            }
            let expr = format!("({}) and (time >= {})", scope.expr, number(since));
            let columns = self
                .query(scope.collection, &expr, &["photo"], &scope.partitions)
                .await?;
            let texts = columns.first().and_then(row::texts).unwrap_or_default();
            let photos: Vec<Photo> = texts
                .iter()
                .map(|text| self.photo(text))
                .collect::<Result<_>>()?;
            let ranked = best_first(photos.iter().map(Ranked::by_time).collect(), usize::MAX);
            let (page, is_whole) = cut(ranked, query);
            if is_whole || rows >= total {
                return Ok(page);
            }
            depth = depth.saturating_mul(2).min(total);
        }
    }

    /// A time, and how many photos are not older: at least `depth`, and few more.
    async fn since(&self, scope: &Scope<'_>, depth: usize, total: usize) -> Result<(f64, usize)> {
        let [mut old, mut new] = TIMES;
        let mut rows = total;
        let enough = depth.saturating_mul(2).max(1000);
        // To less than a second, which is more than there is to tell most photos apart.
        while rows > enough && new - old > 0.5 {
            let middle = ((old + new) / 2.0).floor();
            if middle <= old {
                break;
            }
            let expr = format!("({}) and (time >= {})", scope.expr, number(middle));
            let count = self
                .count(scope.collection, &expr, &scope.partitions)
                .await?;
            if count >= depth {
                (old, rows) = (middle, count);
            } else {
                new = middle;
            }
        }
        Ok((old, rows))
    }
}

/// One more than the page: whether there is a next one.
fn first_depth(query: &Query) -> usize {
    let before = query
        .after
        .as_ref()
        .map_or(0, crate::library::Cursor::offset);
    let wanted = query.offset.saturating_add(query.k).saturating_add(1);
    before.saturating_add(wanted)
}

fn too_deep() -> Error {
    Error::NotInMilvus {
        what: "a page that far down".to_owned(),
        reason: format!("it gives {MOST_ROWS} rows at most: add a filter, or take less"),
    }
}

/// How far the index looks, by how good the answer should be.
fn params(index: IndexKind, recall: Recall, k: usize) -> String {
    let is_fast = recall == Recall::Fast;
    match index {
        IndexKind::Hnsw => {
            let ef = if is_fast { 128.max(k) } else { 1000.max(2 * k) };
            format!(r#"{{"ef":{}}}"#, ef.min(32_768))
        }
        IndexKind::IvfSq8 => format!(r#"{{"nprobe":{}}}"#, if is_fast { 16 } else { 128 }),
    }
}

/// A box that has all places at most so far from one.
fn around([latitude, longitude]: [f64; 2], km: f64) -> String {
    let high = km / KM_A_DEGREE;
    let (south, north) = (latitude - high, latitude + high);
    // sin Δλ = sin r / cos φ, where the circle touches a meridian.
    let wide = high.to_radians().sin() / latitude.to_radians().cos();
    let has_pole = south <= -90.0 || north >= 90.0;
    if has_pole || !(0.0..1.0).contains(&wide) {
        return in_box([south, -180.0], [north, 180.0]);
    }
    let wide = wide.asin().to_degrees();
    let wrapped = |degrees: f64| (degrees + 180.0).rem_euclid(360.0) - 180.0;
    in_box(
        [south, wrapped(longitude - wide)],
        [north, wrapped(longitude + wide)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_have_the_circles() {
        assert!(around([0.0, 179.9], 100.0).contains(" or (longitude <= -179."));
        assert!(around([89.9, 0.0], 100.0).contains("(longitude >= -180.0) and"));
        assert!(around([0.0, 0.0], 15_000.0).contains("(longitude >= -180.0) and"));
        assert!(around([45.0, 10.0], 10.0).contains("(latitude <= 45.09"));
    }

    #[test]
    fn the_index_looks_at_more_than_it_gives() {
        assert_eq!(params(IndexKind::Hnsw, Recall::High, 10), r#"{"ef":1000}"#);
        assert_eq!(
            params(IndexKind::Hnsw, Recall::Fast, 1000),
            r#"{"ef":1000}"#
        );
        assert_eq!(
            params(IndexKind::Hnsw, Recall::High, 16_384),
            r#"{"ef":32768}"#
        );
    }
}
