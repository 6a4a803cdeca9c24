//! Codes whose error is at right angles to the row.
//!
//! ```text
//! least |r − c|² + 2λ·(r − c)·x  is that of the code c nearest to  r + λ·x        r the residual, x the row
//! λ ─▶ λ + (r − c)·x             until that is next to nothing
//! ```
//! A query that is near to a row lies in its direction more than in any other, so that there an error counts most:
//! Guo et al. 2020, "Accelerating large-scale inference with anisotropic vector quantization". One axis of hundreds
//! is given up for it.

/// How often a row's code is chosen again.
const TURNS: usize = 2;

/// Fills a row's residual and the row itself in, each `[dim]`.
pub(super) type Both<'a> = &'a (dyn Fn(usize, &mut [f32], &mut [f32]) + Sync);

/// Has `code` choose a code for `residual` again and again, each time for what it is given; it tells the product of
/// `row` with what that code leaves of the residual.
pub(super) fn across(residual: &[f32], row: &[f32], mut code: impl FnMut(&[f32]) -> f32) {
    let mut moved = residual.to_vec();
    for turn in 0..=TURNS {
        let left = code(&moved);
        if turn < TURNS {
            let pairs = moved.iter_mut().zip(row);
            pairs.for_each(|(moved, x)| *moved += left * x);
        }
    }
}
