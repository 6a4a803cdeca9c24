//! One face for every code that vectors can be kept in.
//!
//! ```text
//! code               bytes a row of d axes   learnt    sums
//! F16                2·d                     nothing   f32
//! Int8               d + 8                   nothing   integers              lvq
//! Pq8 { axes }       ⌈d/axes⌉                codebook  256 look-ups in f32   pq8
//! Pq4                d/4                     codebook  16 look-ups in registers  pq
//! RaBitQ(bits)       bits·d/8 + 8            nothing   bits that are shared  rabitq
//! ```
//! Each is of vectors around zero: of what a list's centroid, or the mean of all, leaves. What the coarser ones leave
//! of that is at right angles to the row ([`across`](super::across)).

use std::ops::Range;

use super::across::Both;
use super::graph::Compare;
use super::halves::Halves;
use super::lvq::{Dots, Lvq, LvqQuery};
use super::pq::{Pq, Tables};
use super::pq8::Pq8;
use super::rabitq::{CodeBits, Planes, RaBitQ};
use super::random::Random;
use crate::kernels::{FAST_SCAN_ROWS, Kernels};

/// Rows that a codebook is learnt from.
const SAMPLE: usize = 16_384;

/// A code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Halves.
    F16,
    /// Eight bits an axis, with a scale and an offset a row.
    Int8,
    /// Product quantisation, eight bits for so many axes.
    Pq8 {
        /// Axes of a subspace, at least one.
        axes: usize,
    },
    /// Product quantisation, four bits for two axes.
    Pq4,
    /// Rotated codes.
    RaBitQ(CodeBits),
}

/// Rows in one of the codes.
#[derive(Debug, Clone, PartialEq)]
pub enum Codes {
    /// In halves.
    F16(Halves),
    /// In eight bits an axis.
    Int8(Lvq),
    /// In product quantisation of eight bits.
    Pq8(Pq8),
    /// In product quantisation of four bits.
    Pq4(Pq),
    /// In rotated codes.
    RaBitQ(RaBitQ),
}

/// A query, ready for rows of one code.
pub(super) enum Ready {
    F16(Vec<f32>),
    Int8(LvqQuery),
    Pq8(Vec<f32>),
    Pq4(Tables),
    RaBitQ(Planes),
}

impl Codes {
    /// Of `rows` residuals `[dim]`, of which `both` also tells the rows.
    ///
    /// # Panics
    /// When there are no rows or no axes, or a subspace of none.
    pub(super) fn encode(
        code: Code,
        (rows, dim): (usize, usize),
        seed: u64,
        both: Both<'_>,
    ) -> Self {
        let vector = |row: usize, out: &mut [f32]| both(row, out, &mut vec![0.0; dim]);
        let sample = || Random(seed).vectors((rows, dim), SAMPLE, &vector);
        match code {
            Code::F16 => Self::F16(Halves::encode((rows, dim), vector)),
            Code::Int8 => Self::Int8(Lvq::encode(vec![0.0; dim], rows, vector)),
            Code::Pq8 { axes } => {
                let mut codes = Pq8::train(&sample(), dim, axes, seed);
                codes.encode((rows, dim), both);
                Self::Pq8(codes)
            }
            Code::Pq4 => {
                let mut codes = Pq::train(&sample(), dim, seed);
                codes.encode_across(rows, dim, both);
                Self::Pq4(codes)
            }
            Code::RaBitQ(bits) => Self::RaBitQ(RaBitQ::encode(bits, (rows, dim), seed, both)),
        }
    }

    /// Whether the arrays fit together, for `rows` rows of `dim` axes, and every number is finite.
    pub fn is_whole(&self, rows: usize, dim: usize) -> bool {
        match self {
            Self::F16(codes) => codes.is_whole(rows, dim),
            Self::Int8(codes) => codes.is_whole(dim) && codes.len() == rows,
            Self::Pq8(codes) => codes.is_whole(rows, dim),
            Self::Pq4(codes) => codes.is_whole(rows, dim),
            Self::RaBitQ(codes) => codes.len() == rows && codes.dim() == dim,
        }
    }

