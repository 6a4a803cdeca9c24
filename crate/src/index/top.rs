//! The best so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A row and its score; a higher score is better, of equal ones the lower id.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The row.
    pub id: u32,
    /// Its cosine to the query, or an estimate of it.
    pub score: f32,
}

impl Hit {
    /// Best first.
    pub fn order(a: &Hit, b: &Hit) -> Ordering {
        b.score.total_cmp(&a.score).then(a.id.cmp(&b.id))
    }
}

/// A hit that sorts worst first, so that a max-heap's head is the one to drop.
struct Worst(Hit);

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        Hit::order(&self.0, &other.0)
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}

/// Keeps the best `k` of what is offered.
pub(super) struct Top {
    k: usize,
    heap: BinaryHeap<Worst>,
}

impl Top {
    pub(super) fn new(k: usize) -> Self {
        Self {
            k,
            heap: BinaryHeap::new(),
        }
    }

    pub(super) fn offer(&mut self, hit: Hit) {
        if self.heap.len() < self.k {
            self.heap.push(Worst(hit));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && Hit::order(&hit, &worst.0) == Ordering::Less
        {
            *worst = Worst(hit);
        }
    }

    /// The worst that is kept, when there are as many as wanted.
    pub(super) fn worst(&self) -> Option<&Hit> {
        let full = self.heap.len() >= self.k;
        self.heap.peek().filter(|_| full).map(|worst| &worst.0)
    }

    /// What was kept, best first.
    pub(super) fn into_hits(self) -> Vec<Hit> {
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|worst| worst.0)
            .collect()
    }
}
