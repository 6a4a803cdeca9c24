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
        best_first(a.score, a.id).cmp(&best_first(b.score, b.id))
    }
}

/// A number that is less for a higher score (as [`f32::total_cmp`] has it), and of equal ones for a lower id: one comparison
/// without a jump, of which sorting has many that nobody foresees.
pub(super) fn best_first(score: f32, id: u32) -> u64 {
    let bits = score.to_bits() as i32;
    // Of negative numbers all bits but the sign count downwards.
    let ascending = bits ^ ((bits >> 31) as u32 >> 1) as i32;
    let descending = !(ascending as u32 ^ 1 << 31);
    u64::from(descending) << 32 | u64::from(id)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_ordered_by_score_and_then_by_id() {
        let scores = [
            f32::NAN,
            f32::INFINITY,
            1.5,
            1.0,
            1e-40,
            0.0,
            -0.0,
            -1e-40,
            -2.0,
            -2.5,
        ];
        let scores = scores.into_iter().chain([f32::NEG_INFINITY, -f32::NAN]);
        let hits: Vec<Hit> = scores
            .flat_map(|score| [3, 9].map(|id| Hit { id, score }))
            .collect();
        for (i, a) in hits.iter().enumerate() {
            for (j, b) in hits.iter().enumerate() {
                let want = b.score.total_cmp(&a.score).then(a.id.cmp(&b.id));
                assert_eq!(want, i.cmp(&j));
                assert_eq!(Hit::order(a, b), want, "{a:?} {b:?}");
            }
        }
    }
}
