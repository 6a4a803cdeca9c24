//! What near means, and how each metric becomes the inner product of unit vectors, which is all that the
//! compact index knows.
//!
//! ```text
//! y = (x − origin) / scale, |y| ≤ 1       p = (query − origin) / scale
//!
//!                 a row                                     a query              its inner product orders by
//! cosine          x/|x|                                     q/|q|                x·q/(|x||q|)
//! inner product   [y, √(1−|y|²)]                            [q, 0]/|q|           y·q
//! L2              [y, 1−|y|²/2, √(1−|y|⁴)/2] / √(5/4)       [p, 1, 0]/√(|p|²+1)  p·y − |y|²/2
//! ```
//! The row's last axis makes its length one and meets a zero of the query: Bachrach et al. 2014, "Speeding
//! up the Xbox recommender system using a Euclidean transformation for inner-product spaces", section 3. An
//! origin taken off all rows changes their inner products with a query by the same. Of
//! |p − y|² = |p|² − 2·(p·y − |y|²/2) only the bracket depends on the row; the 1 beside it makes rows nearly
//! equally long, |[y, 1−|y|²/2]|² = 1 + |y|⁴/4, so that little is left for the last axis.

/// What makes a vector near to a query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Metric {
    /// A large cosine, in [-1, 1]: lengths do not count.
    #[default]
    Cosine,
    /// A large inner product.
    Ip,
    /// A small squared Euclidean distance, Σ (xᵢ − qᵢ)².
    L2,
}

/// The length of a lifted row of L2 before it is divided by it.
const L2_LENGTH: f64 = 1.118_033_988_749_895;
/// Beyond every length that a collection takes.
const MOST: f32 = 1e19;
/// How far from a flat part's origin, in its scale, its rows may be: what 16 bits have room for.
const FLAT_MOST: f64 = 1024.0;
/// Beyond, a query's distances to all rows differ by no more than its direction tells.
const FAR: f64 = 1e6;
/// What sums in f32 are off, at most, and what rounding a limit of length 1 to f32 is.
const ROUNDING: f64 = 1e-4;
const ROUNDED: f64 = 1e-7;

impl Metric {
    /// All of them with their names, as they are stored.
    pub const NAMES: [(&str, Self); 3] =
        [("cosine", Self::Cosine), ("ip", Self::Ip), ("l2", Self::L2)];

    /// Axes of a compact row of vectors with `dim` axes.
    pub(crate) fn axes(self, dim: usize) -> usize {
        match self {
            Self::Cosine => dim,
            Self::Ip => dim.saturating_add(1),
            Self::L2 => dim.saturating_add(2),
        }
    }

    /// A value of the metric as one of which more is better, and back.
    pub(super) fn signed(self, value: f32) -> f32 {
        match self {
            Self::Cosine | Self::Ip => value,
            Self::L2 => -value,
        }
    }

    /// As [`Metric::signed`], of a query and a vector, each `[dim]`; the lengths of cosine's are one.
    pub(super) fn score(self, query: &[f32], vector: &[f32]) -> f32 {
        let pairs = query.iter().zip(vector);
        let pairs = pairs.map(|(q, x)| (f64::from(*q), f64::from(*x)));
        match self {
            Self::Cosine | Self::Ip => pairs.map(|(q, x)| q * x).sum::<f64>() as f32,
            Self::L2 => -pairs.map(|(q, x)| (q - x) * (q - x)).sum::<f64>() as f32,
        }
    }
}

/// Where a part's vectors lie: they are kept as (x − origin) / scale; with cosine as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// `[dim]`, empty with cosine.
    pub origin: Vec<f32>,
    /// Larger than 0.
    pub scale: f32,
}

impl Default for Space {
    /// Cosine's.
    fn default() -> Self {
        Self {
            origin: Vec::new(),
            scale: 1.0,
        }
    }
}

