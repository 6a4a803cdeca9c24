//! Every table against the scalar reference: odd lengths, tails, extremes. Integers, `multiply` and
//! `attention` to the bit, other floats to the bound written beside them. A table that could not run is printed.

use super::FAST_SCAN_MOST;
use super::{AttentionScratch, AttentionShape, Kernels, Norm, Rows, Then, portable};

/// Lengths around every lane and tile boundary.
const LENGTHS: &[usize] = &[
    0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 255, 256, 511, 512, 1000,
];

fn tables() -> Vec<&'static Kernels> {
    for name in Kernels::all_names() {
        if Kernels::by_name(name).is_none() {
            println!("NOT RUN on this machine: the kernels of {name}");
        }
    }
    Kernels::available()
}

fn scalar() -> &'static Kernels {
    Kernels::by_name("scalar").expect("scalar runs everywhere")
}

/// A small generator (Marsaglia's xorshift): the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn floats(&mut self, len: usize, size: f32) -> Vec<f32> {
        (0..len)
            .map(|_| ((self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * size)
            .collect()
    }

    fn int8(&mut self, len: usize) -> Vec<i8> {
        (0..len)
            .map(|_| ((self.next() >> 32) % 255) as i32 - 127)
            .map(|q| q as i8)
            .collect()
    }
}

fn assert_close(name: &str, what: &str, got: &[f32], want: &[f32], bound: f32) {
    for (at, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= bound,
            "{name} {what}[{at}]: {g}, scalar {w}"
        );
    }
}

#[test]
fn dot_products_and_distances_agree_with_scalar() {
    let mut numbers = Numbers(1);
    for table in tables() {
        for &len in LENGTHS {
            let (a, b) = (numbers.floats(len, 2.0), numbers.floats(len, 2.0));
            let bound = 4.0 * len as f32 * f32::EPSILON * 8.0;
            let got = [table.dot_f32(&a, &b), table.l2_squared_f32(&a, &b)];
            let want = [scalar().dot_f32(&a, &b), scalar().l2_squared_f32(&a, &b)];
            assert_close(
                table.name(),
                &format!("dot, l2 of {len}"),
                &got,
                &want,
                bound,
            );
        }
    }
}

#[test]
fn integer_kernels_agree_to_the_bit() {
    let mut numbers = Numbers(2);
    for table in tables() {
        for &len in LENGTHS {
            let (a, b) = (numbers.int8(len), numbers.int8(len));
            assert_eq!(
                table.dot_i8(&a, &b),
                scalar().dot_i8(&a, &b),
                "{} {len}",
                table.name()
            );
            let low = vec![-128i8; len];
            assert_eq!(
                table.dot_i8(&low, &low),
                16384 * len as i32,
                "{} -128 x {len}",
                table.name()
            );
            let words =
                |numbers: &mut Numbers| (0..len).map(|_| numbers.next()).collect::<Vec<_>>();
            let (x, y) = (words(&mut numbers), words(&mut numbers));
            assert_eq!(
                table.hamming_u64(&x, &y),
                scalar().hamming_u64(&x, &y),
                "{}",
                table.name()
            );
            assert_eq!(
                table.hamming_u64(&vec![0; len], &vec![u64::MAX; len]),
                64 * len as u32
            );
        }
    }
}

