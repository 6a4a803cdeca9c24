//! Vectors of length one.

use crate::error::{Error, Result};

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
