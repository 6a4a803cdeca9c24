//! The compact index: lists of four-bit codes that are scanned, eight-bit ones that decide.
//!
//! ```text
//! query ─▶ centroids ┬▶ some lists ─ fast scan of 4-bit codes ─▶ rerank rows ─ and 8-bit codes ─▶ k hits
//!            ivf     │               pq, d/4 bytes a row          decide       lvq, d + 8 bytes a row
//!                    └▶ graph, if there is one, from the nearest lists' entries, by the 8-bit codes, ef_search rows
//! ```
//! Rows lie in the order of their lists, so that a list is a range and needs no ids. All that decides
//! the order of hits is computed in integers or in f32 in a fixed order: every machine gives the same.

use super::calibrate::{Asked, Fill};
use super::codebook::Codebook;
use super::decide::{Base, Prepared};
use super::graph::{ByLvq, Graph, Walk};
use super::graph_build::{self, Degrees};
use super::ivf::{self, Lists, Trained};
use super::lvq::Lvq;
use super::planner::{Bearing, Effort, Explanation, Plan, Recall};
use super::pq::Pq;
use super::scan::{Met, Reach};
use super::sketch::{NEAR_LISTS, Sketch};
use super::{Bitset, Hit};
use crate::kernels::{FAST_SCAN_ROWS, Kernels, pages};

/// A comparison with the finer codes, row after row, takes as long as scanning so many.
pub(super) const COMPARISON: usize = 8;
/// Lists whose entries a walk through the graph starts from.
const ENTRIES: usize = 2;
/// Lists that are scanned before it is known how good rows are, for ten of all.
pub(super) const FIRST_LISTS: usize = 8;
/// By how much more lists than on average one query may need.
pub(super) const REACH_MOST: f64 = 4.0;
/// By how much a walk may be lengthened, for more hits or for hidden rows.
const WALK_MOST: f64 = 4.0;

/// An index of rows that do not change any more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compact {
    parts: Parts,
    sketch: Sketch,
}

/// The bare parts of a [`Compact`], as they are stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// Which rows belong together.
    pub lists: Lists,
    /// What is scanned.
    pub scan: Pq,
    /// What decides, together with what it is based on.
    pub fine: Lvq,
    /// What the codes of `fine` are of.
    pub base: Base,
    /// Another way in, for queries that lie among the rows; [`Graph::default`] where there is none.
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
    /// Some lists are scanned, some of their rows compared.
    Lists(Reach),
    /// The graph is walked with this `ef_search`.
    Graph(usize),
}

