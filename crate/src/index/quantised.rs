//! Rows under a structure and a code of one's choice, for who knows which: what the [planner](super::planner) chooses
//! among is [`Compact`] alone.
//!
//! ```text
//! Flat   ┐                                      ┌▶ k hits
//! Ivf    ├▶ the best rows by their code ────────┴▶ the best `rerank` ─ by a finer code ─▶ k hits
//! Hnsw   ┘
//! ```
//! A code is of what is left of a row: by `Ivf` without its list's centroid, else without the mean of all.
//! `cargo xtask bench index` draws each code's bytes against its recall.

use super::codes::{ByCodes, Code, Codes, Ready};
use super::graph::{Graph, Walk};
use super::graph_build::Degrees;
use super::ivf::{self, Lists, Ranked, Trained};
use super::kmeans::mean_of;
use super::lvq::Lvq;
use super::random::Random;
use super::top::Top;
use super::{Bitset, Compact, Hit};
use crate::kernels::Kernels;

/// Rows that the mean is learnt from.
const SAMPLE: usize = 16_384;
/// Lists whose entries a walk through the graph starts from.
const ENTRIES: usize = 2;

/// How rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// All are compared.
    Flat,
    /// Those of the nearest lists are (IVF: Jégou, Douze and Schmid 2011).
    Ivf {
        /// How many lists; as many as suit the rows where there is no number.
        nlist: Option<usize>,
    },
    /// From row to row along links (HNSW: Malkov and Yashunin 2018; the lists' centroids do what its upper layers do).
    Hnsw {
        /// Links that a row chooses; with those back it has twice as many at most.
        m: usize,
        /// Rows that it chooses among.
        ef_construction: usize,
    },
}

/// What an index is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// How rows are found.
    pub structure: Structure,
    /// What they are compared by.
    pub code: Code,
    /// What decides among the best of them; without it, `code` does.
    pub refine: Option<Code>,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Lists that are scanned, by [`Structure::Ivf`].
    pub nprobe: usize,
    /// Rows that a walk keeps, by [`Structure::Hnsw`]; at least as many as are wanted of it.
    pub ef_search: usize,
    /// Rows that are ranked again, where there is a finer code.
    pub rerank: usize,
}

impl Default for Depth {
    fn default() -> Self {
        Self {
            nprobe: 16,
            ef_search: 64,
            rerank: 100,
        }
    }
}

/// Rows of unit vectors.
///
/// ```
/// use photorecall::Kernels;
/// use photorecall::index::{Bitset, Code, Depth, Quantised, Recipe, Structure};
///
/// let vectors: Vec<[f32; 2]> = (0..100).map(|at| (at as f32 / 100.0).sin_cos().into()).collect();
/// let recipe = Recipe {
///     structure: Structure::Ivf { nlist: Some(4) },
///     code: Code::Int8,
///     refine: Some(Code::F16),
/// };
/// let (index, order) = Quantised::build(recipe, (100, 2), 1, &|row, out| out.copy_from_slice(&vectors[row]));
/// let found = index.search(&vectors[42], 1, Depth::default(), &Bitset::new(100), Kernels::best());
/// assert_eq!(order[found[0].id as usize], 42);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    lists: Lists,
    graph: Graph,
    codes: Codes,
    refine: Option<Codes>,
}

/// A query with what the lists say of it.
struct ListedQuery {
    ready: Ready,
    ranked: Vec<Ranked>,
    /// What the score of a row of each list begins with `[nlist]`.
    bases: Vec<f32>,
}

