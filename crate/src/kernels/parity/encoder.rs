//! What a tower asks for.

use std::cell::RefCell;

use super::super::{
    Activation, AttentionScratch, AttentionShape, Before, Norm, Rows, Then, portable,
};
use super::{Kernels, Numbers, assert_close, scalar, tables};

#[test]
fn int8_gemm_agrees_to_the_bit() {
    let mut numbers = Numbers(3);
    let shapes = [
        (1, 1, 1),
        (2, 3, 5),
        (5, 64, 33),
        (13, 65, 31),
        (50, 192, 100),
        (197, 256, 64),
        (2, 64, 32),
        (33, 128, 40),
        (0, 8, 8),
    ];
    for (m, k, n) in shapes {
        let mut w = numbers.int8(k * n);
        if k % 64 == 0 {
            // As those of models are: most are small.
            w.iter_mut().for_each(|weight| *weight /= 3);
        }
        let scale: Vec<f32> = numbers
            .floats(n, 0.01)
            .iter()
            .map(|s| s.abs() + 1e-4)
            .collect();
        let bias = numbers.floats(n, 1.0);
        let mut a = numbers.floats(m * k, 3.0);
        if m > 1 {
            a[..k].fill(0.0);
            a[k] = 1e6;
        }
        let (gamma, beta) = (numbers.floats(k, 2.0), numbers.floats(k, 1.0));
        let norm = Norm {
            scale: &gamma,
            bias: &beta,
            epsilon: 1e-5,
        };
        let run = |table: &Kernels, before: Before, bias: Option<&[f32]>, then: Then| {
            let packed = table.pack_i8(&w, k, n, &scale, bias);
            let mut rows = Rows::default();
            table.quantise(&a, k, before, &mut rows);
            let mut out = vec![if then == Then::Add { 0.5 } else { f32::NAN }; m * n];
            table.multiply(&rows, &packed, then, &mut out);
            out
        };
        for table in tables() {
            for (before, bias, then) in [
                (Before::Nothing, None, Then::Store),
                (Before::Nothing, Some(bias.as_slice()), Then::Add),
                (Before::Norm(norm), Some(bias.as_slice()), Then::Store),
                (Before::Activation(Activation::QuickGelu), None, Then::Store),
                (Before::Activation(Activation::Gelu), None, Then::Add),
                (Before::Activation(Activation::GeluTanh), None, Then::Store),
            ] {
                let got = run(table, before, bias, then);
                let want = run(table.reference(), before, bias, then);
                let name = table.name();
                assert_eq!(got, want, "{name} [{m}, {k}] x [{k}, {n}], {before:?}");
            }
        }
    }
}

#[test]
fn products_are_added_in_16_bits_where_they_fit() {
    let (m, k, n) = (5, 32, 36);
    let ones = vec![1.0; n];
    for (more, fits) in [(0, true), (1, false)] {
        for sign in [1, -1] {
            // A lane has two weights in a row and the two that come four later: 4 · 64 + 2 is the most.
            let weight =
                |row: usize| sign * (64 + i8::from(row % 8 < 2) + more * i8::from(row % 8 == 4));
            let w: Vec<i8> = (0..k * n).map(|at| weight(at / n)).collect();
            for table in tables() {
                let packed = table.pack_i8(&w, k, n, &ones, None);
                let name = table.name();
                assert!(packed.joined.iter().all(|joined| *joined == fits), "{name}");
                // All as large as codes can be.
                let (mut rows, mut out) = (Rows::default(), vec![0.0; m * n]);
                table.quantise(&vec![127.0; m * k], k, Before::Nothing, &mut rows);
                table.multiply(&rows, &packed, Then::Store, &mut out);
                let sum: f32 = (0..k).map(|row| 127.0 * f32::from(weight(row))).sum();
                assert_eq!(out, vec![sum; m * n], "{name}");
            }
        }
    }
}

