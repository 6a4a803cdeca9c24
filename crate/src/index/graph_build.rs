//! Links every row with neighbours in all directions.
//!
//! ```text
//! lists ─▶ candidates of each row ─▶ pruned ─▶ and the links back ─▶ pruned ─▶ packed
//! ```
//! HNSW inserts rows one by one and searches the graph so far for each; here the lists give the
//! candidates of all rows at once, which costs a few microseconds a row and needs no order.

use super::compact::Parts;
use super::graph::Graph;
use super::parallel::fill_rows;
use super::{Bitset, Lvq, ivf};
use crate::kernels::Kernels;

/// Lists that are searched for candidates.
const LISTS: usize = 64;

/// How many links rows have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Degrees {
    /// Candidates of a row (`ef_construction` in HNSW).
    pub candidates: usize,
    /// Links that a row chooses (`m` in HNSW).
    pub chosen: usize,
    /// The most that it has with those back (`2·m` in HNSW).
    pub most: usize,
}

impl Degrees {
    /// What costs least for recalls of 0.95 to 0.99.
    pub const USUAL: Self = Self {
        candidates: 160,
        chosen: 20,
        most: 32,
    };
}

/// A row's distance to another, squared.
type Near = (f32, u32);

/// Distances between rows in their codes.
struct Distances<'a> {
    rows: &'a Lvq,
    /// Σq
    sums: Vec<f32>,
    /// |s·q + o|²
    norms: Vec<f32>,
}

impl<'a> Distances<'a> {
    fn new(rows: &'a Lvq) -> Self {
        let dim = rows.dim();
        let sum = |codes: &[i8]| codes.iter().map(|q| i32::from(*q)).sum::<i32>() as f32;
        let sums: Vec<f32> = rows.codes.chunks_exact(dim).map(sum).collect();
        let norm = |row: usize| {
            let codes = &rows.codes[row * dim..][..dim];
            let squares = codes
                .iter()
                .map(|q| i32::from(*q) * i32::from(*q))
                .sum::<i32>() as f32;
            let (s, o) = (rows.scales[row], rows.offsets[row]);
            s * s * squares + 2.0 * s * o * sums[row] + o * o * dim as f32
        };
        let norms = (0..rows.len()).map(norm).collect();
        Self { rows, sums, norms }
    }

    /// The squared distances from `row` to the rows `ids`.
    fn from(&self, row: u32, ids: &[u32], out: &mut Vec<Near>) {
        let dim = self.rows.dim();
        let at = row as usize;
        let wide: Vec<i16> = self.rows.codes[at * dim..][..dim]
            .iter()
            .map(|q| i16::from(*q))
            .collect();
        let mut dots = vec![0; ids.len()];
        Kernels::best().dot_i8_rows(&self.rows.codes, &wide, ids, &mut dots);
        let (s, o) = (self.rows.scales[at], self.rows.offsets[at]);
        out.clear();
        out.extend(ids.iter().zip(dots).map(|(&id, dot)| {
            let other = id as usize;
            let (t, p) = (self.rows.scales[other], self.rows.offsets[other]);
            let product = s * t * dot as f32
                + s * p * self.sums[at]
                + o * t * self.sums[other]
                + o * p * dim as f32;
            (self.norms[at] + self.norms[other] - 2.0 * product, id)
        }));
    }

    /// Of `candidates`, those that lead into new directions, at most `most`, nearest first.
    fn prune(&self, mut candidates: Vec<Near>, most: usize) -> Vec<u32> {
        candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut kept = Vec::with_capacity(most);
        let mut between = Vec::new();
        while !candidates.is_empty() && kept.len() < most {
            let (_, nearest) = candidates.remove(0);
            kept.push(nearest);
            let ids: Vec<u32> = candidates.iter().map(|near| near.1).collect();
            self.from(nearest, &ids, &mut between);
            let mut at = 0;
            candidates.retain(|near| {
                at += 1;
                between[at - 1].0 > near.0
            });
        }
        kept
    }
}

/// The graph of an index that has its codes and lists.
pub(super) fn build(parts: &Parts, degrees: Degrees) -> Graph {
    let rows = parts.fine.len();
    let distances = Distances::new(&parts.fine);
    let hidden = Bitset::new(rows);
    let mut chosen = vec![Vec::new(); rows];
    fill_rows(&mut chosen, 1, |row, out| {
        let mut near = Vec::new();
        let mut ids = candidates(parts, row, degrees.candidates, &hidden);
        ids.retain(|id| *id != row as u32);
        distances.from(row as u32, &ids, &mut near);
        out[0] = distances.prune(near, degrees.chosen);
    });
    let back = links_back(&chosen);
    let mut links = vec![Vec::new(); rows];
    fill_rows(&mut links, 1, |row, out| {
        let mut all = chosen[row].clone();
        all.extend_from_slice(back.of(row));
        all.sort_unstable();
        all.dedup();
        if all.len() > degrees.most {
            let mut near = Vec::new();
            distances.from(row as u32, &all, &mut near);
            all = distances.prune(near, degrees.most);
            all.sort_unstable();
        }
        out[0] = all;
    });
    Graph::pack(entries(parts), &links)
}

/// The `count` rows near `row`, by their coarse codes.
fn candidates(parts: &Parts, row: usize, count: usize, hidden: &Bitset) -> Vec<u32> {
    let mut query = parts.prepared(&parts.fine.vector(row), Kernels::best());
    let lists = ivf::nearest(&mut query.ranked, LISTS);
    let through = (hidden, Kernels::best());
    let near = parts.scan_hits(lists, count, &query.tables, through);
    near.into_iter().map(|hit| hit.id).collect()
}

/// For each list the row that comes first among those nearest to the centroid.
fn entries(parts: &Parts) -> Vec<u32> {
    let hidden = Bitset::new(parts.fine.len());
    let entry = |list: usize| {
        let query = parts.prepared(&parts.lists.centroids.vector(list), Kernels::best());
        let own = &query.ranked[list..=list];
        let best = parts.scan_hits(own, 1, &query.tables, (&hidden, Kernels::best()));
        best.first().map_or(0, |hit| hit.id)
    };
    (0..parts.lists.len()).map(entry).collect()
}

/// Who chose each row.
struct Back {
    starts: Vec<u32>,
    from: Vec<u32>,
}

impl Back {
    fn of(&self, row: usize) -> &[u32] {
        &self.from[self.starts[row] as usize..self.starts[row + 1] as usize]
    }
}

fn links_back(chosen: &[Vec<u32>]) -> Back {
    let mut starts = vec![0u32; chosen.len() + 1];
    chosen
        .iter()
        .flatten()
        .for_each(|to| starts[*to as usize + 1] += 1);
    (1..starts.len()).for_each(|at| starts[at] += starts[at - 1]);
    let mut free = starts.clone();
    let mut from = vec![0; starts[chosen.len()] as usize];
    for (row, links) in chosen.iter().enumerate() {
        for &to in links {
            from[free[to as usize] as usize] = row as u32;
            free[to as usize] += 1;
        }
    }
    Back { starts, from }
}