/// A query on its way.
pub(super) struct Started {
    pub query: Prepared,
    /// What it is taken for.
    kind: &'static str,
    reach: Reach,
    pub route: Route,
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
        Self::build_asked((rows, dim), seed, mean, vector, Asked::LIKE_ROWS)
    }

    /// As [`Compact::build`], for queries that lie elsewhere than the rows: the plan is measured as it will
    /// be `asked`.
    ///
    /// # Panics
    /// As [`Compact::build`].
    pub(super) fn build_asked(
        (rows, dim): (usize, usize),
        seed: u64,
        mean: Option<&[f32]>,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
        asked: Asked<'_>,
    ) -> (Self, Vec<u32>) {
        assert!(
            rows > 0 && rows < 1 << 31 && dim > 0,
            "{rows} rows of {dim}"
        );
        let learnt = learn((rows, dim), seed, mean, vector);
        Self::built(learnt, rows, seed, (vector, asked))
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
        Self::built((trained, scan), rows, seed, (vector, Asked::LIKE_ROWS))
    }

    fn built(
        trained: (Trained, Pq),
        rows: usize,
        seed: u64,
        (vector, asked): (Fill<'_>, Asked<'_>),
    ) -> (Self, Vec<u32>) {
        let dim = trained.0.mean.len();
        let (mut parts, order) = Self::coded(trained, rows, vector);
        let list_of = parts.lists.of_rows();
        let ordered = |row: usize, out: &mut [f32]| vector(order[row] as usize, out);
        parts.base = Base::Coarse;
        parts.fine = Lvq::encode(vec![0.0; dim], rows, |row, out| {
            let mut coarse = vec![0.0; dim];
            parts.coarse_into(row, list_of[row] as usize, &mut coarse);
            ordered(row, out);
            out.iter_mut().zip(&coarse).for_each(|(x, c)| *x -= c);
        });
        let mut index = Self::of(parts);
        index.parts.plan = super::calibrate::plan(&index, seed, &ordered, asked);
        (index, order)
    }

    /// Lists of `rows` rows, a graph over them, and their order: what [`Compact::linked`] has for its own codes.
    pub(super) fn links(
        (rows, dim): (usize, usize),
        seed: u64,
        vector: Fill<'_>,
        degrees: Degrees,
    ) -> (Lists, Graph, Vec<u32>) {
        let learnt = learn((rows, dim), seed, None, vector);
        let (mut parts, order) = Self::coded(learnt, rows, vector);
        let mean = parts.lists.centroids.mean.clone();
        parts.fine = Lvq::encode(mean, rows, |row, out| vector(order[row] as usize, out));
        parts.base = Base::Mean;
        let graph = graph_build::build(&parts, degrees);
        (parts.lists, graph, order)
    }

    /// Rows in lists and in their coarse codes, and their order.
    fn coded(
        (trained, mut scan): (Trained, Pq),
        rows: usize,
        vector: Fill<'_>,
    ) -> (Parts, Vec<u32>) {
        let dim = trained.mean.len();
        let (lists, order) = trained.deal(rows, vector);
        let list_of = lists.of_rows();
        scan.encode_across(rows, dim, &|row, residual, x| {
            vector(order[row] as usize, x);
            residual.copy_from_slice(x);
            lists.centroids.take_from(list_of[row] as usize, residual);
        });
        let parts = Parts {
            lists,
            scan,
            ..Parts::default()
        };
        (parts, order)
    }

    /// The same index with a graph besides, some 25 bytes a row, which is walked where that costs less
    /// than the lists; its finer codes are based on the mean alone. `vector(row, out)` fills a unit vector
    /// in, in the index's own order.
    #[must_use]
    pub fn linked(mut self, seed: u64, vector: &(dyn Fn(usize, &mut [f32]) + Sync)) -> Self {
        let mean = self.mean().to_vec();
        self.parts.fine = Lvq::encode(mean, self.len(), vector);
        self.parts.base = Base::Mean;
        pages::enlarge(&self.parts.fine.codes);
        self.parts.graph = graph_build::build(&self.parts, Degrees::USUAL);
        pages::enlarge(&self.parts.graph.links);
        self.parts.plan = super::calibrate::plan(&self, seed, vector, Asked::LIKE_ROWS);
        self
    }

    /// From stored parts; `None` when they do not fit together or a number is not finite.
    pub fn from_parts(dim: usize, parts: Parts) -> Option<Self> {
        let rows = parts.fine.len();
        let whole = parts.fine.is_whole(dim)
            && parts.lists.is_whole(rows, dim)
            && parts.scan.is_whole(rows, dim)
            && parts.graph.is_whole(rows, &parts.lists)
            && (parts.graph.is_empty() || parts.base == Base::Mean);
        whole.then(|| Self::of(parts))
    }

    fn of(parts: Parts) -> Self {
        pages::enlarge(&parts.scan.codes);
        pages::enlarge(&parts.fine.codes);
        pages::enlarge(&parts.graph.links);
        let sketch = Sketch::of(&parts.lists, &parts.scan);
        Self { parts, sketch }
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

    /// The mean of what it was learnt from `[dim]`.
    pub fn mean(&self) -> &[f32] {
        &self.parts.lists.centroids.mean
    }

    /// The vector of a row, as exactly as it is kept.
    pub fn vector(&self, row: usize) -> Vec<f32> {
        let mut vector = vec![0.0; self.dim()];
        self.decode_into(row, &mut vector);
        vector
    }

    /// Fills [`Compact::vector`] into `out` `[dim]`.
    pub fn decode_into(&self, row: usize, out: &mut [f32]) {
        self.parts.decode_into(row, out);
    }

    /// The rows nearest to the query, best first, and what was done for it. The score is the inner
    /// product with the finer codes: the cosine, for unit vectors.
    ///
    /// # Panics
    /// When the query's length is not `dim`.
    pub fn search(&self, search: &Search<'_>, kernels: &Kernels) -> (Vec<Hit>, Explanation) {
        self.search_by(&self.parts.plan, search, kernels)
    }

    /// The same by another plan.
    pub(super) fn search_by(
        &self,
        plan: &Plan,
        search: &Search<'_>,
        kernels: &Kernels,
    ) -> (Vec<Hit>, Explanation) {
        let mut started = self.started(plan, search, kernels);
        let found = self.follow(started.route, &mut started.query, search, kernels);
        self.finished(started, search, found, kernels)
    }

    /// The query, and the way that it takes.
    pub(super) fn started(&self, plan: &Plan, search: &Search<'_>, kernels: &Kernels) -> Started {
        assert_eq!(
            search.query.len(),
            self.dim(),
            "a query of {} axes",
            self.dim()
        );
        let left = self.len() - search.hidden.count();
        let (query, kind, (reach, ef)) = self.prepared(plan, search, left, kernels);
        let usual = self.len() * reach.usual / self.parts.lists.len();
        let spent = usual + reach.rerank * COMPARISON;
        let all = left * COMPARISON + (left * FAST_SCAN_ROWS).min(self.len());
        let route = if search.recall == Recall::Exact || all <= spent {
            Route::Rows
        } else if ef > 0 {
            Route::Graph(ef)
        } else {
            Route::Lists(reach)
        };
        Started {
            query,
            kind,
            reach,
            route,
        }
    }

    /// What was found on the way, or on longer ones where that was too little, and what was done for it.
    pub(super) fn finished(
        &self,
        started: Started,
        search: &Search<'_>,
        (mut hits, mut met): (Vec<Hit>, Met),
        kernels: &Kernels,
    ) -> (Vec<Hit>, Explanation) {
        let left = self.len() - search.hidden.count();
        let Started {
            mut query,
            kind,
            reach,
            mut route,
        } = started;
        // Where the hidden rows lie close together, a short way may meet too few others.
        while hits.len() < search.k.min(left) && route != Route::Rows {
            route = match route {
                Route::Graph(_) => Route::Lists(reach),
                _ => Route::Rows,
            };
            (hits, met) = self.follow(route, &mut query, search, kernels);
        }
        query.spare();
        let explanation = Explanation {
            kind,
            route: route.name(),
            lists: (met.lists, self.parts.lists.len()),
            scanned: met.scanned,
            compared: met.compared,
        };
        (hits, explanation)
    }

    /// The query with the lists that it may be led to, what it is taken for, and the way.
    fn prepared(
        &self,
        plan: &Plan,
        search: &Search<'_>,
        left: usize,
        kernels: &Kernels,
    ) -> (Prepared, &'static str, (Reach, usize)) {
        let lists = &self.parts.lists;
        let mut query = self.parts.unranked(search.query, kernels);
        let pays =
            |count: usize| Sketch::pays(count, lists.len()) && search.recall != Recall::Exact;
        // As many as a photo needs, which most queries are.
        let (photo, _) = self.adapted(plan.photo.of(search.recall), search.k, left);
        let first = photo.ranked().max(NEAR_LISTS);
        let looks = match pays(first) {
            true => self.sketch.looks(&query.tables, kernels),
            false => Vec::new(),
        };
        let near = |count: usize, query: &mut Prepared| {
            // To compare most of them anyway, a sketch is no help.
            let ids = match pays(count) {
                true => self.sketch.nearest(&looks, count, kernels),
                false => lists.all(),
            };
            query.rank(lists, ids, kernels);
        };
        near(first, &mut query);
        let bearing = Bearing::around(self.sketch.mean_score(search.query), &query.ranked);
        let (kind, effort) = plan.effort(bearing, search.recall);
        let (reach, ef) = self.adapted(effort, search.k, left);
        if reach.ranked() > query.ranked.len() && query.ranked.len() < lists.len() {
            near(reach.ranked(), &mut query);
        }
        (query, kind, (reach, ef))
    }

    /// The hits of one route, and what was met.
    pub(super) fn follow(
        &self,
        route: Route,
        query: &mut Prepared,
        search: &Search<'_>,
        kernels: &Kernels,
    ) -> (Vec<Hit>, Met) {
        let parts = &self.parts;
        let reach = match route {
            Route::Graph(ef) => return self.walk(ef, query, search, kernels),
            Route::Rows => {
                query.rank(&parts.lists, parts.lists.all(), kernels);
                Reach::all(parts.lists.len(), self.len() - search.hidden.count())
            }
            Route::Lists(reach) => reach,
        };
        let lists = (&mut query.ranked[..], &query.tables);
        let met = parts.reach(&reach, lists, (search.hidden, kernels));
        (parts.decide(&met.rows, search.k, query, kernels), met)
    }

    fn walk(
        &self,
        ef: usize,
        query: &mut Prepared,
        search: &Search<'_>,
        kernels: &Kernels,
    ) -> (Vec<Hit>, Met) {
        let by = ByLvq::new(&self.parts.fine, search.query, kernels);
        let mut walk = Walk::new(&self.parts.graph, by, ef.max(search.k));
        let met = Met {
            compared: walk.start_at(ivf::nearest(&mut query.ranked, ENTRIES)),
            ..Met::default()
        };
        let mut hits = walk.into_hits();
        hits.retain(|hit| !search.hidden.contains(hit.id as usize));
        hits.truncate(search.k);
        (hits, met)
    }

    /// The way for `k` rows when only `left` of all take part, and `ef_search`: what was measured for ten
    /// of all, enlarged in proportion.
    fn adapted(&self, effort: Effort, k: usize, left: usize) -> (Reach, usize) {
        let deeper = (k as f64 / 10.0).max(1.0);
        let sparser = self.len() as f64 / left.max(1) as f64;
        let (larger, count) = (deeper * sparser, self.parts.lists.len());
        let lists = |lists: f64| ((lists * larger) as usize).min(count);
        let nprobe = f64::from(effort.nprobe);
        let most = if effort.gap < f32::MAX {
            REACH_MOST
        } else {
            1.0
        };
        let reach = Reach {
            first: lists(nprobe.min(FIRST_LISTS as f64)),
            usual: lists(nprobe),
            most: lists(nprobe * most),
            gap: effort.gap,
            kth: k.max(10),
            rerank: (f64::from(effort.rerank) * deeper).min(self.len() as f64) as usize,
        };
        // Where more are asked for, or many are hidden, a walk would have to go too far.
        let walks = larger <= WALK_MOST && !self.parts.graph.is_empty();
        let ef = f64::from(effort.ef) * larger;
        (reach, if walks { ef as usize } else { 0 })
    }
}

/// Lists and a codebook for what they leave, from some of the rows.
fn learn(
    (rows, dim): (usize, usize),
    seed: u64,
    mean: Option<&[f32]>,
    vector: Fill<'_>,
) -> (Trained, Pq) {
    let trained = Trained::new((rows, dim), Lists::count_for(rows), seed, mean, vector);
    let scan = Pq::train(&trained.residuals(), dim, seed);
    (trained, scan)
}