    /// Bytes of memory that the rows and their codebook take.
    pub fn bytes(&self) -> usize {
        match self {
            Self::F16(codes) => 2 * codes.values().len(),
            Self::Int8(codes) => codes.codes.len() + 8 * codes.len(),
            Self::Pq8(codes) => codes.codes.len() + 4 * codes.codebook.len(),
            Self::Pq4(codes) => codes.codes.len() + 4 * codes.codebook.len(),
            Self::RaBitQ(codes) => codes.bytes(),
        }
    }

    /// A query `[dim]`, ready for these rows.
    pub(super) fn ready(&self, query: &[f32], kernels: &Kernels) -> Ready {
        match self {
            Self::F16(_) => Ready::F16(query.to_vec()),
            Self::Int8(codes) => Ready::Int8(codes.query(query)),
            Self::Pq8(codes) => Ready::Pq8(codes.table(query)),
            Self::Pq4(codes) => Ready::Pq4(codes.tables(query, kernels)),
            Self::RaBitQ(codes) => Ready::RaBitQ(codes.ready(query)),
        }
    }

    /// The inner products of a query with some rows, in their order; of `Pq4` as exactly as its centres tell.
    ///
    /// # Panics
    /// When the query was made ready for another code, or a row is out of range; so does [`Codes::scan`].
    pub(super) fn products(
        &self,
        query: &Ready,
        rows: impl Iterator<Item = usize>,
        kernels: &Kernels,
        out: &mut Vec<f32>,
    ) {
        out.clear();
        match (self, query) {
            (Self::F16(codes), Ready::F16(query)) => codes.products(query, rows, kernels, out),
            (Self::Int8(codes), Ready::Int8(query)) => {
                let ids: Vec<u32> = rows.map(|row| row as u32).collect();
                let keep = |_, product| out.push(product);
                codes.scores(query, &ids, kernels, &mut Dots::default(), keep);
            }
            (Self::Pq8(codes), Ready::Pq8(table)) => {
                out.extend(rows.map(|row| codes.product(table, row)));
            }
            (Self::Pq4(codes), Ready::Pq4(tables)) => {
                out.extend(rows.map(|row| codes.product(tables, row)));
            }
            (Self::RaBitQ(codes), Ready::RaBitQ(planes)) => {
                rows.for_each(|row| codes.estimates_of(planes, row..row + 1, kernels, out));
            }
            _ => panic!("a query that was made ready for another code"),
        }
    }

    /// As [`Codes::products`] of rows that lie together: many at a time where the code allows it, and of `Pq4` as
    /// roughly as its tables of seven bits tell.
    pub(super) fn scan(
        &self,
        query: &Ready,
        rows: Range<usize>,
        kernels: &Kernels,
        out: &mut Vec<f32>,
    ) {
        match (self, query) {
            (Self::Pq4(codes), Ready::Pq4(tables)) => {
                let first = rows.start / FAST_SCAN_ROWS;
                let blocks = first as u32..rows.end.div_ceil(FAST_SCAN_ROWS) as u32;
                let blocks: Vec<u32> = blocks.collect();
                let mut sums = vec![0; blocks.len() * FAST_SCAN_ROWS];
                kernels.fast_scan(&codes.codes, &tables.bytes, &blocks, &mut sums);
                let product = |sum: &u16| tables.base + f32::from(*sum) * tables.step;
                let before = rows.start - first * FAST_SCAN_ROWS;
                out.clear();
                out.extend(sums.iter().skip(before).take(rows.len()).map(product));
            }
            (Self::RaBitQ(codes), Ready::RaBitQ(planes)) => {
                out.clear();
                codes.estimates_of(planes, rows, kernels, out);
            }
            _ => self.products(query, rows, kernels, out),
        }
    }
}

/// A query beside the rows, on a walk.
pub(super) struct ByCodes<'a> {
    pub codes: &'a Codes,
    pub query: &'a Ready,
    pub kernels: &'a Kernels,
    pub products: Vec<f32>,
}

impl Compare for ByCodes<'_> {
    fn compare(&mut self, rows: &[u32], mut found: impl FnMut(u32, f32)) {
        let ids = rows.iter().map(|row| *row as usize);
        self.codes
            .products(self.query, ids, self.kernels, &mut self.products);
        for (row, product) in rows.iter().zip(&self.products) {
            found(*row, *product);
        }
    }
}