#[test]
fn int8_gemm_is_close_to_the_product_in_f64() {
    let (m, k, n) = (7, 128, 40);
    let mut numbers = Numbers(4);
    let (a, w) = (numbers.floats(m * k, 1.0), numbers.int8(k * n));
    let scale = vec![1.0 / 127.0; n];
    // An activation is off by at most 1/254, or 1/127: a random walk of 128 steps stays within these.
    for (name, bound) in [("scalar", 0.1), ("scalar-7bit", 0.2)] {
        let table = Kernels::by_name(name).expect("runs everywhere");
        let packed = table.pack_i8(&w, k, n, &scale, None);
        let (mut rows, mut out) = (Rows::default(), vec![0.25; m * n]);
        table.quantise(&a, k, Before::Nothing, &mut rows);
        table.multiply(&rows, &packed, Then::Add, &mut out);
        for row in 0..m {
            for column in 0..n {
                let exact: f64 = (0..k)
                    .map(|i| f64::from(a[row * k + i]) * f64::from(w[i * n + column]) / 127.0)
                    .sum();
                let off = (f64::from(out[row * n + column]) - 0.25 - exact).abs();
                assert!(off < bound, "{name}: {off}");
            }
        }
    }
}

#[test]
fn layer_norm_is_its_formula() {
    let mut numbers = Numbers(7);
    for k in [1, 5, 16, 100, 768] {
        let x: Vec<f32> = numbers.floats(3 * k, 4.0).iter().map(|x| x + 2.0).collect();
        let (scale, bias) = (numbers.floats(k, 2.0), numbers.floats(k, 1.0));
        let epsilon = 1e-3;
        let mut want = Vec::new();
        for row in x.chunks_exact(k) {
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / k as f64;
            let squares = row.iter().map(|x| (f64::from(*x) - mean).powi(2));
            let deviation = (squares.sum::<f64>() / k as f64 + f64::from(epsilon)).sqrt();
            let normal = |at: usize| (f64::from(row[at]) - mean) / deviation;
            let of = |at: usize| normal(at) * f64::from(scale[at]) + f64::from(bias[at]);
            want.extend((0..k).map(|at| of(at) as f32));
        }
        for table in tables() {
            let norm = Norm {
                scale: &scale,
                bias: &bias,
                epsilon,
            };
            let mut got = vec![f32::NAN; x.len()];
            table.layer_norm(&x, norm, &mut got);
            assert_close(table.name(), "layer_norm", &got, &want, 1e-5);
        }
    }
}

#[test]
fn f32_gemm_agrees_with_scalar() {
    let mut numbers = Numbers(5);
    for (m, k, n) in [(1, 1, 1), (3, 5, 7), (6, 64, 33), (17, 100, 65), (0, 4, 4)] {
        let (a, w, bias) = (
            numbers.floats(m * k, 1.0),
            numbers.floats(k * n, 1.0),
            numbers.floats(n, 1.0),
        );
        let run = |table: &Kernels| {
            let mut out = vec![f32::NAN; m * n];
            table.gemm_f32(&a, m, &table.pack_f32(&w, k, n, Some(&bias)), &mut out);
            out
        };
        for table in tables() {
            assert_close(
                table.name(),
                "gemm_f32",
                &run(table),
                &run(scalar()),
                1e-5 * k as f32,
            );
        }
    }
}

