//! A library into a collection: what is new or changed is written, what is gone deleted.
//!
//! ```text
//! versions of the rows that are there ─┐
//! segment ─▶ photos ─▶ another version? ─▶ batch ─ written, acknowledged ─▶ next batch
//! rows that no photo claimed ─▶ deleted          all ─▶ flush ─▶ count(*) = photos
//! ```
//! Nothing else is kept of how far an export came: one that was interrupted reads what is there and goes
//! on, one that is run again finds nothing to do. One segment and one batch are in memory at a time, and 16
//! bytes a photo.

use std::collections::{BTreeSet, HashMap, HashSet};

use prost::Message as _;

use super::Client;
use super::expression::one_of;
use super::note::{IndexKind, Metric, Note, pair};
use super::proto::{self, Status, StatusResponse};
use super::row::{self, Batch};
use crate::error::{Error, Result};
use crate::library::{ModelRef, Photo, Rows, normalise};

/// Rows that are written at once: about 2 MB.
const BATCH_ROWS: usize = 500;
/// Keys that are deleted at once.
const DELETED_ROWS: usize = 1000;
/// Rows whose versions are read at once.
const READ_ROWS: usize = 8192;
/// Albums that have a partition of their own, at most: Milvus has 4,096 a collection.
const MOST_ALBUMS: usize = 1000;
/// The partition of photos in no album.
const NO_ALBUM: &str = "_default";
/// The partition of photos in more albums than one.
const MANY_ALBUMS: &str = "photorecall_many";
/// The graph's edges a node, and how far its building looks: words lie far from all photos, and a thin
/// graph loses its way to them.
const HNSW: &str = r#"{"M":32,"efConstruction":320}"#;

/// How to export.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// The collection's name.
    pub collection: &'a str,
    /// The index; `None` for that of the collection, or the default.
    pub index: Option<IndexKind>,
    /// The metric; `None` for that of the collection, or the default.
    pub metric: Option<Metric>,
    /// Whether photos of one album have a partition of their own.
    pub by_album: bool,
    /// How many photos the library is likely to have: IVF's number of lists goes by it.
    pub photos: usize,
}

/// What an export did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Photos that were written, new or changed.
    pub written: usize,
    /// Photos that were there already.
    pub unchanged: usize,
    /// Rows that were deleted: their photos are no longer in the library.
    pub deleted: usize,
    /// Rows of the collection, by `count(*)`.
    pub rows: usize,
}

impl Client {
    /// Makes the collection hold the photos of the segments and no others. `progress` is told how many
    /// photos have been looked at.
    ///
    /// # Errors
    /// [`Error::Collection`] when the collection is another model's, another's altogether, or does not hold
    /// what was written; [`Error::Milvus`] when the server refuses.
    pub async fn export(
        &self,
        export: &Export<'_>,
        model: &ModelRef,
        segments: impl Iterator<Item = Result<Rows>>,
        mut progress: impl FnMut(usize),
    ) -> Result<Exported> {
        let name = export.collection;
        let note = self.prepare(export, model).await?;
        self.load(name).await?;
        let mut writer = Writer {
            client: self,
            collection: name,
            by_album: note.by_album,
            partitions: self.partitions(name).await?,
            there: self.versions(name).await?,
            seen: HashSet::new(),
            waiting: HashMap::new(),
            done: Exported::default(),
        };
        for segment in segments {
            let segment = segment?;
            for (number, (row, photo)) in segment.live().enumerate() {
                writer.take(photo, || segment.vector(row)).await?;
                if number % BATCH_ROWS == 0 {
                    progress(writer.seen.len());
                }
            }
        }
        writer.finish().await
    }

