//! k-means whose centroids are made of bits: a centroid has the bits that most of its rows have.
//!
//! Grana, Borghesani, Manfredi and Cucchiara 2013, "A fast approach for integrating ORB
//! descriptors in the bag of words model". By Hamming's distance a bit is set that more than half of the rows
//! have; by Jaccard's, where vectors are sparse and that would leave nothing, as many of the most frequent
//! bits as the rows have on average.

use super::binary_rows::{BinaryRows, Bits};
use super::parallel::each;
use super::random::Random;
use super::{BinaryMetric, Bitset};
use crate::kernels::Kernels;

/// Rounds of assigning and counting.
const ROUNDS: usize = 8;

/// The metric that makes lists: parts of one another share much of what they have.
pub(super) fn clustered_by(metric: BinaryMetric) -> BinaryMetric {
    match metric {
        BinaryMetric::Hamming => BinaryMetric::Hamming,
        _ => BinaryMetric::Jaccard,
    }
}

/// `count` centroids of at least as many rows.
pub(super) fn centroids(
    rows: &BinaryRows,
    count: usize,
    by: BinaryMetric,
    random: &mut Random,
) -> BinaryRows {
    let picked = random.sample(rows.len(), count);
    let picked: Vec<u32> = picked.into_iter().map(|row| row as u32).collect();
    let mut centroids = rows.ordered(&picked);
    for _ in 0..ROUNDS {
        let nearest = assign(&centroids, rows, by);
        let order = ordered(0..rows.len() as u32, &nearest, count);
        let starts = starts(&nearest, count);
        let middles = each(count, |list| {
            let own = &order[starts[list] as usize..starts[list + 1] as usize];
            middle(rows, own, by)
        });
        centroids = BinaryRows::new(rows.dim());
        for middle in middles {
            let some = random.below(rows.len());
            centroids.push(middle.as_deref().unwrap_or(rows.row(some)));
        }
    }
    centroids
}

/// The list of each row.
pub(super) fn assign(centroids: &BinaryRows, rows: &BinaryRows, by: BinaryMetric) -> Vec<u32> {
    let nothing = Bitset::default();
    each(rows.len(), |row| {
        let query = Bits::of_words(rows.row(row).to_vec());
        let (mut best, mut least) = (0, f32::INFINITY);
        let all = 0..centroids.len();
        centroids.scan(
            all,
            (&query, by),
            &nothing,
            Kernels::best(),
            |list, distance| {
                if distance < least {
                    (best, least) = (list as u32, distance);
                }
            },
        );
        best
    })
}

/// Where each of `count` lists begins, and where the last one ends.
pub(super) fn starts(list_of: &[u32], count: usize) -> Vec<u32> {
    let mut starts = vec![0u32; count + 1];
    list_of
        .iter()
        .for_each(|list| starts[*list as usize + 1] += 1);
    (1..starts.len()).for_each(|at| starts[at] += starts[at - 1]);
    starts
}

/// `items` by their keys, which are below `kinds`; of equal ones in their own order: a counting sort.
pub(super) fn ordered(items: impl Iterator<Item = u32>, keys: &[u32], kinds: usize) -> Vec<u32> {
    let mut next = starts(keys, kinds);
    let mut ordered = vec![0; keys.len()];
    for item in items {
        let place = &mut next[keys[item as usize] as usize];
        ordered[*place as usize] = item;
        *place += 1;
    }
    ordered
}

/// The words of a centroid of the rows `own`; `None` of none.
fn middle(rows: &BinaryRows, own: &[u32], by: BinaryMetric) -> Option<Vec<u64>> {
    if own.is_empty() {
        return None;
    }
    let mut votes = vec![0u32; rows.dim()];
    for row in own {
        for (at, word) in rows.row(*row as usize).iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                votes[64 * at + left.trailing_zeros() as usize] += 1;
                left &= left - 1;
            }
        }
    }
    let mut words = vec![0u64; rows.dim().div_ceil(64)];
    let mut set = |bit: usize| words[bit / 64] |= 1 << (bit % 64);
    if by == BinaryMetric::Hamming {
        let most = |bit: &usize| 2 * votes[*bit] as usize > own.len();
        (0..votes.len()).filter(most).for_each(&mut set);
    } else {
        let bits: usize = votes.iter().map(|votes| *votes as usize).sum();
        let missing: Vec<u32> = votes.iter().map(|votes| own.len() as u32 - votes).collect();
        let by_votes = ordered(0..votes.len() as u32, &missing, own.len() + 1);
        let mean = (bits + own.len() / 2) / own.len();
        let most = by_votes.into_iter().take(mean);
        most.for_each(|bit| set(bit as usize));
    }
    Some(words)
}
