//! Some of a collection's rows: flat or compact, in a space of their own.
//!
//! ```text
//! query ─ flat: scaled │ compact: lifted ─▶ Vectors ─▶ SPARE more than k ─ decoded, by the metric itself ─▶ k hits
//! ```
//! With cosine the index's own score is the metric, and nothing is decoded. Any other is computed of the
//! query and the decoded vector, so that what is very near has a distance that is very small.

use std::borrow::Cow;

use super::calibrate::Asked;
use super::parallel::each;
use super::{Bitset, Compact, Hit, Metric, Search, Space, Vectors};
use crate::kernels::Kernels;

/// Rows beyond those wanted that are decoded, at least.
const SPARE: usize = 16;

/// Some of a [`Collection`](super::Collection)'s rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The rows.
    pub vectors: Vectors,
    /// Where they lie.
    pub space: Space,
    /// The id of each row `[rows]`.
    pub ids: Vec<u32>,
    /// Rows that were removed.
    pub removed: Bitset,
}

impl Part {
    /// No rows yet, in a space for `vectors` and others like them.
    pub(super) fn growing(metric: Metric, dim: usize, vectors: &[Vec<f32>]) -> Self {
        let of = |row: usize, out: &mut [f32]| out.copy_from_slice(&vectors[row]);
        let part = Self {
            space: space(metric, dim, vectors.len(), &of),
            vectors: Vectors::new(dim),
            ids: Vec::new(),
            removed: Bitset::default(),
        };
        part.ranked(metric)
    }

    /// The best form for `rows` vectors; `vector(row, out)` fills one `[dim]` in, `ids` has their ids. For
    /// `mean` see [`Vectors::build`].
    pub(super) fn sealed(
        (metric, dim): (Metric, usize),
        mean: Option<&[f32]>,
        ids: &[u32],
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Self {
        let rows = ids.len();
        let space = space(metric, dim, rows, vector);
        let (vectors, order) = if metric == Metric::Cosine || rows < Vectors::COMPACT_ROWS {
            Vectors::build(rows, dim, mean, &|row, out| {
                let mut x = vec![0.0; dim];
                vector(row, &mut x);
                out.copy_from_slice(&space.flat(&x));
            })
        } else {
            let (index, order) = lifted(&space, (metric, dim), rows, vector);
            (Vectors::Compact(Box::new(index)), order)
        };
        let part = Self {
            vectors,
            space,
            ids: order.iter().map(|row| ids[*row as usize]).collect(),
            removed: Bitset::new(rows),
        };
        part.ranked(metric)
    }

    /// Whether the arrays fit together, for vectors of `dim` axes.
    pub(super) fn is_whole(&self, metric: Metric, dim: usize) -> bool {
        let (rows, axes) = (self.ids.len(), self.axes(metric, dim));
        self.vectors.len() == rows
            && self.removed.len() == rows
            && self.vectors.dim() == axes
            && self.space.is_whole(metric, dim)
    }

    /// The same part, its flat rows ranked as the metric wants.
    pub(super) fn ranked(mut self, metric: Metric) -> Self {
        if let (Vectors::Flat(flat), Metric::L2) = (&mut self.vectors, metric) {
            *flat = std::mem::take(flat).by_distance();
        }
        self
    }

    fn axes(&self, metric: Metric, dim: usize) -> usize {
        match self.vectors {
            Vectors::Flat(_) => dim,
            Vectors::Compact(_) => metric.axes(dim),
        }
    }

    /// Whether `vectors` can be added.
    pub(super) fn takes(&self, vectors: &[Vec<f32>]) -> bool {
        matches!(self.vectors, Vectors::Flat(_)) && vectors.iter().all(|x| self.space.holds(x))
    }

    pub(super) fn push(&mut self, id: u32, vector: &[f32]) {
        self.vectors.push(&self.space.flat(vector));
        self.ids.push(id);
        self.removed.push();
    }

    /// Rows that were not removed.
    pub(super) fn len(&self) -> usize {
        self.ids.len() - self.removed.count()
    }

    /// The vector of a row, as exactly as it is kept.
    pub(super) fn vector(&self, metric: Metric, row: usize) -> Vec<f32> {
        let is_lifted = matches!(self.vectors, Vectors::Compact(_));
        self.space
            .restore(metric, is_lifted, &self.vectors.vector(row))
    }

    /// Rows that take no part when only the ids in `allowed` do.
    pub(super) fn hidden(&self, allowed: Option<&Bitset>) -> Bitset {
        hidden_rows(&self.ids, &self.removed, allowed)
    }

    /// The nearest rows, as hits on their ids; the scores are signed.
    pub(super) fn nearest(
        &self,
        metric: Metric,
        search: &Search<'_>,
        kernels: &Kernels,
    ) -> Vec<Hit> {
        let ready = self.ready(metric, search.query);
        let (hits, _) = self
            .vectors
            .search(&self.wider(metric, search, &ready), kernels);
        self.ranked_again(metric, search, &hits)
    }

    /// [`Part::nearest`] for each of `searches`.
    pub(super) fn nearest_batch(
        &self,
        metric: Metric,
        searches: &[Search<'_>],
        kernels: &Kernels,
    ) -> Vec<Vec<Hit>> {
        let ready = each(searches.len(), |at| self.ready(metric, searches[at].query));
        let pairs = searches.iter().zip(&ready);
        let wider: Vec<Search<'_>> = pairs
            .map(|(search, ready)| self.wider(metric, search, ready))
            .collect();
        let found = self.vectors.search_batch(&wider, kernels);
        each(searches.len(), |at| {
            self.ranked_again(metric, &searches[at], &found[at])
        })
    }

    /// What is asked of the index, by a query that is `ready` for it.
    fn wider<'a>(&self, metric: Metric, search: &Search<'a>, ready: &'a [f32]) -> Search<'a> {
        let spare = match metric {
            Metric::Cosine => 0,
            Metric::Ip | Metric::L2 => search.k.max(SPARE),
        };
        Search {
            query: ready,
            k: search.k.saturating_add(spare).min(self.len()),
            ..*search
        }
    }

    /// The best of `hits` by the metric itself, as hits on their ids.
    fn ranked_again(&self, metric: Metric, search: &Search<'_>, hits: &[Hit]) -> Vec<Hit> {
        let mut hits = hits.to_vec();
        if metric != Metric::Cosine {
            for hit in &mut hits {
                hit.score = metric.score(search.query, &self.vector(metric, hit.id as usize));
            }
            hits.sort_unstable_by(Hit::order);
            hits.truncate(search.k.min(self.len()));
        }
        self.by_id(hits)
    }

    /// All rows whose signed score is `least` or more, in no order, as hits on their ids.
    pub(super) fn range(
        &self,
        metric: Metric,
        (query, least): (&[f32], f32),
        hidden: &Bitset,
        kernels: &Kernels,
    ) -> Vec<Hit> {
        let mut hits = match &self.vectors {
            vectors if metric == Metric::Cosine => vectors.range(query, least, hidden, kernels),
            Vectors::Flat(flat) => {
                let shown = (0..flat.len()).filter(|row| !hidden.contains(*row));
                shown
                    .map(|row| Hit {
                        id: row as u32,
                        score: 0.0,
                    })
                    .collect()
            }
            Vectors::Compact(index) => {
                let ready = self.ready(metric, query);
                let error = index.most_error();
                let least = self.space.lifted_least(metric, query, least, error)
                    - index.most_query_error(&ready);
                index.range(&ready, least, hidden, kernels)
            }
        };
        if metric != Metric::Cosine {
            for hit in &mut hits {
                hit.score = metric.score(query, &self.vector(metric, hit.id as usize));
            }
            hits.retain(|hit| hit.score >= least);
        }
        self.by_id(hits)
    }

    fn ready<'a>(&self, metric: Metric, query: &'a [f32]) -> Cow<'a, [f32]> {
        match self.vectors {
            _ if metric == Metric::Cosine => query.into(),
            Vectors::Flat(_) => self.space.flat_query(metric, query).into(),
            Vectors::Compact(_) => self.space.lift_query(metric, query).into(),
        }
    }