    /// The collection, made when it is not there.
    async fn prepare(&self, export: &Export<'_>, model: &ModelRef) -> Result<Note> {
        let name = export.collection;
        if let Some(note) = self.note(name).await? {
            note.require_model(name, model)?;
            note.require(name, export.index, export.metric, export.by_album)?;
            // An export that was killed between the collection and its index.
            self.create_index(name, &note, export.photos).await?;
            return Ok(note);
        }
        let (index, metric) = (
            export.index.unwrap_or_default(),
            export.metric.unwrap_or_default(),
        );
        let note = Note::new(model.clone(), index, metric, export.by_album);
        let schema = row::schema(name, model.dim, note.text());
        let request = proto::CreateCollectionRequest {
            collection_name: name.to_owned(),
            schema: schema.encode_to_vec(),
            properties: note.properties(),
        };
        self.call::<_, Status>("CreateCollection", request).await?;
        self.create_index(name, &note, export.photos).await?;
        Ok(note)
    }

    /// Makes the index; does nothing when it is there.
    async fn create_index(&self, collection: &str, note: &Note, photos: usize) -> Result<()> {
        let (kind, params) = match note.index {
            IndexKind::Hnsw => ("HNSW", HNSW.to_owned()),
            IndexKind::IvfSq8 => ("IVF_SQ8", format!(r#"{{"nlist":{}}}"#, lists(photos))),
        };
        let asked = proto::CollectionRequest {
            collection_name: collection.to_owned(),
        };
        let described = self.call::<_, StatusResponse>("DescribeIndex", asked).await;
        if described.is_ok() {
            return Ok(());
        }
        let request = proto::CreateIndexRequest {
            collection_name: collection.to_owned(),
            field_name: "vector".to_owned(),
            extra_params: vec![
                pair("index_type", kind),
                pair("metric_type", note.metric.name()),
                pair("params", params),
            ],
        };
        self.call::<_, Status>("CreateIndex", request).await?;
        Ok(())
    }

    pub(super) async fn partitions(&self, collection: &str) -> Result<BTreeSet<String>> {
        let request = proto::CollectionRequest {
            collection_name: collection.to_owned(),
        };
        let shown: proto::ShowPartitionsResponse = self.call("ShowPartitions", request).await?;
        Ok(shown.partition_names.into_iter().collect())
    }

    /// The keys of all rows with their versions. Keys are spread evenly: ranges of them are halved until
    /// the rows of one fit an answer.
    async fn versions(&self, collection: &str) -> Result<HashMap<i64, i64>> {
        let mut versions = HashMap::new();
        let mut ranges = vec![(0, i64::MAX)];
        while let Some((least, most)) = ranges.pop() {
            let range = format!("(id >= {least}) and (id <= {most})");
            if self.count(collection, &range, &[]).await? > READ_ROWS {
                let middle = least + (most - least) / 2;
                ranges.extend([(middle + 1, most), (least, middle)]);
                continue;
            }
            let columns = self
                .query(collection, &range, &["id", "version"], &[])
                .await?;
            let longs: Vec<&[i64]> = columns.iter().filter_map(row::longs).collect();
            if let [ids, all] = longs.as_slice() {
                versions.extend(ids.iter().copied().zip(all.iter().copied()));
            }
        }
        Ok(versions)
    }
}

/// √rows · 4, as faiss's guidelines say, within what Milvus takes.
fn lists(photos: usize) -> usize {
    (((photos as f64).sqrt() * 4.0) as usize).clamp(16, 65_536)
}

/// The partition of a photo.
fn partition(photo: &Photo) -> String {
    match photo.albums.as_slice() {
        [] => NO_ALBUM.to_owned(),
        [album] => of_album(&album.to_lowercase()),
        _ => MANY_ALBUMS.to_owned(),
    }
}

fn of_album(lower: &str) -> String {
    format!("album_{:016x}", row::id(lower))
}

/// The partitions that can have photos of an album, of those that are there.
pub(super) fn partitions_of(album: &str, there: &BTreeSet<String>) -> Vec<String> {
    let named = [of_album(album), MANY_ALBUMS.to_owned()];
    named
        .into_iter()
        .filter(|name| there.contains(name))
        .collect()
}

/// Writes photos in batches, each acknowledged before the next one is sent.
struct Writer<'a> {
    client: &'a Client,
    collection: &'a str,
    by_album: bool,
    partitions: BTreeSet<String>,
    /// Rows that no photo has claimed yet.
    there: HashMap<i64, i64>,
    seen: HashSet<i64>,
    /// By partition.
    waiting: HashMap<String, Batch>,
    done: Exported,
}

impl Writer<'_> {
    async fn take(&mut self, photo: &Photo, vector: impl FnOnce() -> Vec<f32>) -> Result<()> {
        let id = row::id(&photo.path);
        if !self.seen.insert(id) {
            return Err(self.wrong(format!(
                "{}: another photo has the same key; rename one of them",
                photo.path
            )));
        }
        let there = self.there.remove(&id);
        if there == Some(row::version(photo)) {
            self.done.unchanged += 1;
            return Ok(());
        }
        if there.is_some() && self.by_album {
            // It may lie in another partition, where an upsert does not look.
            self.delete(&[id]).await?;
        }
        let partition = if self.by_album {
            partition(photo)
        } else {
            NO_ALBUM.to_owned()
        };
        let batch = self.waiting.entry(partition.clone()).or_default();
        batch.photos.push(photo.clone());
        batch.vectors.extend(normalise(vector())?);
        if batch.photos.len() >= BATCH_ROWS {
            let batch = std::mem::take(batch);
            self.write(partition, batch).await?;
        }
        Ok(())
    }

