//! The architectures that people use, with random weights: rewritten, converted, and compared with
//! onnxruntime.
//!
//! `tests/golden/architectures.py` writes the graphs into `target/golden/architectures`, of two layers
//! each; `cargo xtask test` runs it first. With all layers (`--full`, into `architectures-full`) they are
//! for `cargo test --release --test architectures -- --ignored`.

use std::path::{Path, PathBuf};

use photorecall::Kernels;
use photorecall::encoder::Manifest;
use photorecall::encoder::convert::{Sample, Tower, run, to_int8};

/// A tower, and how much of it our kernels take.
struct Case {
    name: &'static str,
    part: &'static str,
    /// The input's shape.
    shape: &'static [usize],
    /// Layers of the whole model.
    layers: usize,
    /// Linear layers beside the six of a transformer layer, and attentions beside its one.
    more: (usize, usize),
    /// Convolutions over all channels, but for those of patches: of the int8 file and of that in f32.
    convolutions: [usize; 2],
    /// Whether its activation is x·σ(1.702x).
    quick: bool,
    /// Whether it has to agree better than one u8 scale a tensor does.
    beats_u8: bool,
}

const IMAGE: &[usize] = &[1, 3, 224, 224];
const TEXT: &[usize] = &[1, 77];

const CASES: [Case; 8] = [
    case("tinyclip-8m", "image", IMAGE, 10, (0, 0), true),
    case("tinyclip-8m", "text", TEXT, 3, (0, 0), true),
    case("clip-vit-b32", "image", IMAGE, 12, (0, 0), true),
    case("clip-vit-b32", "text", TEXT, 12, (0, 0), true),
    // Keys and values of the pooling; its query is one row and stays in f32.
    case("siglip", "image", IMAGE, 12, (2, 0), false),
    case("siglip", "text", &[1, 64], 12, (0, 0), false),
    Case {
        // The pointwise ones; where weights are integers, not all are known before they run.
        convolutions: [5, 8],
        ..case("mobileclip", "image", &[1, 3, 256, 256], 1, (0, 0), false)
    },
    Case {
        // All but the first, which sees three channels.
        convolutions: [12, 12],
        ..case("vgg16", "image", IMAGE, 0, (0, 0), false)
    },
];

const fn case(
    name: &'static str,
    part: &'static str,
    shape: &'static [usize],
    layers: usize,
    more: (usize, usize),
    quick: bool,
) -> Case {
    Case {
        name,
        part,
        shape,
        layers,
        more,
        convolutions: [0, 0],
        quick,
        beats_u8: quick,
    }
}

/// A graph, an input, what onnxruntime makes of it, and what it does of the graph in u8.
struct Golden {
    graph: Vec<u8>,
    tower: Tower,
    input: Sample,
    expected: Vec<f32>,
    u8_output: Vec<f32>,
}

fn floats(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).expect("readable");
    let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    bytes.chunks_exact(4).map(number).collect()
}

impl Golden {
    fn read(folder: &Path, part: &str, shape: &[usize], output: &str) -> Self {
        let mut input = floats(&folder.join(format!("{part}.f32")));
        let expected = input.split_off(shape.iter().product());
        let pixels = shape.len() == 4;
        Self {
            graph: std::fs::read(folder.join(format!("{part}.onnx"))).expect("a graph"),
            tower: Tower {
                input: if pixels { "pixel_values" } else { "input_ids" }.into(),
                output: output.into(),
                shape: shape.to_vec(),
            },
            input: match pixels {
                true => Sample::Pixels(input),
                false => Sample::Ids(input.iter().map(|id| *id as i64).collect()),
            },
            expected,
            u8_output: floats(&folder.join(format!("{part}-u8.f32"))),
        }
    }

    /// Cosine to onnxruntime in f32 and the counts of what was rewritten.
    fn agreement(
        &self,
        graph: &[u8],
        kernels: Option<&'static Kernels>,
    ) -> (f64, impl Fn(&str) -> usize) {
        let samples = std::slice::from_ref(&self.input);
        let (outputs, report) =
            run("tower", graph.to_vec(), &self.tower, samples, kernels).expect("runs");
        let count = move |kind: &str| report.rewritten.get(kind).copied().unwrap_or(0);
        (cosine(&outputs[0], &self.expected), count)
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y));
        products.sum()
    };
    assert_eq!(a.len(), b.len());
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The folder of the graphs, or `None` with a word about it.
fn graphs(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/golden")
        .join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("NOT RUN: target/golden/{name} is not there; tests/golden/architectures.py makes it");
    None
}

