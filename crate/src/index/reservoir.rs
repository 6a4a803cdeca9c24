//! The best of very many: unordered until asked.

use super::Hit;

/// Keeps at least the best `k` of what is offered, at most twice as many at a time, so that an offer
/// costs a comparison and seldom more.
#[derive(Debug, Default)]
pub(super) struct Reservoir {
    k: usize,
    hits: Vec<Hit>,
    least: f32,
}

impl Reservoir {
    pub fn new(k: usize) -> Self {
        Self {
            k,
            hits: Vec::with_capacity(2 * k),
            least: f32::NEG_INFINITY,
        }
    }

    /// What a score must reach to be of any use.
    pub fn least(&self) -> f32 {
        self.least
    }

    pub fn offer(&mut self, hit: Hit) {
        if hit.score < self.least {
            return;
        }
        self.hits.push(hit);
        if self.hits.len() >= 2 * self.k.max(1) {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        if self.k == 0 {
            self.hits.clear();
        } else if self.hits.len() > self.k {
            self.hits.select_nth_unstable_by(self.k - 1, Hit::order);
            self.hits.truncate(self.k);
            self.least = self.hits[self.k - 1].score;
        }
    }

    /// The `k`-th best score so far, if there are as many; `k` is at least 1.
    pub fn kth(&mut self, k: usize) -> Option<f32> {
        let at = k - 1;
        (at < self.hits.len().min(self.k)).then(|| {
            let (_, hit, _) = self.hits.select_nth_unstable_by(at, Hit::order);
            hit.score
        })
    }

    /// The best `k`, in no order.
    pub fn into_hits(mut self) -> Vec<Hit> {
        self.shrink();
        self.hits
    }
}
