//! What a table packs for itself: weights in panels, activations in rows.
//!
//! ```text
//! panel p of PackedI8 (columns p·nr … p·nr+nr), groups of g input rows:
//!   Pairs (g = 2)  k₀c₀ k₁c₀ k₀c₁ k₁c₁ … │ k₂c₀ k₃c₀ …      i8 weights
//!   Quads (g = 4)  k₀c₀ k₁c₀ k₂c₀ k₃c₀ k₀c₁ …               u8 = weight + 128, for VNNI's u8 × i8
//!   SignedQuads    as Quads, with                           i8 weights, for i8 × i8
//!   Sevens         as SignedQuads, with                     their sums, for u7 × i8
//! ```
//! Rows and columns that only fill up a group or panel are zero weights.

use super::aligned::Aligned;

/// How a table wants its int8 weights; no architecture has tables of every kind.
#[allow(dead_code)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Two input rows together, for multiply-add over pairs of 16 bits.
    Pairs { nr: usize },
    /// Four input rows together, offset by 128 to be unsigned.
    Quads { nr: usize },
    /// Four input rows together, as they are.
    SignedQuads { nr: usize },
    /// Four input rows together; it is the activations that are unsigned, in 7 bits.
    Sevens { nr: usize },
}

impl Layout {
    pub(super) fn nr(self) -> usize {
        match self {
            Self::Pairs { nr }
            | Self::Quads { nr }
            | Self::SignedQuads { nr }
            | Self::Sevens { nr } => nr,
        }
    }

    fn group(self) -> usize {
        match self {
            Self::Pairs { .. } => 2,
            Self::Quads { .. } | Self::SignedQuads { .. } | Self::Sevens { .. } => 4,
        }
    }

    /// Input rows that a kernel takes in one step: two groups of `Sevens`.
    pub(super) fn step(self) -> usize {
        match self {
            Self::Pairs { .. } | Self::Quads { .. } | Self::SignedQuads { .. } => 4,
            Self::Sevens { .. } => 8,
        }
    }

    /// A weight's code.
    fn code(self, weight: i8) -> u8 {
        match self {
            Self::Quads { .. } => (weight as u8).wrapping_add(128),
            Self::Pairs { .. } | Self::SignedQuads { .. } | Self::Sevens { .. } => weight as u8,
        }
    }
}

/// An int8 weight matrix `[k, n]` with one scale and one bias a column, packed for one table.
#[derive(Debug, Clone)]
pub struct PackedI8 {
    pub(super) table: &'static str,
    pub(super) k: usize,
    pub(super) n: usize,
    /// `k` filled up to whole steps.
    pub(super) kp: usize,
    pub(super) data: Aligned<u8>,
    /// Σ of each column's weights `[panels · nr]`, of `Sevens` alone.
    pub(super) sum: Vec<i32>,
    /// Whether all that a lane of 16 bits gets in a step fits it, whatever the activations: `[panels, kp / 8]`, of
    /// `Sevens` alone.
    #[allow(dead_code)]
    pub(super) joined: Vec<bool>,
    /// `[panels · nr]`
    pub(super) scale: Vec<f32>,
    /// `[panels · nr]`
    pub(super) bias: Vec<f32>,
}

impl PackedI8 {
    /// Input length of the matrix.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Output length of the matrix.
    pub fn n(&self) -> usize {
        self.n
    }

    pub(super) fn new(
        table: &'static str,
        layout: Layout,
        w: &[i8],
        (k, n): (usize, usize),
        scale: &[f32],
        bias: Option<&[f32]>,
    ) -> Self {
        assert_eq!(w.len(), k * n, "weights [{k}, {n}]");
        assert_eq!(scale.len(), n, "one scale a column");
        assert!(bias.is_none_or(|bias| bias.len() == n), "one bias a column");
        let (nr, group) = (layout.nr(), layout.group());
        let (kp, np) = (k.next_multiple_of(layout.step()), n.next_multiple_of(nr));
        let mut data = Aligned::default();
        data.resize(kp * np);
        data.fill(layout.code(0));
        let sevens = matches!(layout, Layout::Sevens { .. });
        let mut sum = vec![0i32; if sevens { np } else { 0 }];
        for (row, weights) in w.chunks_exact(n.max(1)).enumerate() {
            let first = row / group * nr * group + row % group;
            for (panel, weights) in data.chunks_exact_mut(nr * kp).zip(weights.chunks(nr)) {
                let places = panel[first..].iter_mut().step_by(group);
                places
                    .zip(weights)
                    .for_each(|(place, weight)| *place = layout.code(*weight));
            }
            for (sum, &weight) in sum.iter_mut().zip(weights) {
                *sum += i32::from(weight);
            }
        }
        let steps = data.chunks_exact((layout.step() * nr).max(1));
        let joined = if sevens {
            steps.map(fit).collect()
        } else {
            Vec::new()
        };
        let fill = |values: &[f32]| {
            let mut filled = values.to_vec();
            filled.resize(np, 0.0);
            filled
        };
        Self {
            table,
            k,
            n,
            kp,
            data,
            sum,
            joined,
            scale: fill(scale),
            bias: fill(bias.unwrap_or(&[])),
        }
    }
}

