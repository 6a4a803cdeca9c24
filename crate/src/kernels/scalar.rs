//! The references: what every other table is measured against.

use super::attention::{self, AttentionShape};
use super::packed::{AttentionScratch, Layout, PackedI8, Rows};
use super::portable::{self, RowAt, store_row, two_roundings};
use super::transformer::Transformer;
use super::{BlockSums, FAST_SCAN_ROWS, Kernels, Sixteen, Then, Tiles, rows};

const NR: usize = 8;
const MR: usize = 4;

const LAYOUT: Layout = Layout::Pairs { nr: NR };

pub(super) const TABLE: Kernels = Kernels {
    name: "scalar",
    tiles: Tiles {
        i8: LAYOUT,
        f32_nr: NR,
    },
    dot_f32: |a, b| portable::dot_f32(a, b, two_roundings),
    l2_squared_f32: |a, b| portable::l2_squared_f32(a, b, two_roundings),
    dot_i8,
    dot_i8_rows,
    fast_scan,
    at_least,
    look_ups: portable::look_ups,
    look_up_bytes: portable::look_up_bytes,
    nearest_of_16,
    hamming_u64,
    overlaps_u64,
    quantise: |a, k, before, q| rows::quantise(a, k, before, LAYOUT, q),
    multiply,
    gemm_f32: |a, m, w, out| portable::gemm_f32::<MR, NR>(a, m, w, out, two_roundings),
    transformer: Some(Transformer {
        layer_norm: rows::layer_norm,
        attention,
        quick_gelu: portable::quick_gelu,
        gelu: portable::gelu,
        softmax_rows: portable::softmax_rows,
    }),
};

const SEVENS_LAYOUT: Layout = Layout::Sevens { nr: NR };

/// As `TABLE`, with activations of 7 bits in its int8 products: what `relaxed-simd-16bit` and `avx2-7bit` compute.
pub(super) static SEVENS: Kernels = Kernels {
    name: "scalar-7bit",
    tiles: Tiles {
        i8: SEVENS_LAYOUT,
        f32_nr: NR,
    },
    quantise: |a, k, before, q| rows::quantise(a, k, before, SEVENS_LAYOUT, q),
    multiply: multiply_sevens,
    ..TABLE
};

fn nearest_of_16(points: &[[f32; 2]], centres: &[[Sixteen; 2]], nearest: &mut [u8]) {
    let all = portable::centres_of(points, centres).zip(nearest);
    for (([x, y], [first, second]), nearest) in all {
        let distance =
            |at: usize| (x - first[at]) * (x - first[at]) + (y - second[at]) * (y - second[at]);
        let nearer = |best: usize, at: usize| {
            if distance(at) < distance(best) {
                at
            } else {
                best
            }
        };
        *nearest = (1..16).fold(0, nearer) as u8;
    }
}

fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(&x, &y)| i32::from(x) * i32::from(y))
        .sum()
}

fn dot_i8_rows(codes: &[i8], query: &[i16], ids: &[u32], out: &mut [i32]) {
    for (id, out) in ids.iter().zip(out) {
        *out = portable::dot_rest(portable::row(codes, *id, query.len()), query);
    }
}

fn fast_scan(codes: &[u8], tables: &[u8], blocks: &[u32], sums: &mut [u16]) {
    for (at, sums) in blocks.iter().zip(sums.chunks_exact_mut(FAST_SCAN_ROWS)) {
        let block = &codes[*at as usize * tables.len()..][..tables.len()];
        for (row, sum) in sums.iter_mut().enumerate() {
            let pairs = block.chunks_exact(32).zip(tables.chunks_exact(32));
            *sum = pairs.fold(0, |sum, (codes, tables)| {
                let low = tables[usize::from(codes[row] & 15)];
                let high = tables[16 + usize::from(codes[row] >> 4)];
                sum.wrapping_add(u16::from(low))
                    .wrapping_add(u16::from(high))
            });
        }
    }
}

fn at_least(sums: &BlockSums, least: u16) -> u32 {
    let bits = sums.iter().enumerate();
    bits.fold(0, |bits, (row, sum)| bits | u32::from(*sum >= least) << row)
}

fn hamming_u64(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

fn overlaps_u64(rows: &[u64], query: &[u64], out: &mut [u32]) {
    portable::overlaps(rows, query, out);
}

fn attention(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    let steps = attention::Panels::<MR, NR, _, _> {
        dots,
        weigh: attention::weights,
    };
    attention::attention(&steps, qkv, shape, mask, out, scratch);
}

fn dots(a: &[i16], stride: usize, pairs: usize, panel: &[i16], out: &mut [[i32; NR]]) {
    for (row, out) in out.iter_mut().enumerate() {
        *out = [0; NR];
        let values = &a[row * stride..][..2 * pairs];
        for (x, b) in values.chunks_exact(2).zip(panel.chunks_exact(2 * NR)) {
            for (sum, b) in out.iter_mut().zip(b.chunks_exact(2)) {
                let product = |at: usize| i32::from(x[at]) * i32::from(b[at]);
                *sum = sum.wrapping_add(product(0).wrapping_add(product(1)));
            }
        }
    }
}

fn multiply(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    for row in 0..a.scale.len() {
        let values = &a.wide[row * w.kp..][..w.kp];
        for (panel, weights) in w.data.chunks_exact(NR * w.kp).enumerate() {
            let mut sums = [0i32; NR];
            for (x, b) in values.chunks_exact(2).zip(weights.chunks_exact(2 * NR)) {
                for (sum, b) in sums.iter_mut().zip(b.chunks_exact(2)) {
                    *sum += i32::from(x[0]) * i32::from(b[0] as i8);
                    *sum += i32::from(x[1]) * i32::from(b[1] as i8);
                }
            }
            store_row(&sums, RowAt::of(a, row, panel * NR), w, then, out);
        }
    }
}

fn multiply_sevens(a: &Rows, w: &PackedI8, then: Then, out: &mut [f32]) {
    for (row, &zero) in a.zero.iter().enumerate() {
        let values = &a.narrow[row * w.kp..][..w.kp];
        for (panel, weights) in w.data.chunks_exact(NR * w.kp).enumerate() {
            let column = panel * NR;
            let mut sums = [0i32; NR];
            for (sum, of_weights) in sums.iter_mut().zip(&w.sum[column..]) {
                *sum = -zero * of_weights;
            }
            for (x, b) in values.chunks_exact(4).zip(weights.chunks_exact(4 * NR)) {
                for (sum, b) in sums.iter_mut().zip(b.chunks_exact(4)) {
                    let products = x.iter().zip(b);
                    *sum += products
                        .map(|(x, b)| i32::from(*x) * i32::from(*b as i8))
                        .sum::<i32>();
                }
            }
            store_row(&sums, RowAt::of(a, row, column), w, then, out);
        }
    }
}
