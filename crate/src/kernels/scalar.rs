//! The reference: what every other table is measured against.

use super::packed::{AttentionScratch, GemmScratch, Layout, PackedI8};
use super::portable::{self, AttentionShape, epilogue, two_roundings};
use super::{Kernels, Tiles};

const NR: usize = 8;
const MR: usize = 4;

pub(super) static TABLE: Kernels = Kernels {
    name: "scalar",
    tiles: Tiles {
        i8: Layout::Pairs { nr: NR },
        f32_nr: NR,
    },
    dot_f32: |a, b| portable::dot_f32(a, b, two_roundings),
    l2_squared_f32: |a, b| portable::l2_squared_f32(a, b, two_roundings),
    dot_i8,
    dot_i8_rows,
    fast_scan,
    hamming_u64,
    gemm_i8,
    gemm_f32: |a, m, w, out| portable::gemm_f32::<MR, NR>(a, m, w, out, two_roundings),
    attention,
    quick_gelu: portable::quick_gelu,
    gelu: portable::gelu,
    softmax_rows: portable::softmax_rows,
};

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

fn fast_scan(codes: &[u8], tables: &[u8], sums: &mut [u16]) {
    for (block, sums) in codes
        .chunks_exact(tables.len())
        .zip(sums.chunks_exact_mut(32))
    {
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

fn hamming_u64(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(x, y)| (x ^ y).count_ones()).sum()
}

fn attention(
    qkv: [&[f32]; 3],
    shape: AttentionShape,
    mask: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut AttentionScratch,
) {
    portable::attention::<MR, NR>(qkv, shape, mask, out, scratch, two_roundings);
}

fn gemm_i8(a: &[f32], m: usize, w: &PackedI8, out: &mut [f32], scratch: &mut GemmScratch) {
    portable::quantise_rows(a, m, w, scratch);
    for (row, out) in out.chunks_exact_mut(w.n.max(1)).take(m).enumerate() {
        let values = &scratch.wide[row * w.kp..(row + 1) * w.kp];
        for (column, out) in out.iter_mut().enumerate() {
            let panel = &w.data[column / NR * NR * w.kp..];
            let at = |k: usize| panel[k / 2 * NR * 2 + column % NR * 2 + k % 2] as i8;
            let sum = values
                .iter()
                .enumerate()
                .map(|(k, &x)| i32::from(x) * i32::from(at(k)))
                .sum();
            *out = epilogue(sum, scratch.scale[row], w.scale[column], w.bias[column]);
        }
    }
}
