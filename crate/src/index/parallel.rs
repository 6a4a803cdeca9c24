//! Rows filled, or answers found, one by one, on every core where there are threads.

/// Calls `fill(row, out[row])` for each row of `out` `[rows, width]`; rows do not depend on each other,
/// so that the result is the same on any number of threads.
pub(super) fn fill_rows<T: Send>(
    out: &mut [T],
    width: usize,
    fill: impl Fn(usize, &mut [T]) + Sync,
) {
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        out.par_chunks_mut(width)
            .enumerate()
            .for_each(|(row, out)| fill(row, out));
    }
    #[cfg(target_arch = "wasm32")]
    out.chunks_mut(width)
        .enumerate()
        .for_each(|(row, out)| fill(row, out));
}

/// `answer(at)` for each `at` below `count`, in order.
pub(super) fn each<T: Send>(count: usize, answer: impl Fn(usize) -> T + Sync) -> Vec<T> {
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().map(&answer).collect()
    }
    #[cfg(target_arch = "wasm32")]
    (0..count).map(answer).collect()
}

/// How many answers are found at a time.
pub(super) fn threads() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    {
        rayon::current_num_threads()
    }
    #[cfg(target_arch = "wasm32")]
    1
}
