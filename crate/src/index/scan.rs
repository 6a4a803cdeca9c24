//! The scan of coarse codes: block by block, list by list, several lists at a time.

use std::ops::Range;

use super::compact::Parts;
use super::ivf::{self, Ranked};
use super::pq::{Pq, Tables};
use super::reservoir::Reservoir;
use super::{Bitset, Hit};
use crate::kernels::{FAST_SCAN_ROWS, Kernels};

/// Blocks that are scanned at a time: their sums stay in the nearest cache.
const BLOCKS: usize = 32;
/// Blocks that are known by then to come next, so that they are fetched meanwhile.
const COMING: usize = 2;

/// One query's way through some lists.
struct Scan<'a> {
    codes: &'a Pq,
    tables: &'a Tables,
    hidden: &'a Bitset,
    kernels: &'a Kernels,
    /// Blocks that wait, each with the rows of its list and what their scores begin with.
    blocks: Vec<u32>,
    lists: Vec<(Range<usize>, f32)>,
    sums: [u16; BLOCKS * FAST_SCAN_ROWS],
    best: Reservoir,
}

/// Which lists a query is led to, and how many of their rows are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reach {
    /// The nearest lists, which are scanned first.
    pub first: usize,
    /// Lists that are enough for most queries.
    pub usual: usize,
    /// The most lists.
    pub most: usize,
    /// Those between whose cosine is no more than this below the `kth` best score of the first ones.
    pub gap: f32,
    pub kth: usize,
    /// Rows that are compared.
    pub rerank: usize,
}

impl Reach {
    /// To all lists, and all of the `left` rows that take part.
    pub fn all(lists: usize, left: usize) -> Self {
        Self {
            first: lists,
            usual: lists,
            most: lists,
            gap: f32::MAX,
            kth: 1,
            rerank: left,
        }
    }

    /// Lists that are compared with the query: those that are further by their sketch may be nearer.
    pub fn ranked(&self) -> usize {
        (2 * self.usual).max(self.first)
    }
}

/// What was met on a way.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// The rows that look best, with their coarse scores.
    pub rows: Vec<Hit>,
    /// Lists and rows that were scanned.
    pub lists: usize,
    pub scanned: usize,
    /// Rows that were compared by their finer codes.
    pub compared: usize,
}

impl Parts {
    /// The rows that look best by their coarse codes and are not in `hidden`; `lists` are all lists, and
    /// are put in order as far as they are needed.
    pub(super) fn reach(
        &self,
        reach: &Reach,
        (lists, tables): (&mut [Ranked], &Tables),
        through: (&Bitset, &Kernels),
    ) -> Met {
        let mut way = Way::new(self, reach, (lists, tables), through);
        way.first().into_iter().for_each(|list| way.take(list));
        way.more().into_iter().for_each(|list| way.take(list));
        way.into_met()
    }

    /// The `count` rows of `lists` that look best by their coarse codes and are not in `hidden`, in no
    /// order.
    pub(super) fn scan_hits(
        &self,
        lists: &[Ranked],
        count: usize,
        tables: &Tables,
        through: (&Bitset, &Kernels),
    ) -> Vec<Hit> {
        let rows = lists
            .iter()
            .map(|list| (self.lists.rows(list.list), list.score));
        scan(&self.scan, rows, count, tables, through).into_hits()
    }
}

/// A query on its way through the lists.
pub(super) struct Way<'a> {
    parts: &'a Parts,
    reach: &'a Reach,
    /// Those that were taken come first.
    lists: &'a mut [Ranked],
    taken: usize,
    scanned: usize,
    scan: Scan<'a>,
}

impl<'a> Way<'a> {
    /// See [`Parts::reach`].
    pub fn new(
        parts: &'a Parts,
        reach: &'a Reach,
        (lists, tables): (&'a mut [Ranked], &'a Tables),
        through: (&'a Bitset, &'a Kernels),
    ) -> Self {
        Self {
            parts,
            reach,
            lists,
            taken: 0,
            scanned: 0,
            scan: Scan::new(&parts.scan, reach.rerank, tables, through),
        }
    }

    /// The lists that come first.
    fn first(&mut self) -> Vec<Ranked> {
        ivf::nearest(self.lists, self.reach.first).to_vec()
    }

    /// After those, the lists in which there may be better rows.
    fn more(&mut self) -> Vec<Ranked> {
        let least = self
            .scan
            .best()
            .kth(self.reach.kth)
            .map_or(f32::MIN, |kth| kth - self.reach.gap);
        let count = self.reach.most.saturating_sub(self.taken);
        ivf::nearest_above(&mut self.lists[self.taken..], least, count).to_vec()
    }

    fn take(&mut self, list: Ranked) {
        let rows = self.parts.lists.rows(list.list);
        self.taken += 1;
        self.scanned += rows.len();
        self.scan.list(rows, list.score);
    }