#[test]
fn overlaps_agree_to_the_bit() {
    let mut numbers = Numbers(12);
    for table in tables() {
        for words in (1..40).chain([64, 100, 513]) {
            let query: Vec<u64> = (0..words).map(|_| numbers.next()).collect();
            let mut rows: Vec<u64> = (0..7 * words).map(|_| numbers.next()).collect();
            rows[..words].fill(0);
            rows[words..2 * words].fill(u64::MAX);
            let (mut got, mut want) = ([1; 7], [2; 7]);
            table.overlaps_u64(&rows, &query, &mut got);
            scalar().overlaps_u64(&rows, &query, &mut want);
            assert_eq!(got, want, "{} {words}", table.name());
            assert_eq!(got[0], 0);
            assert_eq!(
                got[1],
                query.iter().map(|word| word.count_ones()).sum::<u32>()
            );
            let full = vec![u64::MAX; words];
            table.overlaps_u64(&rows[words..2 * words], &full, &mut got[..1]);
            assert_eq!(got[0], 64 * words as u32, "{} {words}", table.name());
            table.overlaps_u64(&[], &query, &mut []);
        }
    }
}

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
        let w = numbers.int8(k * n);
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
        let run = |table: &Kernels, norm: Option<Norm>, bias: Option<&[f32]>, then: Then| {
            let packed = table.pack_i8(&w, k, n, &scale, bias);
            let mut rows = Rows::default();
            table.quantise(&a, k, norm, &mut rows);
            let mut out = vec![if then == Then::Add { 0.5 } else { f32::NAN }; m * n];
            table.multiply(&rows, &packed, then, &mut out);
            out
        };
        for table in tables() {
            for (norm, bias, then) in [
                (None, None, Then::Store),
                (None, Some(bias.as_slice()), Then::Add),
                (Some(norm), Some(bias.as_slice()), Then::QuickGelu),
                (Some(norm), None, Then::Gelu),
                (None, None, Then::GeluTanh),
            ] {
                let got = run(table, norm, bias, then);
                let want = run(table.reference(), norm, bias, then);
                let name = table.name();
                assert_eq!(got, want, "{name} [{m}, {k}] x [{k}, {n}], {then:?}");
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
        table.quantise(&a, k, None, &mut rows);
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
    for (t, heads, d) in [(1, 1, 4), (5, 2, 8), (33, 3, 21), (50, 2, 64)] {
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
                // What another attention left in the scratch changes nothing.
                let mut scratch = AttentionScratch::default();
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
    scalar().quantise(&[1.0], 1, None, &mut rows);
    scalar().multiply(&rows, &other, Then::Store, &mut [0.0]);
}

#[test]
fn look_ups_and_rows_agree_to_the_bit() {
    let mut numbers = Numbers(9);
    for table in tables() {
        for &dim in &LENGTHS[1..] {
            let codes = numbers.int8(7 * dim);
            let query: Vec<i16> = (0..dim)
                .map(|_| (numbers.next() % 8191) as i16 - 4095)
                .collect();
            let ids = [3, 0, 6, 6, 1, 2, 5, 4, 3];
            let [mut got, mut want] = [[0; 9]; 2];
            table.dot_i8_rows(&codes, &query, &ids, &mut got);
            scalar().dot_i8_rows(&codes, &query, &ids, &mut want);
            assert_eq!(got, want, "{} {dim}", table.name());
        }
        for pairs in [2, 4, 6, 64, 128] {
            let bytes = |numbers: &mut Numbers, len| {
                (0..len)
                    .map(|_| (numbers.next() >> 40) as u8)
                    .collect::<Vec<_>>()
            };
            let (codes, mut tables) = (
                bytes(&mut numbers, 3 * 32 * pairs),
                bytes(&mut numbers, 32 * pairs),
            );
            tables
                .iter_mut()
                .for_each(|number| *number &= FAST_SCAN_MOST);
            let blocks = [2, 0, 1, 1, 2];
            let [mut got, mut want] = [[0; 160]; 2];
            table.fast_scan(&codes, &tables, &blocks, &mut got);
            scalar().fast_scan(&codes, &tables, &blocks, &mut want);
            assert_ne!(got[..32], got[32..64], "blocks that differ");
            assert_eq!(got, want, "{} {pairs}", table.name());
            let (all, most) = (vec![255; 32 * pairs], vec![FAST_SCAN_MOST; 32 * pairs]);
            let mut sums = [0; 32];
            table.fast_scan(&all, &most, &[0], &mut sums);
            assert_eq!(sums, [(254 * pairs) as u16; 32], "{} {pairs}", table.name());
        }
        for subspaces in [4, 12, 256] {
            let (query, codebook) = (
                numbers.floats(2 * subspaces, 1.0),
                numbers.floats(32 * subspaces, 1.0),
            );
            let found = |table: &Kernels| {
                let (mut products, mut extents) =
                    (vec![[0.0; 16]; subspaces], vec![[0.0; 2]; subspaces]);
                let mut bytes = vec![0; 16 * subspaces];
                table.look_ups(&query, &codebook, &mut products, &mut extents);
                table.look_up_bytes(&products, &extents, 20.0, &mut bytes);
                (products, extents, bytes)
            };
            let (products, extents, bytes) = found(table);
            assert!(bytes.contains(&0) && bytes.iter().any(|byte| *byte > 9));
            let [low, high] = extents[1];
            assert!(products[1].iter().all(|x| (low..=high).contains(x)) && low < high);
            assert_eq!(
                (products, extents, bytes),
                found(scalar()),
                "{}",
                table.name()
            );
        }
        for subspaces in [1, 4, 300] {
            let points = numbers.floats(2 * subspaces, 1.0);
            let mut centres = numbers.floats(32 * subspaces, 1.0);
            // Of two that are the same the first one is.
            (centres[9], centres[25]) = (centres[4], centres[20]);
            let sets = centres.as_chunks::<16>().0.as_chunks::<2>().0;
            for sets in [sets, &sets[..1]] {
                let [mut got, mut want] = [vec![0; subspaces], vec![0; subspaces]];
                table.nearest_of_16(points.as_chunks().0, sets, &mut got);
                scalar().nearest_of_16(points.as_chunks().0, sets, &mut want);
                assert_eq!(got, want, "{} {subspaces}", table.name());
                assert!(got[0] != 9 && got.iter().all(|nearest| *nearest < 16));
            }
        }
        for least in [0u16, 1, 7, 255, 256, 32_768, 65_535] {
            let sums = std::array::from_fn(|row| match row % 5 {
                0 => least,
                1 => least.wrapping_sub(1),
                2 => (row * 257) as u16,
                3 => 65_535 - row as u16,
                _ => 0,
            });
            let (got, want) = (
                table.at_least(&sums, least),
                scalar().at_least(&sums, least),
            );
            assert_eq!(got, want, "{} {least}", table.name());
            let bit = |row: usize| got >> row & 1 == 1;
            assert!((0..32).all(|row| bit(row) == (sums[row] >= least)));
        }
    }
}
