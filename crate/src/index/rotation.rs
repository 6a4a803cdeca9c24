//! A random rotation that costs d·log d: it spreads what a vector has on few axes over all of them.
//!
//! ```text
//! x, filled up with zeros to a multiple of 64 ─▶ ROUNDS × (random signs ─▶ Hadamard transform of a power of two)
//! ```
//! Ailon and Chazelle 2009, "The fast Johnson-Lindenstrauss transform", in rounds as in Andoni et al. 2015,
//! "Practical and optimal LSH for angular distance". Where the length is no power of two, rounds take turns
//! at its first and its last axes. Signs follow from the seed alone.

use super::random::Random;

const ROUNDS: usize = 4;

/// A rotation of vectors of one length.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rotation {
    /// Axes of a rotated vector.
    pub axes: usize,
    /// 1 or −1 `[ROUNDS, axes]`.
    signs: Vec<f32>,
}

impl Rotation {
    pub fn new(dim: usize, seed: u64) -> Self {
        let (axes, mut random) = (dim.max(1).next_multiple_of(64), Random(seed));
        let sign = |_| if random.next() >> 63 == 0 { 1.0 } else { -1.0 };
        Self {
            axes,
            signs: (0..ROUNDS * axes).map(sign).collect(),
        }
    }

    /// A vector, rotated `[axes]`.
    pub fn of(&self, vector: &[f32]) -> Vec<f32> {
        let mut x = vector.to_vec();
        x.resize(self.axes, 0.0);
        let width = 1 << self.axes.ilog2();
        for (round, signs) in self.signs.chunks_exact(self.axes).enumerate() {
            x.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
            let first = round % 2 * (self.axes - width);
            hadamard(&mut x[first..first + width]);
        }
        x
    }
}

/// The orthonormal Walsh-Hadamard transform of 2ⁿ values.
fn hadamard(x: &mut [f32]) {
    let mut half = 1;
    while half < x.len() {
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (x.len() as f32).sqrt();
    x.iter_mut().for_each(|x| *x *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_stay_and_one_axis_is_spread_over_all() {
        for dim in [3, 64, 100, 192, 512] {
            let rotation = Rotation::new(dim, 7);
            let mut random = Random(1);
            let mut some = || -> Vec<f32> { (0..dim).map(|_| random.normal()).collect() };
            let (a, b) = (some(), some());
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let (want, got) = (dot(&a, &b), dot(&rotation.of(&a), &rotation.of(&b)));
            assert!(
                (want - got).abs() < 1e-3 * dim as f32,
                "{dim}: {got}, not {want}"
            );
            let mut axis = vec![0.0; dim];
            axis[dim - 1] = 1.0;
            let most = rotation
                .of(&axis)
                .iter()
                .fold(0f32, |most, x| most.max(x.abs()));
            assert!(most < 6.0 / (dim as f32).max(64.0).sqrt(), "{dim}: {most}");
        }
    }
}
