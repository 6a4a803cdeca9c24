//! The compact index: lists of four-bit codes that are scanned, eight-bit ones that decide.
//!
//! ```text
//! query ─▶ centroids ┬▶ nprobe lists ─ fast scan of 4-bit codes ─▶ rerank rows ─ 8-bit codes ─▶ k hits
//!            ivf     │                 pq, d/4 bytes a row                     lvq, d + 8 bytes a row
//!                    └▶ graph from the nearest lists' entries, by the 8-bit codes, ef_search rows ─▶ k hits
//! ```
//! Rows lie in the order of their lists, so that a list is a range and needs no ids. All that decides
//! the order of hits is computed in integers or in f32 in a fixed order: every machine gives the same.

use super::codebook::Codebook;
use super::graph::{Graph, Walk};
use super::graph_build;
use super::ivf::{Lists, Trained, shown};
use super::lvq::{Dots, Lvq};
use super::planner::{Effort, Explanation, Plan, Recall};
use super::pq::Pq;
use super::top::Top;
use super::{Bitset, Hit};
use crate::kernels::Kernels;

/// A comparison with the finer codes, row after row, takes as long as scanning so many.
const COMPARISON: usize = 8;
/// Lists whose entries a walk through the graph starts from.
const ENTRIES: usize = 2;
/// By how much a walk may be lengthened, for more hits or for hidden rows.
const WALK_MOST: f64 = 4.0;

/// An index of rows that do not change any more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compact {
    parts: Parts,
}

/// The bare parts of a [`Compact`], as they are stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// Which rows belong together.
    pub lists: Lists,
    /// What is scanned.
    pub scan: Pq,
    /// What decides.
    pub fine: Lvq,
    /// Another way in, for queries that lie among the rows.
    pub graph: Graph,
    /// How much of it to look at.
    pub plan: Plan,
}

/// What to look for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// A unit vector `[dim]`.
    pub query: &'a [f32],
    /// How many rows.
    pub k: usize,
    /// Rows that take no part.
    pub hidden: &'a Bitset,
    /// How good the answer should be.
    pub recall: Recall,
}

/// A way to the nearest rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Route {
    /// Every row that is shown is compared.
    Rows,
    /// So many lists are scanned, so many rows of them compared.
    Lists(usize, usize),
    /// The graph is walked with this `ef_search`.
    Graph(usize),
}

impl Route {
    fn name(self) -> &'static str {
        match self {
            Route::Rows => "rows",
            Route::Lists(..) => "lists",
            Route::Graph(_) => "graph",
        }
    }
}