impl Quantised {
    /// Of `rows` unit vectors `[dim]`; `vector(row, out)` fills one in. Also gives the order: row `i` of the index is
    /// vector `order[i]`. The same `seed` gives the same index on one machine.
    ///
    /// # Panics
    /// When there are no rows or no axes, more than 2³¹ rows, no lists or more of them than rows, or when `m` or a
    /// subspace's axes are 0.
    pub fn build(
        recipe: Recipe,
        (rows, dim): (usize, usize),
        seed: u64,
        vector: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> (Self, Vec<u32>) {
        let in_range = rows > 0 && rows < 1 << 31 && dim > 0;
        assert!(in_range, "{rows} rows of {dim}");
        let (lists, graph, order) = match recipe.structure {
            Structure::Flat => {
                let order = (0..rows as u32).collect();
                let sample = Random(seed).vectors((rows, dim), SAMPLE, vector);
                (
                    one_list(rows, mean_of(&sample, dim)),
                    Graph::default(),
                    order,
                )
            }
            Structure::Ivf { nlist } => {
                let nlist = nlist.unwrap_or_else(|| Lists::count_for(rows));
                let trained = Trained::new((rows, dim), nlist, seed, None, vector);
                let (lists, order) = trained.deal(rows, vector);
                (lists, Graph::default(), order)
            }
            Structure::Hnsw { m, ef_construction } => {
                assert!(m > 0, "rows without links");
                let degrees = Degrees {
                    candidates: ef_construction,
                    chosen: m,
                    most: 2 * m,
                };
                Compact::links((rows, dim), seed, vector, degrees)
            }
        };
        let list_of = lists.of_rows();
        let both = |row: usize, out: &mut [f32], x: &mut [f32]| {
            vector(order[row] as usize, x);
            out.copy_from_slice(x);
            if graph.is_empty() {
                lists.centroids.take_from(list_of[row] as usize, out);
            } else {
                let pairs = out.iter_mut().zip(&lists.centroids.mean);
                pairs.for_each(|(x, mean)| *x -= mean);
            }
        };
        let encode = |code| Codes::encode(code, (rows, dim), seed, &both);
        let (codes, refine) = (encode(recipe.code), recipe.refine.map(encode));
        let index = Self {
            lists,
            graph,
            codes,
            refine,
        };
        (index, order)
    }

    /// From stored parts; `None` when they do not fit together or a number is not finite.
    pub fn from_parts(
        lists: Lists,
        graph: Graph,
        codes: Codes,
        refine: Option<Codes>,
    ) -> Option<Self> {
        let (rows, dim) = (
            lists.starts.last().copied()? as usize,
            lists.centroids.dim(),
        );
        let whole = rows > 0
            && lists.is_whole(rows, dim)
            && graph.is_whole(rows, &lists)
            && codes.is_whole(rows, dim)
            && refine.iter().all(|codes| codes.is_whole(rows, dim));
        whole.then_some(Self {
            lists,
            graph,
            codes,
            refine,
        })
    }

    /// The lists, of which [`Structure::Flat`] has one; the links; what is compared, and what decides.
    pub fn parts(&self) -> (&Lists, &Graph, &Codes, Option<&Codes>) {
        let Self {
            lists,
            graph,
            codes,
            refine,
        } = self;
        (lists, graph, codes, refine.as_ref())
    }

    /// How many rows there are: at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is no index of no rows")]
    pub fn len(&self) -> usize {
        self.lists.starts.last().map_or(0, |rows| *rows as usize)
    }

    /// Axes of a vector.
    pub fn dim(&self) -> usize {
        self.lists.centroids.dim()
    }

    /// Bytes of memory that it takes: for finding rows, and for deciding besides.
    pub fn bytes(&self) -> (usize, usize) {
        let Lists {
            centroids, starts, ..
        } = &self.lists;
        let lists = centroids.codes.len() + 12 * centroids.len() + 4 * starts.len();
        let graph =
            self.graph.links.len() + 4 * (self.graph.starts.len() + self.graph.entries.len());
        let refine = self.refine.as_ref().map_or(0, Codes::bytes);
        (lists + graph + self.codes.bytes(), refine)
    }

    /// The `k` rows nearest to `query` `[dim]` that are not in `hidden`, best first; the score is the inner product by
    /// the code that decides: the cosine, for unit vectors.
    ///
    /// # Panics
    /// When the query's length is not `dim`.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        depth: Depth,
        hidden: &Bitset,
        kernels: &Kernels,
    ) -> Vec<Hit> {
        let mut asked = self.asked(query, kernels);
        let count = match self.refine {
            Some(_) => depth.rerank.max(k),
            None => k,
        };
        let left = self.len() - hidden.count();
        let mut hits = match self.graph.is_empty() {
            true => self.scan(&mut asked, depth.nprobe, count, (hidden, kernels)),
            false => self.walk(&mut asked, depth.ef_search.max(count), (hidden, kernels)),
        };
        // Where the hidden rows lie close together, a short way may meet too few others.
        if hits.len() < k.min(left) {
            hits = self.scan(&mut asked, self.lists.len(), count, (hidden, kernels));
        }
        hits.truncate(count);
        let Some(finer) = &self.refine else {
            return hits;
        };
        let (mut top, mut products) = (Top::new(k), Vec::new());
        let rows = hits.iter().map(|hit| hit.id as usize);
        let ready = finer.ready(query, kernels);
        finer.products(&ready, rows, kernels, &mut products);
        for (hit, product) in hits.iter().zip(products) {
            let base = asked.bases[self.lists.of(hit.id as usize)];
            top.offer(Hit {
                id: hit.id,
                score: base + product,
            });
        }
        top.into_hits()
    }