    /// Hits on rows, as hits on their ids.
    fn by_id(&self, hits: Vec<Hit>) -> Vec<Hit> {
        let named = |hit: Hit| Hit {
            id: self.ids[hit.id as usize],
            ..hit
        };
        hits.into_iter().map(named).collect()
    }
}

/// The rows that were removed, and those whose ids are not in `allowed`.
pub(super) fn hidden_rows(ids: &[u32], removed: &Bitset, allowed: Option<&Bitset>) -> Bitset {
    let mut hidden = removed.clone();
    if let Some(allowed) = allowed {
        for (row, id) in ids.iter().enumerate() {
            if !allowed.contains(*id as usize) {
                hidden.insert(row);
            }
        }
    }
    hidden
}

/// The space of some vectors.
fn space(metric: Metric, dim: usize, rows: usize, vector: &dyn Fn(usize, &mut [f32])) -> Space {
    match metric {
        Metric::Cosine => Space::default(),
        Metric::Ip | Metric::L2 => Space::around(dim, rows, vector),
    }
}

/// A compact index of lifted rows, and their order; its plan is measured by queries as they are lifted.
fn lifted(
    space: &Space,
    (metric, dim): (Metric, usize),
    rows: usize,
    vector: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> (Compact, Vec<u32>) {
    let row = |row: usize, out: &mut [f32]| {
        let mut x = vec![0.0; dim];
        vector(row, &mut x);
        space.lift_into(metric, &x, out);
    };
    // As far from the origin as the row.
    let query = |vector: &[f32], row: &[f32]| {
        let length = |x: &[f32]| x[..dim].iter().map(|x| x * x).sum::<f32>().sqrt();
        let factor = length(row) / length(vector).max(f32::MIN_POSITIVE);
        let vector: Vec<f32> = vector.iter().map(|x| x * factor).collect();
        space.lift_query(metric, &space.restore(metric, true, &vector))
    };
    let asked = Asked {
        query: &query,
        spare: SPARE,
    };
    Compact::build_asked((rows, metric.axes(dim)), 1, None, &row, asked)
}