impl Compact {
    /// Builds the index of `rows` vectors; `vector(row, out)` fills a unit vector `[dim]` in. Also gives
    /// the order: row `i` of the index is vector `order[i]`. The same `seed` gives the same index
    /// on one machine, on any number of threads. Vectors that were decoded from an index with the same
    /// `mean` are encoded as they were; without one it is learnt.
    ///
    /// # Panics
    /// When there are no rows or no axes, or more than 2³¹ rows.
    pub fn build(
        rows: usize,
        dim: usize,
        seed: u64,
        mean: Option<&[f32]>,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> (Self, Vec<u32>) {
        assert!(
            rows > 0 && rows < 1 << 31 && dim > 0,
            "{rows} rows of {dim}"
        );
        let trained = Trained::new(rows, dim, seed, mean, vector);
        let scan = Pq::train(&trained.residuals(), dim, seed);
        Self::built((trained, scan), rows, seed, vector)
    }

    /// As [`Compact::build`], with what shards share in place of a sample of the rows.
    ///
    /// # Panics
    /// When there are no rows, or more than 2³¹.
    pub fn build_with(
        codebook: &Codebook,
        rows: usize,
        seed: u64,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> (Self, Vec<u32>) {
        assert!(rows > 0 && rows < 1 << 31, "{rows} rows");
        let scan = Pq {
            codebook: codebook.codebook.clone(),
            codes: Vec::new(),
        };
        let trained = Trained::of(codebook.centroids.clone());
        Self::built((trained, scan), rows, seed, vector)
    }

    fn built(
        (trained, mut scan): (Trained, Pq),
        rows: usize,
        seed: u64,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> (Self, Vec<u32>) {
        let dim = trained.mean.len();
        let (lists, order) = trained.deal(rows, vector);
        let list_of = lists.of_rows();
        scan.encode(rows, dim, |row, out| {
            vector(order[row] as usize, out);
            let mut centroid = vec![0.0; dim];
            lists
                .centroids
                .decode_into(list_of[row] as usize, &mut centroid);
            out.iter_mut().zip(&centroid).for_each(|(x, c)| *x -= c);
        });
        let ordered = |row: usize, out: &mut [f32]| vector(order[row] as usize, out);
        let fine = Lvq::encode(trained.mean.clone(), rows, ordered);
        let mut index = Self {
            parts: Parts {
                lists,
                scan,
                fine,
                graph: Graph::default(),
                plan: Plan::default(),
            },
        };
        index.parts.graph = graph_build::build(&index.parts);
        index.parts.plan = super::calibrate::plan(&index, seed, &ordered);
        (index, order)
    }

    /// From stored parts; `None` when they do not fit together or a number is not finite.
    pub fn from_parts(dim: usize, parts: Parts) -> Option<Self> {
        let rows = parts.fine.len();
        let whole = parts.fine.is_whole(dim)
            && parts.lists.is_whole(rows, dim)
            && parts.scan.is_whole(rows, dim)
            && parts.graph.is_whole(rows, &parts.lists);
        whole.then_some(Self { parts })
    }

    /// The parts, to be stored.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.parts.fine.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        self.parts.fine.dim()
    }

    /// The vector of a row, to eight bits an axis.
    pub fn vector(&self, row: usize) -> Vec<f32> {
        self.parts.fine.vector(row)
    }

    /// The rows nearest to the query, best first, and what was done for it. The score is the inner
    /// product with the finer codes: the cosine, for unit vectors.
    ///
    /// # Panics
    /// When the query's length is not `dim`.
    pub fn search(&self, search: &Search<'_>, kernels: &Kernels) -> (Vec<Hit>, Explanation) {
        assert_eq!(
            search.query.len(),
            self.dim(),
            "a query of {} axes",
            self.dim()
        );
        let ranked = self
            .parts
            .lists
            .ranked(search.query, kernels, &mut Dots::default());
        let (kind, effort) = self.parts.plan.effort(nearness(&ranked), search.recall);
        let left = self.len() - search.hidden.count();
        let effort = self.adapted(effort, search.k, left);
        let lists = &ranked[..effort.nprobe as usize];
        let rows_of = |list: &Hit| self.parts.lists.rows(list.id).len();
        let scanned: usize = lists.iter().map(rows_of).sum();
        let spent = scanned + effort.rerank as usize * COMPARISON;
        let mut route = if search.recall == Recall::Exact || left * COMPARISON <= spent {
            Route::Rows
        } else if effort.ef > 0 {
            Route::Graph(effort.ef as usize)
        } else {
            Route::Lists(lists.len(), effort.rerank as usize)
        };
        let (mut hits, mut compared) = self.follow(route, &ranked, search, kernels);
        // Where the hidden rows lie close together, a short way may meet too few others.
        while hits.len() < search.k.min(left) && route != Route::Rows {
            route = match route {
                Route::Graph(_) => Route::Lists(lists.len(), effort.rerank as usize),
                _ => Route::Rows,
            };
            (hits, compared) = self.follow(route, &ranked, search, kernels);
        }
        let through_lists = matches!(route, Route::Lists(..));
        let explanation = Explanation {
            kind,
            route: route.name(),
            lists: (if through_lists { lists.len() } else { 0 }, ranked.len()),
            scanned: if through_lists { scanned } else { 0 },
            compared,
        };
        (hits, explanation)
    }

    /// The hits of one route, and how many rows were compared by their finer codes.
    pub(super) fn follow(
        &self,
        route: Route,
        ranked: &[Hit],
        search: &Search<'_>,
        kernels: &Kernels,
    ) -> (Vec<Hit>, usize) {
        let ids = match route {
            Route::Graph(ef) => return self.walk(ef, ranked, search, kernels),
            Route::Rows => shown(0..self.len(), search.hidden).collect(),
            Route::Lists(nprobe, rerank) => {
                let lists = &ranked[..nprobe.min(ranked.len())];
                self.parts
                    .scan_lists(lists, rerank, search.query, search.hidden, kernels)
            }
        };
        (self.best_of(&ids, search, kernels), ids.len())
    }

    fn walk(
        &self,
        ef: usize,
        ranked: &[Hit],
        search: &Search<'_>,
        kernels: &Kernels,
    ) -> (Vec<Hit>, usize) {
        let mut walk = Walk::new(&self.parts, search.query, ef.max(search.k), kernels);
        let compared = walk.start_at(&ranked[..ENTRIES.min(ranked.len())]);
        let mut hits = walk.into_hits();
        hits.retain(|hit| !search.hidden.contains(hit.id as usize));
        hits.truncate(search.k);
        (hits, compared)
    }

    /// The effort for `k` rows when only `left` of all take part: what was measured for ten of all,
    /// enlarged in proportion.
    fn adapted(&self, effort: Effort, k: usize, left: usize) -> Effort {
        let deeper = (k as f64 / 10.0).max(1.0);
        let sparser = self.len() as f64 / left.max(1) as f64;
        let lists = self.parts.lists.len() as f64;
        Effort {
            nprobe: (f64::from(effort.nprobe) * deeper * sparser).min(lists) as u32,
            rerank: (f64::from(effort.rerank) * deeper).min(self.len() as f64) as u32,
            // Where more are asked for, or many are hidden, a walk would have to go too far.
            ef: if deeper * sparser > WALK_MOST {
                0
            } else {
                effort.ef * (deeper * sparser) as u32
            },
            ..effort
        }
    }

    fn best_of(&self, ids: &[u32], search: &Search<'_>, kernels: &Kernels) -> Vec<Hit> {
        let mut dots = Dots::default();
        let mut top = Top::new(search.k);
        let query = self.parts.fine.query(search.query);
        let offer = |id, score| top.offer(Hit { id, score });
        self.parts
            .fine
            .scores(&query, ids, kernels, &mut dots, offer);
        top.into_hits()
    }
}

/// How far the best centroid stands out from their mean.
pub(super) fn nearness(ranked: &[Hit]) -> f32 {
    let mean = ranked.iter().map(|list| list.score).sum::<f32>() / ranked.len().max(1) as f32;
    ranked.first().map_or(0.0, |best| best.score - mean)
}
