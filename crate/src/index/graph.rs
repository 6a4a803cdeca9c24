//! A navigable graph over the rows: each is linked with its neighbours, those in new directions first.
//!
//! ```text
//! query ─▶ entries of the nearest lists ─▶ best-first, at most ef_search rows at a time ─▶ nearest rows
//! ```
//! The bottom layer of HNSW (Malkov and Yashunin 2018, "Efficient and robust approximate nearest neighbor
//! search using hierarchical navigable small world graphs", algorithms 2 and 4). Its upper layers only
//! find a place to start; the lists' centroids do the same, and are there already.
//!
//! Links are stored ascending, as differences in LEB128, the first one's from the row itself
//! (zigzag): rows lie in the order of their lists, so that most differences take one byte or two.

use super::ivf::Ranked;
use super::lvq::{Dots, LvqQuery};
use super::{Hit, Lists, Lvq};
use crate::kernels::Kernels;

/// Links, and where to start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// A row near the middle of each list `[nlist]`.
    pub entries: Vec<u32>,
    /// Where each row's links begin in `links`, and the end of the last `[rows + 1]`.
    pub starts: Vec<u32>,
    /// See the module.
    pub links: Vec<u8>,
}

impl Graph {
    /// Packs `links`, each row's ascending.
    pub(super) fn pack(entries: Vec<u32>, links: &[Vec<u32>]) -> Self {
        let (mut starts, mut bytes) = (vec![0], Vec::new());
        for (row, links) in links.iter().enumerate() {
            let mut last = None;
            for &link in links {
                let delta = i64::from(link) - last.map_or(row as i64, i64::from);
                let number = match last {
                    None => ((delta << 1) ^ (delta >> 63)) as u64,
                    Some(_) => delta as u64,
                };
                write_leb128(number, &mut bytes);
                last = Some(link);
            }
            starts.push(bytes.len() as u32);
        }
        Self {
            entries,
            starts,
            links: bytes,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Whether there is none, or every link can be read and leads to one of `rows` rows.
    pub fn is_whole(&self, rows: usize, lists: &Lists) -> bool {
        if self.is_empty() {
            return self.entries.is_empty() && self.links.is_empty();
        }
        let mut links = Vec::new();
        self.entries.len() == lists.len()
            && self.entries.iter().all(|row| (*row as usize) < rows)
            && self.starts.len() == rows + 1
            && self.starts[0] == 0
            && self.starts.is_sorted()
            && self.starts[rows] as usize == self.links.len()
            && (0..rows).all(|row| {
                self.links_of(row as u32, &mut links)
                    && links.iter().all(|link| (*link as usize) < rows)
            })
    }

    /// The links of `row`; says whether they could be read.
    pub(super) fn links_of(&self, row: u32, out: &mut Vec<u32>) -> bool {
        let at = row as usize;
        let mut bytes = &self.links[self.starts[at] as usize..self.starts[at + 1] as usize];
        out.clear();
        let mut last = row;
        while !bytes.is_empty() {
            let Some(number) = read_leb128(&mut bytes) else {
                return false;
            };
            let delta = if out.is_empty() {
                (number >> 1) ^ (number & 1).wrapping_neg()
            } else {
                number
            };
            last = last.wrapping_add(delta);
            out.push(last);
        }
        true
    }
}

/// A query beside rows of some code.
pub(super) trait Compare {
    /// The scores of `rows`, each handed to `found` with its row.
    fn compare(&mut self, rows: &[u32], found: impl FnMut(u32, f32));
}

/// By eight bits an axis.
pub(super) struct ByLvq<'a> {
    rows: &'a Lvq,
    query: LvqQuery,
    kernels: &'a Kernels,
    dots: Dots,
}

impl<'a> ByLvq<'a> {
    pub fn new(rows: &'a Lvq, query: &[f32], kernels: &'a Kernels) -> Self {
        Self {
            query: rows.query(query),
            rows,
            kernels,
            dots: Dots::default(),
        }
    }
}

impl Compare for ByLvq<'_> {
    fn compare(&mut self, rows: &[u32], found: impl FnMut(u32, f32)) {
        let (query, dots) = (&self.query, &mut self.dots);
        self.rows.scores(query, rows, self.kernels, dots, found);
    }
}

/// One query's way through a graph.
pub(super) struct Walk<'a, C> {
    graph: &'a Graph,
    by: C,
    ef: usize,
    /// One bit a row.
    seen: Vec<u64>,
    /// Best first; whether its links were followed.
    found: Vec<(Hit, bool)>,
    /// Rows to be compared next.
    near: Vec<u32>,
}

impl<'a, C: Compare> Walk<'a, C> {
    pub fn new(graph: &'a Graph, by: C, ef: usize) -> Self {
        let rows = graph.starts.len().saturating_sub(1);
        Self {
            seen: vec![0; rows.div_ceil(64)],
            found: Vec::with_capacity(ef + 1),
            near: Vec::new(),
            graph,
            by,
            ef,
        }
    }

    /// Walks from the entries of `lists` for as long as it comes nearer; how many rows were compared.
    pub fn start_at(&mut self, lists: &[Ranked]) -> usize {
        let entry = |list: &Ranked| self.graph.entries[list.list as usize];
        let mut links: Vec<u32> = lists.iter().map(entry).collect();
        let (mut next, mut compared) = (0, 0);
        loop {
            self.take_unseen(&links);
            compared += self.near.len();
            next = next.min(self.compare());
            while next < self.found.len() && self.found[next].1 {
                next += 1;
            }
            let Some((hit, followed)) = self.found.get_mut(next) else {
                return compared;
            };
            *followed = true;
            self.graph.links_of(hit.id, &mut links);
        }
    }

    fn take_unseen(&mut self, rows: &[u32]) {
        self.near.clear();
        for &row in rows {
            let (word, bit) = (&mut self.seen[row as usize / 64], 1u64 << (row % 64));
            if *word & bit == 0 {
                *word |= bit;
                self.near.push(row);
            }
        }
    }

    /// Compares the rows to come; the best place that one of them took.
    fn compare(&mut self) -> usize {
        let (found, ef) = (&mut self.found, self.ef);
        let mut best = ef;
        self.by.compare(&self.near, |id, score| {
            best = best.min(insert(found, Hit { id, score }, ef));
        });
        best
    }

    /// The best `ef` rows that were met, best first.
    pub fn into_hits(self) -> Vec<Hit> {
        self.found.into_iter().map(|(hit, _)| hit).collect()
    }
}

/// Puts a hit in its place among the best `ef`; the place, or `ef` when it is not one of them.
fn insert(found: &mut Vec<(Hit, bool)>, hit: Hit, ef: usize) -> usize {
    if found.len() == ef {
        if found[ef - 1].0.score >= hit.score {
            return ef;
        }
        found.pop();
    }
    let place = found.partition_point(|(other, _)| other.score >= hit.score);
    found.insert(place, (hit, false));
    place
}

fn write_leb128(mut number: u64, out: &mut Vec<u8>) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_leb128(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 127) << (7 * at);
        if byte & 128 == 0 {
            *bytes = &bytes[at + 1..];
            // One bit more than a row, for the sign.
            return u32::try_from(number).ok();
        }
    }
    None
}
