//! Where photos are looked for: a library in a folder, or a collection of a Milvus server.

use std::path::PathBuf;

use anyhow::Context;
use photorecall::library::{Library, ModelRef, Page, Query, Word};

use crate::args::PlaceArgs;
#[cfg(feature = "cluster")]
use crate::milvus::Collection;
use crate::search;
use crate::source::Source;

/// A place that was opened to be searched.
pub enum Place {
    Library {
        folder: PathBuf,
        library: Box<Library>,
    },
    #[cfg(feature = "cluster")]
    Milvus(Box<Collection>),
}

impl Place {
    pub fn open(args: &PlaceArgs) -> anyhow::Result<Self> {
        #[cfg(feature = "cluster")]
        if let Some((uri, collection)) = args.milvus.as_ref().zip(args.collection.as_ref()) {
            return Ok(Self::Milvus(Box::new(Collection::open(uri, collection)?)));
        }
        let folder = args.library.clone().context("--library is missing")?;
        let library = Box::new(search::open(&folder)?);
        Ok(Self::Library { folder, library })
    }

    /// Where the model lies.
    pub fn source(&self) -> anyhow::Result<Source> {
        match self {
            Self::Library { folder, .. } => Source::load(folder),
            #[cfg(feature = "cluster")]
            Self::Milvus(collection) => Ok(collection.source()),
        }
    }

    pub fn require_model(&self, model: &ModelRef) -> photorecall::Result<()> {
        match self {
            Self::Library { library, .. } => library.require_model(model),
            #[cfg(feature = "cluster")]
            Self::Milvus(collection) => collection.require_model(model),
        }
    }

    /// The vector of a photo.
    pub fn embedding(&self, path: &str) -> anyhow::Result<Vec<f32>> {
        match self {
            Self::Library { library, .. } => {
                let vector = library.embedding(path);
                vector.with_context(|| format!("no photo {path} in the library"))
            }
            #[cfg(feature = "cluster")]
            Self::Milvus(collection) => collection.embedding(path),
        }
    }

    /// What is found; the vocabulary is for a verdict.
    pub fn page(self, query: &Query, vocabulary: Vec<Word>) -> anyhow::Result<Page> {
        match self {
            Self::Library { mut library, .. } => {
                library.set_vocabulary(vocabulary)?;
                Ok(library.page(query)?)
            }
            #[cfg(feature = "cluster")]
            Self::Milvus(collection) => collection.page(query, &vocabulary),
        }
    }
}
