//! From a tensor or words to a vector of the one space. The only user of tract.
//!
//! ```text
//! folder ─ Manifest, files (digests checked) ─▶ Model ┬ ImageEncoder: [3, S, S] ─▶ [dim]
//!                                                     └ TextEncoder: words ─ Tokenizer ─▶ [dim]
//! each graph: ONNX ─ tract ─ rules: linear layers and convolutions in int8, attention, activations on our kernels
//! ```
//! An encoder is shared freely between threads: a run has its own state. A text is run at its own length,
//! where its padding changes nothing.

mod attention;
mod block;
#[cfg(not(target_arch = "wasm32"))]
pub mod convert;
mod convolution;
mod files;
mod filters;
mod graph;
mod linear;
mod manifest;
mod norm;
mod onnx;
mod ops;
mod patches;
mod pattern;
mod rules;
mod shorten;
mod tokenizer;
mod unigram;

#[cfg(not(target_arch = "wasm32"))]
pub use files::Folder;
pub use files::{Files, ReadFile};
use graph::Graph;
pub use graph::RewriteReport;
pub use manifest::{FileEntry, ImageTower, Manifest, Resize, TextTower, TokenizerEntry};
pub use tokenizer::Tokenizer;

use crate::error::{Error, Result};
use crate::image::Preprocess;
use crate::index::normalise;
use crate::kernels::Kernels;

/// The file that makes a folder a model.
pub const MANIFEST: &str = "manifest.json";

/// An image tower, and a text tower where the model has one.
#[derive(Debug)]
pub struct Model {
    manifest: Manifest,
    digest: String,
    image: ImageEncoder,
    text: Option<TextEncoder>,
}

impl Model {
    /// Reads, checks and prepares a model.
    ///
    /// # Errors
    /// When a file is missing or is not what the manifest says, or a graph cannot be used.
    pub fn load(files: &dyn ReadFile, kernels: &'static Kernels) -> Result<Self> {
        let bytes = files.read(MANIFEST)?;
        let manifest = Manifest::parse(&bytes)?;
        let image = ImageEncoder::load(&manifest, files, kernels)?;
        let text = match &manifest.text {
            // The same words must give the same ranks on every machine, whoever made the index.
            Some(tower) => Some(TextEncoder::load(&manifest, tower, files, kernels.exact())?),
            None => None,
        };
        Ok(Self {
            digest: crate::image::digest(&bytes),
            manifest,
            image,
            text,
        })
    }

    /// The model's name, for people.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// SHA-256 of the manifest, which has the digests of all other files: what tells models apart.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Axes of the space.
    pub fn dim(&self) -> usize {
        self.manifest.dim
    }

    /// What the folder says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The image tower.
    pub fn image(&self) -> &ImageEncoder {
        &self.image
    }

    /// The text tower.
    ///
    /// # Errors
    /// [`Error::NoTextTower`] when the model only knows images.
    pub fn text(&self) -> Result<&TextEncoder> {
        self.text.as_ref().ok_or_else(|| Error::NoTextTower {
            model: self.manifest.name.clone(),
        })
    }
}

/// Images to vectors.
#[derive(Debug)]
pub struct ImageEncoder {
    graph: Graph,
    preprocess: Preprocess,
    dim: usize,
}

impl ImageEncoder {
    /// # Errors
    /// As [`Model::load`].
    fn load(manifest: &Manifest, files: &dyn ReadFile, kernels: &'static Kernels) -> Result<Self> {
        let tower = &manifest.image;
        let bytes = manifest.read(&tower.file, files)?;
        let size = tower.size as usize;
        let graph = Graph::image(
            &tower.file,
            bytes,
            &tower.input,
            &tower.output,
            [1, 3, size, size],
            kernels,
        )?;
        Ok(Self {
            graph,
            preprocess: manifest.preprocess(),
            dim: manifest.dim,
        })
    }

    /// How a photo becomes the input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The unit vector of a tensor `[3, size, size]`, as [`Preprocess::tensor`] makes it.
    ///
    /// # Errors
    /// When the tensor has another length, or the result has no direction.
    pub fn embed(&self, tensor: &[f32]) -> Result<Vec<f32>> {
        finish(self.graph.run_f32(tensor)?, self.dim)
    }

    /// Which layers run on our kernels.
    pub fn report(&self) -> &RewriteReport {
        self.graph.report()
    }
}

/// Words to vectors.
#[derive(Debug)]
pub struct TextEncoder {
    graph: Graph,
    tokenizer: Tokenizer,
    dim: usize,
}

impl TextEncoder {
    /// # Errors
    /// As [`Model::load`].
    fn load(
        manifest: &Manifest,
        tower: &TextTower,
        files: &dyn ReadFile,
        kernels: &'static Kernels,
    ) -> Result<Self> {
        let merges = manifest.read(&tower.tokenizer.file, files)?;
        let tokenizer = Tokenizer::new(
            &tower.tokenizer,
            &merges,
            tower.context_length,
            tower.pad_id,
        )?;
        let bytes = manifest.read(&tower.file, files)?;
        let mut graph = Graph::text(
            &tower.file,
            bytes,
            &tower.input,
            &tower.output,
            tower.context_length,
            kernels,
        )?;
        graph.try_shorter(&tokenizer.ids("a photo of a dog"));
        Ok(Self {
            graph,
            tokenizer,
            dim: manifest.dim,
        })
    }

    /// The unit vector of a text. What does not fit the context is cut off.
    ///
    /// # Errors
    /// When the result has no direction.
    pub fn embed(&self, text: &str) -> Result<Vec<f32>> {
        self.embed_ids(&self.tokenizer.ids(text))
    }

    /// The unit vector of ids `[context_length]`, as [`Tokenizer::ids`] makes them.
    ///
    /// # Errors
    /// When there is another number of ids, an id is out of range, or the result has no direction.
    pub fn embed_ids(&self, ids: &[i64]) -> Result<Vec<f32>> {
        finish(self.graph.run_ids(ids)?, self.dim)
    }

    /// The tokens that the tower sees.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Which layers run on our kernels.
    pub fn report(&self) -> &RewriteReport {
        self.graph.report()
    }
}

fn finish(output: Vec<f32>, dim: usize) -> Result<Vec<f32>> {
    if output.len() != dim {
        return Err(Error::Dimension {
            expected: dim,
            found: output.len(),
        });
    }
    normalise(output)
}
