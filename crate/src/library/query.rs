//! Questions and answers.

use super::Photo;
use crate::error::{Error, Result};

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// A unit vector in the space of the library's model.
    pub embedding: Vec<f32>,
    /// How many photos.
    pub k: usize,
    /// How many of the best to leave out: the next page.
    pub offset: usize,
    /// Leave out photos with a lower cosine.
    pub min_score: Option<f32>,
    /// Leave out the photo of this path: the example itself.
    pub exclude: Option<String>,
}

/// A photo that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The cosine between the query and the photo.
    pub score: f32,
    /// The photo.
    pub photo: Photo,
}

/// Σ weightᵢ·vectorᵢ, normalised to length one: `beach − people` is `[(1, beach), (−1, people)]`.
///
/// # Errors
/// [`Error::NoDirection`] when there is nothing to add, the parts cancel out or are not finite;
/// [`Error::Dimension`] when their lengths differ.
pub fn combine(parts: &[(f32, &[f32])]) -> Result<Vec<f32>> {
    let dim = parts.first().map_or(0, |(_, vector)| vector.len());
    let mut sum = vec![0f32; dim];
    for (weight, vector) in parts {
        if vector.len() != dim {
            return Err(Error::Dimension {
                expected: dim,
                found: vector.len(),
            });
        }
        sum.iter_mut()
            .zip(*vector)
            .for_each(|(sum, x)| *sum += weight * x);
    }
    normalise(sum)
}

/// The vector at length one.
///
/// # Errors
/// [`Error::NoDirection`] when it is (next to) zero or not finite.
pub fn normalise(mut vector: Vec<f32>) -> Result<Vec<f32>> {
    let norm = vector
        .iter()
        .map(|x| f64::from(*x) * f64::from(*x))
        .sum::<f64>()
        .sqrt();
    if !norm.is_finite() || norm < 1e-6 {
        return Err(Error::NoDirection);
    }
    vector
        .iter_mut()
        .for_each(|x| *x = (f64::from(*x) / norm) as f32);
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_normalised() {
        let sum = combine(&[(1.0, &[1.0, 0.0]), (-1.0, &[0.0, 1.0])]).expect("has a direction");
        assert!((sum[0] - 0.5f32.sqrt()).abs() < 1e-6 && (sum[1] + 0.5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn what_cancels_out_has_no_direction() {
        for parts in [
            &[(1.0, &[1.0, 0.0][..]), (-1.0, &[1.0, 0.0][..])][..],
            &[],
            &[(f32::NAN, &[1.0][..])],
        ] {
            assert_eq!(
                combine(parts).expect_err("no direction").code(),
                "no_direction"
            );
        }
    }
}