    async fn write(&mut self, partition: String, batch: Batch) -> Result<()> {
        if batch.photos.is_empty() {
            return Ok(());
        }
        self.make_partition(&partition).await?;
        let request = proto::UpsertRequest {
            collection_name: self.collection.to_owned(),
            partition_name: partition,
            fields_data: batch.columns(self.collection)?,
            num_rows: batch.photos.len() as u32,
        };
        self.client
            .call::<_, StatusResponse>("Upsert", request)
            .await?;
        self.done.written += batch.photos.len();
        Ok(())
    }

    async fn make_partition(&mut self, name: &str) -> Result<()> {
        if self.partitions.contains(name) {
            return Ok(());
        }
        if self.partitions.len() > MOST_ALBUMS {
            return Err(self.wrong(format!(
                "more than {MOST_ALBUMS} albums, which is too many partitions: export without them"
            )));
        }
        let request = proto::CreatePartitionRequest {
            collection_name: self.collection.to_owned(),
            partition_name: name.to_owned(),
        };
        self.client
            .call::<_, Status>("CreatePartition", request)
            .await?;
        self.partitions.insert(name.to_owned());
        Ok(())
    }

    async fn delete(&self, ids: &[i64]) -> Result<()> {
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        let request = proto::DeleteRequest {
            collection_name: self.collection.to_owned(),
            expr: one_of("id", &ids),
        };
        self.client
            .call::<_, StatusResponse>("Delete", request)
            .await?;
        Ok(())
    }

    async fn finish(mut self) -> Result<Exported> {
        for (partition, batch) in std::mem::take(&mut self.waiting) {
            self.write(partition, batch).await?;
        }
        let gone: Vec<i64> = self.there.keys().copied().collect();
        for ids in gone.chunks(DELETED_ROWS) {
            self.delete(ids).await?;
        }
        self.done.deleted = gone.len();
        if self.done.written > 0 {
            let request = proto::FlushRequest {
                collection_names: vec![self.collection.to_owned()],
            };
            self.client
                .call::<_, StatusResponse>("Flush", request)
                .await?;
            self.client.settle(self.collection, self.seen.len()).await;
        }
        let rows = self.client.count(self.collection, "", &[]).await?;
        if rows != self.seen.len() {
            return Err(self.wrong(format!(
                "{rows} rows by count(*) after {} photos were exported: does something else write to it? \
                 Export again",
                self.seen.len()
            )));
        }
        Ok(Exported { rows, ..self.done })
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Collection {
            collection: self.collection.to_owned(),
            reason,
        }
    }
}