impl Space {
    /// Around `rows` vectors, the furthest of which lies at a distance of one; `vector(row, out)` fills one
    /// `[dim]` in.
    pub(super) fn around(dim: usize, rows: usize, vector: &dyn Fn(usize, &mut [f32])) -> Self {
        let (mut x, mut sums) = (vec![0.0; dim], vec![0f64; dim]);
        for row in 0..rows {
            vector(row, &mut x);
            sums.iter_mut()
                .zip(&x)
                .for_each(|(sum, x)| *sum += f64::from(*x));
        }
        let mean = |sum: &f64| (sum / rows.max(1) as f64) as f32;
        let mut space = Self {
            origin: sums.iter().map(mean).collect(),
            scale: 1.0,
        };
        let mut most = 0f64;
        for row in 0..rows {
            vector(row, &mut x);
            most = most.max(space.distance(&x));
        }
        // Of one vector alone, or the same again and again, nothing is known but its length.
        let length = length(space.origin.iter().map(|x| f64::from(*x)));
        let scale = if most > 0.0 { most } else { length } as f32;
        space.scale = if scale >= f32::MIN_POSITIVE {
            scale
        } else {
            1.0
        };
        space
    }

    /// Whether it is one for vectors of `dim` axes.
    pub(super) fn is_whole(&self, metric: Metric, dim: usize) -> bool {
        let origin = if metric == Metric::Cosine { 0 } else { dim };
        self.origin.len() == origin
            && self.origin.iter().all(|x| x.abs() <= MOST)
            && self.scale <= MOST
            && self.scale > 0.0
    }

    /// Whether a flat part has room for a vector.
    pub(super) fn holds(&self, vector: &[f32]) -> bool {
        self.origin.is_empty() || self.distance(vector) <= FLAT_MOST
    }

    /// How far a vector lies from the origin, in scales.
    fn distance(&self, vector: &[f32]) -> f64 {
        length(self.scaled(vector))
    }

    /// (x − origin) / scale.
    fn scaled(&self, vector: &[f32]) -> impl Iterator<Item = f64> {
        let scale = f64::from(self.scale);
        let pairs = vector.iter().zip(&self.origin);
        pairs.map(move |(x, origin)| (f64::from(*x) - f64::from(*origin)) / scale)
    }

    /// A vector as a flat row.
    pub(super) fn flat(&self, vector: &[f32]) -> Vec<f32> {
        if self.origin.is_empty() {
            return vector.to_vec();
        }
        self.scaled(vector).map(|y| y as f32).collect()
    }

    /// A vector, `x` `[dim]`, as a compact row, which is filled into `out`.
    pub(super) fn lift_into(&self, metric: Metric, x: &[f32], out: &mut [f32]) {
        let square = self.scaled(x).map(|y| y * y).sum::<f64>().min(1.0);
        let (last, length): (&[f64], f64) = match metric {
            Metric::Cosine => return out.copy_from_slice(x),
            Metric::Ip => (&[(1.0 - square).sqrt()], 1.0),
            Metric::L2 => {
                let last = (1.0 - square * square).sqrt() / 2.0;
                (&[1.0 - square / 2.0, last], L2_LENGTH)
            }
        };
        let row = self.scaled(x).chain(last.iter().copied());
        out.iter_mut()
            .zip(row)
            .for_each(|(out, y)| *out = (y / length) as f32);
    }

    /// Makes a flat or a compact row, filled in by `decode`, a vector again `[dim]`.
    pub(super) fn restore(&self, metric: Metric, is_lifted: bool, row: &[f32]) -> Vec<f32> {
        if self.origin.is_empty() {
            return row.to_vec();
        }
        let length = if is_lifted && metric == Metric::L2 {
            L2_LENGTH
        } else {
            1.0
        };
        let factor = f64::from(self.scale) * length;
        let pairs = self.origin.iter().zip(row);
        pairs
            .map(|(origin, y)| (f64::from(*origin) + f64::from(*y) * factor) as f32)
            .collect()
    }

    /// A query to flat rows.
    pub(super) fn flat_query(&self, metric: Metric, query: &[f32]) -> Vec<f32> {
        match metric {
            Metric::Cosine => query.to_vec(),
            Metric::Ip => shortened(query.iter().map(|q| f64::from(*q)), 1.0),
            Metric::L2 => shortened(self.scaled(query), FAR),
        }
    }

