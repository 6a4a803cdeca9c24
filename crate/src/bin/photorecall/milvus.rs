//! Libraries in a Milvus server.

use anyhow::Context;
use photorecall::library::{ModelRef, Page, Query, Word};
use photorecall::milvus::{Client, Export, Exported, IndexKind, Metric, Note};
use photorecall::store::files::FileStore;
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::args::{IndexArg, MetricArg, MilvusArgs, PartitionArg};
use crate::source::Source;

/// `photorecall export milvus`
pub fn export(args: &MilvusArgs) -> anyhow::Result<Outcome> {
    let folder = &args.library;
    let store = FileStore::read_only(folder)?;
    let none = || format!("no library in {}", folder.display());
    let photos = store.count()?.with_context(none)?;
    let (model, segments) = store.rows()?.with_context(none)?;
    let export = Export {
        collection: &args.collection,
        index: args.index.map(|index| match index {
            IndexArg::Hnsw => IndexKind::Hnsw,
            IndexArg::IvfSq8 => IndexKind::IvfSq8,
        }),
        metric: args.metric.map(|metric| match metric {
            MetricArg::Cosine => Metric::Cosine,
            MetricArg::Ip => Metric::Ip,
            MetricArg::L2 => Metric::L2,
        }),
        by_album: matches!(args.partition_by, Some(PartitionArg::Album)),
        photos,
    };
    let bar = args.tell.bar(photos as u64);
    let exported = Runtime::new()?.block_on(async {
        let client = Client::connect(&args.uri).await?;
        let told = |done| bar.set_position(done as u64);
        client.export(&export, &model, segments, told).await
    });
    bar.finish_and_clear();
    tell(exported?, args)
}

fn tell(exported: Exported, args: &MilvusArgs) -> anyhow::Result<Outcome> {
    let Exported {
        written,
        unchanged,
        deleted,
        rows,
    } = exported;
    if args.tell.json {
        say!(
            "{}",
            serde_json::json!({
                "written": written,
                "unchanged": unchanged,
                "deleted": deleted,
                "rows": rows,
            })
        );
    } else {
        say!(
            "{written} photos written, {unchanged} were there, {deleted} deleted; {} has {rows}",
            args.collection
        );
    }
    Ok(Outcome::Done)
}

/// A collection to be searched.
pub struct Collection {
    runtime: Runtime,
    client: Client,
    name: String,
    note: Note,
}

impl Collection {
    pub fn open(uri: &str, name: &str) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let (client, note) = runtime.block_on(async {
            let client = Client::connect(uri).await?;
            let note = client.existing(name).await?;
            Ok::<_, photorecall::Error>((client, note))
        })?;
        let name = name.to_owned();
        Ok(Self {
            runtime,
            client,
            name,
            note,
        })
    }

    /// The model by its name; photos of another machine lie nowhere here.
    pub fn source(&self) -> Source {
        Source {
            model: Some(self.note.model.name.clone()),
            ..Source::default()
        }
    }

    pub fn require_model(&self, model: &ModelRef) -> photorecall::Result<()> {
        self.note.require_model(&self.name, model)
    }

    pub fn embedding(&self, path: &str) -> anyhow::Result<Vec<f32>> {
        let embedding = self.client.embedding(&self.name, path);
        let embedding = self.runtime.block_on(embedding);
        embedding.with_context(|| format!("a photo of collection {}", self.name))
    }

    pub fn page(&self, query: &Query, vocabulary: &[Word]) -> anyhow::Result<Page> {
        let page = self.client.page(&self.name, query, vocabulary);
        Ok(self.runtime.block_on(page)?)
    }
}