    fn into_met(self) -> Met {
        let rows = self.scan.into_best().into_hits();
        Met {
            compared: rows.len(),
            scanned: self.scanned,
            lists: self.taken,
            rows,
        }
    }
}

/// [`Parts::reach`] for many queries, of `count` lists: one that several are led to is scanned for all of them while it
/// lies in a cache.
pub(super) fn reach_together(mut ways: Vec<Way<'_>>, count: usize) -> Vec<Met> {
    let mut turns: Vec<(Ranked, usize)> = Vec::new();
    for (at, way) in ways.iter_mut().enumerate() {
        // The nearest are seldom those of another one.
        way.first().into_iter().for_each(|list| way.take(list));
        turns.extend(way.more().into_iter().map(|list| (list, at)));
    }
    let shared = turns.len() > count;
    if shared {
        turns.sort_unstable_by_key(|(list, at)| (list.list, *at));
    }
    for (list, at) in turns {
        ways[at].take(list);
        if shared {
            ways[at].scan.scan_all();
        }
    }
    ways.into_iter().map(Way::into_met).collect()
}

/// The best `count` rows of some lists, each with its centroid's score, that are not in `hidden`.
pub(super) fn scan(
    codes: &Pq,
    lists: impl Iterator<Item = (Range<usize>, f32)>,
    count: usize,
    tables: &Tables,
    through: (&Bitset, &Kernels),
) -> Reservoir {
    let mut scan = Scan::new(codes, count, tables, through);
    for (rows, centroid_score) in lists {
        scan.list(rows, centroid_score);
    }
    scan.into_best()
}

impl<'a> Scan<'a> {
    fn new(
        codes: &'a Pq,
        count: usize,
        tables: &'a Tables,
        (hidden, kernels): (&'a Bitset, &'a Kernels),
    ) -> Self {
        Self {
            codes,
            tables,
            hidden,
            kernels,
            blocks: Vec::with_capacity(BLOCKS + COMING),
            lists: Vec::with_capacity(BLOCKS + COMING),
            sums: [0; BLOCKS * FAST_SCAN_ROWS],
            best: Reservoir::new(count),
        }
    }

    fn list(&mut self, rows: Range<usize>, centroid_score: f32) {
        if rows.is_empty() {
            return;
        }
        let base = centroid_score + self.tables.base;
        for block in rows.start / FAST_SCAN_ROWS..rows.end.div_ceil(FAST_SCAN_ROWS) {
            if self.hidden.has_block(block) {
                continue;
            }
            self.blocks.push(block as u32);
            self.lists.push((rows.clone(), base));
            if self.blocks.len() == BLOCKS + COMING {
                self.scan(BLOCKS);
            }
        }
    }

    /// Scans all blocks that wait.
    fn scan_all(&mut self) {
        while !self.blocks.is_empty() {
            self.scan(self.blocks.len().min(BLOCKS));
        }
    }

    /// Scans the first `count` of the blocks that wait.
    fn scan(&mut self, count: usize) {
        let sums = &mut self.sums[..count * FAST_SCAN_ROWS];
        let tables = self.tables;
        self.kernels
            .fast_scan(&self.codes.codes, &tables.bytes, &self.blocks, sums);
        let waiting = self.blocks.drain(..count).zip(self.lists.drain(..count));
        for ((block, (rows, base)), sums) in waiting.zip(sums.as_chunks().0) {
            // What is below is 0 here, and what is above no sum reaches. Rounded down: of equal scores none is
            // passed over because of those that came before, so that lists can be scanned in any order.
            let needed = (self.best.least() - base) / tables.step;
            if needed > f32::from(u16::MAX) {
                continue;
            }
            let first = block as usize * FAST_SCAN_ROWS;
            let found = self.kernels.at_least(sums, needed as u16)
                & within(rows.start.saturating_sub(first), rows.end - first);
            for at in places(found) {
                let row = first + at;
                if !self.hidden.contains(row) {
                    self.best.offer(Hit {
                        id: row as u32,
                        score: base + f32::from(sums[at]) * tables.step,
                    });
                }
            }
        }
    }

    /// The best rows of all lists so far.
    fn best(&mut self) -> &mut Reservoir {
        self.scan_all();
        &mut self.best
    }

    fn into_best(mut self) -> Reservoir {
        self.scan_all();
        self.best
    }
}

/// The bits of rows `from` to before `to` of a block, which is not empty.
pub(super) fn within(from: usize, to: usize) -> u32 {
    u32::MAX << from & u32::MAX >> (FAST_SCAN_ROWS - FAST_SCAN_ROWS.min(to))
}

/// Where the bits are set, the lowest first.
pub(super) fn places(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros();
        bits &= bits.checked_sub(1)?;
        Some(place as usize)
    })
}