    /// A query to compact rows.
    pub(super) fn lift_query(&self, metric: Metric, query: &[f32]) -> Vec<f32> {
        let (mut lifted, last): (Vec<f64>, &[f64]) = match metric {
            Metric::Cosine => return query.to_vec(),
            Metric::Ip => (query.iter().map(|q| f64::from(*q)).collect(), &[0.0]),
            Metric::L2 => (self.scaled(query).collect(), &[1.0, 0.0]),
        };
        lifted.extend(last);
        let length = length(lifted.iter().copied()).max(f64::MIN_POSITIVE);
        lifted.iter().map(|q| (q / length) as f32).collect()
    }

    /// The inner product of a lifted query with the rows whose signed score is `least`; those that score more
    /// have more, but for what codes and rounding put wrong: the axes of a row are off by `error` each.
    pub(super) fn lifted_least(
        &self,
        metric: Metric,
        query: &[f32],
        least: f32,
        error: f32,
    ) -> f32 {
        let (least, scale) = (f64::from(least), f64::from(self.scale));
        let codes = f64::from(error) * (1.0 + 1.25 * (query.len() as f64).sqrt());
        let product = match metric {
            Metric::Cosine => least,
            Metric::Ip => {
                let pairs = query.iter().zip(&self.origin);
                let base: f64 = pairs.map(|(q, x)| f64::from(*q) * f64::from(*x)).sum();
                let length = length(query.iter().map(|q| f64::from(*q))) * scale;
                (least - base) / length - ROUNDED * (base / length).abs()
            }
            Metric::L2 => {
                let square: f64 = self.scaled(query).map(|p| p * p).sum();
                let length = (square + 1.0).sqrt();
                (square + 2.0 + least / (scale * scale)) / (2.0 * L2_LENGTH * length)
                    - ROUNDED * length
            }
        };
        (product - codes - ROUNDING) as f32
    }
}

fn length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

/// Values whose length is `most` at most.
fn shortened(values: impl Iterator<Item = f64>, most: f64) -> Vec<f32> {
    let values: Vec<f64> = values.collect();
    let factor = (most / length(values.iter().copied()).max(f64::MIN_POSITIVE)).min(1.0);
    values.iter().map(|x| (x * factor) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::random::Random;

    fn vectors(rows: usize, dim: usize) -> Vec<f32> {
        let mut random = Random(3);
        (0..rows * dim)
            .map(|_| 100.0 + 7.0 * random.normal())
            .collect()
    }

    /// Each metric's product of lifted rows and queries has length-one factors, and tells the value itself.
    #[test]
    fn lifted_products_are_the_metric() {
        let (dim, rows) = (6, 50);
        let all = vectors(rows, dim);
        let of = |row: usize| &all[row * dim..][..dim];
        let space = Space::around(dim, rows, &|row, out| out.copy_from_slice(of(row)));
        let query: Vec<f32> = of(0).iter().map(|x| x * 1.5 - 40.0).collect();
        for metric in [Metric::Ip, Metric::L2] {
            let lifted = space.lift_query(metric, &query);
            assert!((length(lifted.iter().map(|x| f64::from(*x))) - 1.0).abs() < 1e-6);
            for row in 0..rows {
                let mut out = vec![0.0; metric.axes(dim)];
                space.lift_into(metric, of(row), &mut out);
                assert!((length(out.iter().map(|x| f64::from(*x))) - 1.0).abs() < 1e-6);
                let product = Metric::Ip.score(&lifted, &out);
                let value = metric.score(&query, of(row));
                let least = space.lifted_least(metric, &query, value, 0.0);
                let slack = product - least;
                assert!((0.0..3e-4).contains(&slack), "{metric:?} {slack}");
                let again = space.restore(metric, true, &out);
                let off = Metric::L2.score(&again, of(row));
                assert!(off > -1e-6 && again.len() == dim, "{off}");
            }
        }
    }

    #[test]
    fn a_space_of_one_vector_or_of_zeros_is_one() {
        for (x, scale) in [([3.0, 4.0], 5.0), ([0.0, 0.0], 1.0)] {
            let space = Space::around(2, 1, &|_, out| out.copy_from_slice(&x));
            assert_eq!((&space.origin[..], space.scale), (&x[..], scale));
            assert!(space.is_whole(Metric::L2, 2) && !space.is_whole(Metric::Cosine, 2));
            assert!(space.holds(&[x[0] + 1000.0, x[1]]) && !space.holds(&[1e9, 0.0]));
        }
    }
}
