//! Which model a library's vectors come from.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Which model made a library's vectors. Vectors of two models never mix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRef {
    /// The model's name, for people.
    pub name: String,
    /// The digest that tells models apart.
    pub digest: String,
    /// Axes of a vector.
    pub dim: usize,
}

impl ModelRef {
    /// Whether the vectors of `model` are of the same space.
    pub fn is(&self, model: &ModelRef) -> bool {
        self.digest == model.digest && self.dim == model.dim
    }

    /// Asks that `model` is this one.
    ///
    /// # Errors
    /// [`Error::ModelMismatch`] when it is another.
    pub fn require(&self, model: &ModelRef) -> Result<()> {
        if self.is(model) {
            return Ok(());
        }
        Err(Error::ModelMismatch {
            library: self.told(),
            model: model.told(),
        })
    }

    /// Its name and the beginning of its digest, for people.
    pub fn told(&self) -> String {
        format!("{} ({:.12}…)", self.name, self.digest)
    }

    /// Asks that `embedding` can be one of the model's: a vector of its length, of about length one.
    ///
    /// # Errors
    /// [`Error::Dimension`] or [`Error::NoDirection`] when it cannot.
    pub fn check(&self, embedding: &[f32]) -> Result<()> {
        if embedding.len() != self.dim {
            return Err(Error::Dimension {
                expected: self.dim,
                found: embedding.len(),
            });
        }
        let square: f32 = embedding.iter().map(|x| x * x).sum();
        // Also false for NaN: what is not about a unit vector is no embedding.
        if (0.9..1.1).contains(&square) {
            Ok(())
        } else {
            Err(Error::NoDirection)
        }
    }
}