/// The table that a part of a model is encoded with where `kernels` is the machine's: words always with 8 bits.
fn encoding(part: &str, kernels: &'static Kernels) -> &'static Kernels {
    if part == "text" {
        kernels.exact()
    } else {
        kernels
    }
}

fn check(folder: &Path, case: &Case, layers: usize) {
    let what = format!("{} {}", case.name, case.part);
    let golden = Golden::read(&folder.join(case.name), case.part, case.shape, "embeds");
    let (plain, _) = golden.agreement(&golden.graph, None);
    assert!(plain >= 0.9999, "{what} in f32: cosine {plain}");
    let converted = to_int8(case.part, &golden.graph).expect("converts");
    for kernels in Kernels::available() {
        let kernels = encoding(case.part, kernels);
        for (kind, graph) in [("int8 file", &converted.onnx), ("f32 file", &golden.graph)] {
            let (agreement, count) = golden.agreement(graph, Some(kernels));
            let u8_agreement = cosine(&golden.u8_output, &golden.expected);
            println!(
                "{what}, {kind} on {}: cosine {agreement:.6}, u8 a tensor {u8_agreement:.6}",
                kernels.name()
            );
            assert_eq!(count("QLinear"), 6 * layers + case.more.0, "{what}, {kind}");
            assert_eq!(
                count("FusedAttention"),
                layers + case.more.1,
                "{what}, {kind}"
            );
            let convolutions = case.convolutions[usize::from(kind == "f32 file")];
            assert_eq!(count("Convolution"), convolutions, "{what}, {kind}");
            assert_eq!(
                count("QuickGelu"),
                if case.quick { layers } else { 0 },
                "{what}, {kind}"
            );
            assert!(
                agreement >= 0.999,
                "{what}, {kind} on {}: {agreement}",
                kernels.name()
            );
            let beats = agreement > u8_agreement;
            assert!(
                beats || !case.beats_u8,
                "{what}: {agreement}, u8 {u8_agreement}"
            );
        }
    }
}

#[test]
fn towers_of_two_layers_are_rewritten_converted_and_agree_with_onnxruntime() {
    let Some(folder) = graphs("architectures") else {
        return;
    };
    for case in &CASES {
        check(&folder, case, case.layers.min(2));
    }
}

#[test]
#[ignore = "hundreds of megabytes: architectures.py target/golden/architectures-full --full first"]
fn towers_of_all_layers_are_rewritten_converted_and_agree_with_onnxruntime() {
    let Some(folder) = graphs("architectures-full") else {
        return;
    };
    for case in &CASES {
        check(&folder, case, case.layers);
    }
}

/// Pixels of a side of what the model that ships looks at.
fn shipped_side() -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/photorecall-s/manifest.json");
    let manifest = std::fs::read(path).expect("the model that ships");
    Manifest::parse(&manifest).expect("its manifest").image.size as usize
}

#[test]
fn the_shipped_towers_converted_from_f32_agree_better_than_u8_a_tensor() {
    let Some(folder) = graphs("architectures/shipped") else {
        return;
    };
    let side = shipped_side();
    let towers: [(&str, &[usize], &str); 2] = [
        ("image", &[1, 3, side, side], "image_embeds"),
        ("text", &[1, 32], "text_embeds"),
    ];
    for (part, shape, output) in towers {
        let golden = Golden::read(&folder, part, shape, output);
        let converted = to_int8(part, &golden.graph).expect("converts");
        let (agreement, _) =
            golden.agreement(&converted.onnx, Some(encoding(part, Kernels::best())));
        let u8_agreement = cosine(&golden.u8_output, &golden.expected);
        println!("{part}: cosine {agreement:.6}, u8 a tensor {u8_agreement:.6}");
        assert!(
            agreement > u8_agreement,
            "{part}: {agreement}, u8 {u8_agreement}"
        );
    }
}

#[test]
fn files_in_fp16_are_converted_as_those_in_f32() {
    let Some(folder) = graphs("architectures/tinyclip-8m") else {
        return;
    };
    let golden = Golden::read(&folder, "image", IMAGE, "embeds");
    let wide = to_int8("image.onnx", &golden.graph).expect("converts");
    for name in ["image-half.onnx", "image-cast.onnx"] {
        let graph = std::fs::read(folder.join(name)).expect("a graph");
        let converted = to_int8(name, &graph).expect("converts");
        let counts = (converted.linear, converted.convolutions, converted.tables);
        assert_eq!(
            counts,
            (wide.linear, wide.convolutions, wide.tables),
            "{name}"
        );
        let (agreement, count) = golden.agreement(&converted.onnx, Some(Kernels::best()));
        println!("{name}: cosine {agreement:.6}");
        assert_eq!(count("QLinear"), 12, "{name}");
        assert!(agreement >= 0.999, "{name}: {agreement}");
        let half_the_file = converted.onnx.len() * 3 < graph.len() * 2;
        assert!(
            half_the_file,
            "{name}: {} → {} bytes",
            graph.len(),
            converted.onnx.len()
        );
    }
}

#[test]
fn what_has_no_weights_to_convert_is_refused_by_name() {
    let error = to_int8("empty.onnx", b"").expect_err("no weights");
    assert!(error.to_string().contains("empty.onnx"), "{error}");
}