#[test]
fn attention_agrees_with_scalar_and_with_its_formula() {
    let mut numbers = Numbers(6);
    // What another attention left in the scratch changes nothing.
    let scratch = RefCell::new(AttentionScratch::default());
    for (t, heads, d) in [(1, 1, 4), (5, 2, 8), (33, 3, 21), (50, 2, 64), (130, 1, 70)] {
        let len = t * heads * d;
        let (q, k, v) = (
            numbers.floats(len, 1.0),
            numbers.floats(len, 1.0),
            numbers.floats(len, 1.0),
        );
        let causal: Vec<f32> = (0..t * t)
            .map(|i| if i % t > i / t { f32::MIN } else { 0.0 })
            .collect();
        let padding: Vec<f32> = (0..t * t)
            .map(|i| {
                if i % t > t / 2 {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
            .collect();
        for mask in [None, Some(&causal), Some(&padding)] {
            let mut shape = AttentionShape {
                t,
                heads,
                d,
                scale: (d as f32).powf(-0.5),
                causal: false,
            };
            let mask = mask.map(Vec::as_slice);
            let want = attention_by_formula(&q, &k, &v, shape, mask);
            let run = |table: &Kernels, shape, mask| {
                let mut out = vec![f32::NAN; len];
                let mut scratch = scratch.borrow_mut();
                let more = [q.repeat(3), k.repeat(3), v.repeat(3)];
                let more = more.each_ref().map(Vec::as_slice);
                let wider = AttentionShape { t: 3 * t, ..shape };
                table.attention(more, wider, None, &mut vec![0.0; 3 * len], &mut scratch);
                table.attention([&q, &k, &v], shape, mask, &mut out, &mut scratch);
                out
            };
            for table in tables() {
                let name = table.name();
                let got = run(table, shape, mask);
                assert_eq!(
                    got,
                    run(scalar(), shape, mask),
                    "{name} [{t}, {heads}, {d}]"
                );
                // Half a code of a value is 1.2e-4; weights and scores of 12 bits and more do the rest.
                assert_close(name, "attention", &got, &want, 4e-4);
            }
            if mask == Some(&causal) {
                shape.causal = true;
                for table in tables() {
                    let got = run(table, shape, None);
                    assert_eq!(got, run(scalar(), shape, None), "{} causal", table.name());
                    assert_close(table.name(), "causal attention", &got, &want, 4e-4);
                }
            }
        }
    }
}

fn attention_by_formula(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    s: AttentionShape,
    mask: Option<&[f32]>,
) -> Vec<f32> {
    let at = |x: &[f32], token: usize, head: usize, i: usize| {
        f64::from(x[(token * s.heads + head) * s.d + i])
    };
    let mut out = Vec::new();
    for token in 0..s.t {
        for head in 0..s.heads {
            let score = |other: usize| {
                let dot: f64 = (0..s.d)
                    .map(|i| at(q, token, head, i) * at(k, other, head, i))
                    .sum();
                dot * f64::from(s.scale) + mask.map_or(0.0, |m| f64::from(m[token * s.t + other]))
            };
            let weights: Vec<f64> = (0..s.t).map(|other| score(other).exp()).collect();
            let total: f64 = weights.iter().sum();
            out.extend((0..s.d).map(|i| {
                let mixed: f64 = weights
                    .iter()
                    .enumerate()
                    .map(|(o, w)| w * at(v, o, head, i))
                    .sum();
                (mixed / total) as f32
            }));
        }
    }
    out
}

#[test]
fn activations_are_close_to_their_formulas() {
    let inputs: Vec<f32> = (-2000..=2000).map(|i| i as f32 / 100.0).collect();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for table in tables() {
        let mut got = inputs.clone();
        table.quick_gelu(&mut got);
        let want: Vec<f32> = inputs
            .iter()
            .map(|&x| (f64::from(x) * sigmoid(1.702 * f64::from(x))) as f32)
            .collect();
        assert_close(table.name(), "quick_gelu", &got, &want, 1e-5);

        let mut got = inputs.clone();
        portable::gelu_tanh(&mut got);
        let tanh = |x: f64| 0.5 * x * (1.0 + (0.797_884_56 * (x + 0.044_715 * x * x * x)).tanh());
        let want: Vec<f32> = inputs.iter().map(|&x| tanh(f64::from(x)) as f32).collect();
        assert_close("portable", "gelu_tanh", &got, &want, 1e-5);

        let mut got = inputs.clone();
        table.gelu(&mut got);
        // The tanh form differs from Φ by up to 5e-4: enough to catch a wrong constant.
        assert_close(table.name(), "gelu", &got, &want, 5e-4);
        assert!(
            (got[2100] - 0.841_344_8).abs() < 2e-6,
            "{}: gelu(1) = Φ(1)",
            table.name()
        );
    }
}

#[test]
fn softmax_rows_sum_to_one_even_at_extremes() {
    for table in tables() {
        let mut rows = vec![1e4, -1e4, 0.0, 0.0, 0.0, 0.0, f32::NEG_INFINITY, -80.0, 3.0];
        table.softmax_rows(&mut rows, 3);
        for row in rows.chunks(3) {
            assert!(
                (row.iter().sum::<f32>() - 1.0).abs() < 1e-6,
                "{} {row:?}",
                table.name()
            );
        }
        assert!((rows[3] - 1.0 / 3.0).abs() < 1e-6, "{}", table.name());
    }
}

#[test]
#[should_panic(expected = "another table")]
fn weights_of_another_table_are_refused() {
    let packed = scalar().pack_i8(&[1], 1, 1, &[1.0], None);
    let (mut other, mut rows) = (packed.clone(), Rows::default());
    other.table = "none";
    scalar().quantise(&[1.0], 1, Before::Nothing, &mut rows);
    scalar().multiply(&rows, &other, Then::Store, &mut [0.0]);
}