    /// All rows whose score is `least` or more and that are not in `hidden`, best first: every row is compared by the
    /// code that decides.
    ///
    /// # Panics
    /// As [`Quantised::search`].
    pub fn range(&self, query: &[f32], least: f32, hidden: &Bitset, kernels: &Kernels) -> Vec<Hit> {
        let asked = self.asked(query, kernels);
        let codes = self.refine.as_ref().unwrap_or(&self.codes);
        let (ready, mut products) = (codes.ready(query, kernels), Vec::new());
        codes.products(&ready, 0..self.len(), kernels, &mut products);
        let list_of = self.lists.of_rows();
        let hits = products.iter().enumerate().map(|(row, product)| Hit {
            id: row as u32,
            score: asked.bases[list_of[row] as usize] + product,
        });
        let mut hits: Vec<Hit> = hits
            .filter(|hit| hit.score >= least && !hidden.contains(hit.id as usize))
            .collect();
        hits.sort_unstable_by(Hit::order);
        hits
    }

    fn asked(&self, query: &[f32], kernels: &Kernels) -> ListedQuery {
        assert_eq!(query.len(), self.dim(), "a query of {} axes", self.dim());
        let centroids = self.lists.centroids.query(query);
        let ranked = self.lists.ranked(&self.lists.all(), &centroids, kernels);
        let bases = match self.graph.is_empty() {
            true => ranked.iter().map(|list| list.score).collect(),
            false => {
                let pairs = query.iter().zip(&self.lists.centroids.mean);
                let products = pairs.map(|(q, mean)| f64::from(*q) * f64::from(*mean));
                vec![products.sum::<f64>() as f32; ranked.len()]
            }
        };
        ListedQuery {
            ready: self.codes.ready(query, kernels),
            ranked,
            bases,
        }
    }

    /// The best `count` rows of the nearest lists.
    fn scan(
        &self,
        asked: &mut ListedQuery,
        nprobe: usize,
        count: usize,
        (hidden, kernels): (&Bitset, &Kernels),
    ) -> Vec<Hit> {
        let (mut top, mut products) = (Top::new(count), Vec::new());
        for list in ivf::nearest(&mut asked.ranked, nprobe.max(1)) {
            let rows = self.lists.rows(list.list);
            self.codes
                .scan(&asked.ready, rows.clone(), kernels, &mut products);
            let base = asked.bases[list.list as usize];
            for (row, product) in rows.zip(&products) {
                if !hidden.contains(row) {
                    top.offer(Hit {
                        id: row as u32,
                        score: base + product,
                    });
                }
            }
        }
        top.into_hits()
    }

    /// The rows that a walk keeps, best first.
    fn walk(
        &self,
        asked: &mut ListedQuery,
        ef: usize,
        (hidden, kernels): (&Bitset, &Kernels),
    ) -> Vec<Hit> {
        let by = ByCodes {
            codes: &self.codes,
            query: &asked.ready,
            kernels,
            products: Vec::new(),
        };
        let mut walk = Walk::new(&self.graph, by, ef);
        walk.start_at(ivf::nearest(&mut asked.ranked, ENTRIES));
        let base = asked.bases.first().copied().unwrap_or(0.0);
        let mut hits = walk.into_hits();
        hits.retain(|hit| !hidden.contains(hit.id as usize));
        hits.iter_mut().for_each(|hit| hit.score += base);
        hits
    }
}

/// All rows in one list around `mean`.
pub(crate) fn one_list(rows: usize, mean: Vec<f32>) -> Lists {
    let middle = Lvq {
        codes: vec![0; mean.len()],
        scales: vec![0.0],
        offsets: vec![0.0],
        mean,
    };
    Lists::new(middle, vec![0, rows as u32])
}

#[cfg(test)]
mod tests;
