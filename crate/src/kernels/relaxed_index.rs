//! wasm relaxed SIMD for the index. Products are `simd128`'s, which keep all 8 bits.

use core::arch::wasm32::i8x16_relaxed_swizzle;

use super::{Kernels, simd128, simd128_index};

/// A constant: the encoder's table begins as this one.
pub(super) const TABLE: Kernels = Kernels {
    name: "relaxed-simd",
    fast_scan,
    ..simd128::TABLE
};

/// Without the guard that `i8x16.swizzle` puts before each look-up: no code is beyond its table.
#[target_feature(enable = "relaxed-simd")]
fn fast_scan(codes: &[u8], tables: &[u8], blocks: &[u32], sums: &mut [u16]) {
    simd128_index::fast_scan_by(codes, tables, blocks, sums, |table, codes| {
        i8x16_relaxed_swizzle(table, codes)
    });
}
