//! What shards share: centroids and codes that are learnt once, from a sample of all.
//!
//! ```text
//! sample ─▶ mean, centroids (ivf), codebook (pq) ─▶ each shard's Compact::build_with
//! ```
//! Frozen: a row has the same codes whichever shard it is in, so that shards are joined as they are.

use super::ivf::Trained;
use super::lvq::Lvq;
use super::pq::Pq;
use super::random::Random;

/// Centroids and a product quantiser's codebook.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Codebook {
    /// The lists' middles, and the mean of all.
    pub centroids: Lvq,
    /// As [`Pq::codebook`].
    pub codebook: Vec<f32>,
}

impl Codebook {
    /// Learns `lists` lists, or as many as there are rows, from `sample` `[n, dim]`, unit vectors.
    ///
    /// # Panics
    /// When the sample is empty or no whole number of rows, or `lists` is 0.
    pub fn train(sample: Vec<f32>, dim: usize, lists: usize, seed: u64) -> Self {
        assert!(
            dim > 0 && lists > 0 && !sample.is_empty() && sample.len().is_multiple_of(dim),
            "a sample of rows of {dim} for {lists} lists"
        );
        let lists = lists.min(sample.len() / dim);
        let trained = Trained::of_sample(sample, dim, lists, None, &mut Random(seed));
        Self {
            codebook: Pq::train(&trained.residuals(), dim, seed).codebook,
            centroids: trained.centroids,
        }
    }

    /// The mean squared distance of unit vectors `sample` `[n, dim]` to the nearest centroid of each; not a
    /// number of none.
    ///
    /// # Panics
    /// When the sample is no whole number of rows.
    pub fn distortion(&self, sample: Vec<f32>) -> f64 {
        let rows = sample.len() / self.centroids.dim();
        let mut frozen = Trained::of(self.centroids.clone());
        frozen.sample = sample;
        let squares = frozen.residuals().into_iter().map(|x| f64::from(x).powi(2));
        squares.sum::<f64>() / rows as f64
    }

    /// Whether the arrays fit together, for `dim` axes, and every number is finite.
    pub fn is_whole(&self, dim: usize) -> bool {
        let pq = Pq {
            codebook: self.codebook.clone(),
            codes: Vec::new(),
        };
        !self.centroids.is_empty() && self.centroids.is_whole(dim) && pq.is_whole(0, dim)
    }
}
