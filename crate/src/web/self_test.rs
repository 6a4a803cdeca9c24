//! The kernels against the scalar reference, in the very module that a page runs: the native parity
//! tests do not run wasm.

use serde::Serialize;
use wasm_bindgen::prelude::*;

use super::answer::{Answer, to_js};
use crate::kernels::{AttentionScratch, AttentionShape, Before, Kernels, Rows, Then};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What `kernelsSelfTest` found. */
export interface SelfTest {
  /** Tables that were compared with the scalar one. */
  tables: string[];
  /** Tables that this browser cannot run. */
  notRun: string[];
  /** Empty when all agree. */
  mismatches: string[];
}
"#;

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    tables: Vec<&'static str>,
    not_run: Vec<&'static str>,
    mismatches: Vec<String>,
}

/// Compares every table that runs here with the scalar one; integers to the bit.
#[wasm_bindgen(js_name = kernelsSelfTest, unchecked_return_type = "SelfTest")]
pub fn kernels_self_test() -> Answer<JsValue> {
    let mut report = Report::default();
    let scalar = Kernels::by_name("scalar");
    for name in Kernels::all_names() {
        match (Kernels::by_name(name), scalar) {
            (Some(table), Some(scalar)) => {
                report.tables.push(table.name());
                // Odd lengths, so that the tails of the vector loops are met as well.
                for length in [1, 7, 16, 31, 64, 129, 256, 1000] {
                    compare(table, scalar, length, &mut report.mismatches);
                }
            }
            _ => report.not_run.push(name),
        }
    }
    to_js(&report)
}

fn compare(
    table: &'static Kernels,
    scalar: &'static Kernels,
    length: usize,
    mismatches: &mut Vec<String>,
) {
    let numbers = noise(length * 4);
    let (a, b): (Vec<i8>, Vec<i8>) = (bytes(&numbers, 0, length), bytes(&numbers, length, length));
    let (x, y): (Vec<u64>, Vec<u64>) = (
        numbers[..length].to_vec(),
        numbers[length..2 * length].to_vec(),
    );
    let unit = |n: &u64| (*n >> 40) as f32 / (1 << 23) as f32 - 1.0;
    let f: Vec<f32> = numbers[..length].iter().map(unit).collect();
    let g: Vec<f32> = numbers[length..2 * length].iter().map(unit).collect();
    // Sums of `length` products in another order differ by rounding only.
    let bound = length as f32 * f32::EPSILON * 4.0;
    let checks = [
        ("dot_i8", table.dot_i8(&a, &b) == scalar.dot_i8(&a, &b)),
        (
            "hamming_u64",
            table.hamming_u64(&x, &y) == scalar.hamming_u64(&x, &y),
        ),
        (
            "overlaps_u64",
            overlaps(table, &x, &y) == overlaps(scalar, &x, &y),
        ),
        (
            "dot_f32",
            (table.dot_f32(&f, &g) - scalar.dot_f32(&f, &g)).abs() <= bound,
        ),
        (
            "l2_squared_f32",
            (table.l2_squared_f32(&f, &g) - scalar.l2_squared_f32(&f, &g)).abs() <= bound * 4.0,
        ),
    ];
    mismatches.extend(gemm(table, &f, &a, length));
    mismatches.extend(attention(table, scalar, &f));
    let wrong = checks.iter().filter(|(_, right)| !right);
    mismatches.extend(wrong.map(|(name, _)| format!("{} {name} at length {length}", table.name())));
}

/// What two rows share with the second of them.
fn overlaps(table: &'static Kernels, x: &[u64], y: &[u64]) -> [u32; 2] {
    let mut out = [0; 2];
    table.overlaps_u64(&[x, y].concat(), y, &mut out);
    out
}

/// `[3, k] · [k, n]`, with weights of all sizes and with small ones: to the bit.
fn gemm(table: &'static Kernels, x: &[f32], weights: &[i8], k: usize) -> Option<String> {
    const N: usize = 13;
    let a: Vec<f32> = x.iter().cycle().take(3 * k).copied().collect();
    let w: Vec<i8> = weights.iter().cycle().take(k * N).copied().collect();
    let small: Vec<i8> = w.iter().map(|weight| weight / 4).collect();
    let run = |table: &'static Kernels, w: &[i8]| {
        let packed = table.pack_i8(w, k, N, &[0.01; N], Some(&[0.5; N]));
        let (mut rows, mut out) = (Rows::default(), vec![0.0; 3 * N]);
        table.quantise(&a, k, Before::Nothing, &mut rows);
        table.multiply(&rows, &packed, Then::Store, &mut out);
        out
    };
    let differ = |w: &Vec<i8>| run(table, w) != run(table.reference(), w);
    let wrong = [w, small].iter().any(differ);
    wrong.then(|| format!("{} multiply at k {k}", table.name()))
}

/// One head over tokens of two values: to the bit.
fn attention(table: &'static Kernels, scalar: &'static Kernels, x: &[f32]) -> Option<String> {
    let shape = AttentionShape {
        t: x.len() / 2,
        heads: 1,
        d: 2,
        scale: 0.5,
        causal: true,
    };
    let x = &x[..2 * shape.t];
    let run = |table: &'static Kernels| {
        let (mut scratch, mut out) = (AttentionScratch::default(), vec![0.0; x.len()]);
        table.attention([x; 3], shape, None, &mut out, &mut scratch);
        out
    };
    let wrong = shape.t > 0 && run(table) != run(scalar);
    wrong.then(|| format!("{} attention over {} tokens", table.name(), shape.t))
}

/// SplitMix64 (Steele, Lea, Flood 2014) from a fixed seed.
fn noise(count: usize) -> Vec<u64> {
    let mut state = 0x5eed_u64;
    let next = |_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(next).collect()
}

fn bytes(numbers: &[u64], from: usize, count: usize) -> Vec<i8> {
    // All of [-127, 127]: the range of quantised values.
    numbers[from..from + count]
        .iter()
        .map(|n| (n % 255) as i16 - 127)
        .map(|v| v as i8)
        .collect()
}