/// The most that two quads' weights of one sign may come to in a lane: 127 times that is within 16 bits.
const LANE_MOST: i16 = i16::MAX / 127;

/// Whether a step of `Sevens` fits: each of its lanes has two weights of either quad.
fn fit(step: &[u8]) -> bool {
    let (first, second) = step.split_at(step.len() / 2);
    let lanes = first
        .as_chunks::<2>()
        .0
        .iter()
        .zip(second.as_chunks::<2>().0);
    let most = lanes.fold(0, |most, ([a, b], [c, d])| {
        let weights = [a, b, c, d].map(|weight| i16::from(*weight as i8));
        let above: i16 = weights.iter().map(|weight| *weight.max(&0)).sum();
        let below = above - weights.iter().sum::<i16>();
        most.max(above).max(below)
    });
    most <= LANE_MOST
}

/// An f32 matrix `[k, n]` with a bias, in panels of `nr` columns: `[panels, k, nr]`.
#[derive(Debug, Clone, Default)]
pub struct PackedF32 {
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) nr: usize,
    pub(super) data: Aligned<f32>,
    pub(super) bias: Vec<f32>,
}

impl PackedF32 {
    /// Input length of the matrix.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Output length of the matrix.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Packs `at(row, column)`; reuses what `self` holds.
    pub(super) fn fill(&mut self, k: usize, n: usize, nr: usize, at: impl Fn(usize, usize) -> f32) {
        let panels = n.div_ceil(nr);
        self.data.resize(panels * k * nr);
        self.data.fill(0.0);
        for (panel, rows) in self.data.chunks_exact_mut((k * nr).max(1)).enumerate() {
            for (row, values) in rows.chunks_exact_mut(nr).enumerate() {
                let columns = (n - panel * nr).min(nr);
                for (column, value) in values[..columns].iter_mut().enumerate() {
                    *value = at(row, panel * nr + column);
                }
            }
        }
        self.bias.clear();
        self.bias.resize(panels * nr, 0.0);
        (self.k, self.n, self.nr) = (k, n, nr);
    }
}

/// The rows of a matrix `[m, k]` in int8, as one table multiplies them.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub(super) table: &'static str,
    pub(super) k: usize,
    /// `[m, kp]` for pairs.
    pub(super) wide: Aligned<i16>,
    /// `[m, kp]` for quads and sevens.
    pub(super) narrow: Aligned<i8>,
    /// One a row: what one step is worth.
    pub(super) scale: Vec<f32>,
    /// One a row: the sum of its quantised values, which undoes the weights' offset.
    pub(super) sum: Vec<i32>,
    /// One a row: the code of 0, of sevens alone.
    pub(super) zero: Vec<i32>,
    /// A row before it is quantised.
    pub(super) row: Aligned<f32>,
}

/// Scratch of `attention`: what [`super::attention`] makes of one head, and of a few rows.
#[derive(Debug, Clone, Default)]
pub struct AttentionScratch {
    /// `[t, dp]`, `dp` is `d` filled up to pairs.
    pub(super) query: Aligned<i16>,
    /// With the scores' scale.
    pub(super) query_scale: Aligned<f32>,
    /// Panels of keys.
    pub(super) keys: Aligned<i16>,
    pub(super) key_scale: Aligned<f32>,
    /// Panels of columns.
    pub(super) values: Aligned<i16>,
    pub(super) value_scale: Aligned<f32>,
    /// A few queries, keys or values.
    pub(super) row: Aligned<i16>,
    /// Of a few queries: `[rows, columns]`, whole panels.
    pub(super) products: Aligned<i32>,
    /// Of a few queries: `[rows, stride]`.
    pub(super) scores: Aligned<f32>,
    /// Of a few queries: `[rows, stride]`.
    pub(super) weights: Aligned<i16>,
    /// One a query of a few: its largest score, then what a step of its weights is worth.
    pub(super) scales: Aligned<f32>,
    /// The same codes by bytes: of queries, of keys, of values, of weights.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(super) tiles: [Aligned<u8>; 4],
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not every layout has a table that runs where the tests do.
    #[test]
    fn quads_are_four_rows_of_a_column_with_or_without_128() {
        let w: Vec<i8> = (1..=10).chain([-3, -127]).collect();
        let pack = |layout| PackedI8::new("none", layout, &w, (6, 2), &[1.0; 2], None).data;
        let signed = pack(Layout::SignedQuads { nr: 3 });
        let rows = [1, 3, 5, 7, 2, 4, 6, 8, 0, 0, 0, 0];
        let rest = [9, -3, 0, 0, 10, -127, 0, 0, 0, 0, 0, 0];
        let want: Vec<i8> = rows.into_iter().chain(rest).collect();
        let codes = signed.iter().map(|code| *code as i8);
        assert_eq!(codes.collect::<Vec<_>>(), want);
        let unsigned = pack(Layout::Quads { nr: 3 });
        let weights = unsigned.iter().map(|code| i16::from(*code) - 128);
        assert!(weights.eq(want.into_iter().map(i16::from)));
    }
}
