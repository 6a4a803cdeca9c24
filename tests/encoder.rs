//! Towers against onnxruntime, the tokenizer against CLIP's own, preprocessing against Pillow's.
//!
//! `tests/golden/towers.py` writes onnxruntime's side into `target/golden`; `cargo xtask test` runs it
//! first. Where that is not there, a test says so.

use std::path::{Path, PathBuf};

use photorecall::Kernels;
use photorecall::encoder::{Folder, Model, Tokenizer, TokenizerEntry};
use photorecall::image::{Decoded, Limits, decode, decode_reduced};
use serde::Deserialize;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of `target/golden`, or `None` with a word about it.
fn golden(name: &str) -> Option<Value> {
    let path = root().join("target/golden").join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        println!("NOT RUN: target/golden/{name} is not there; `cargo xtask test` makes it");
        return None;
    };
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

fn floats(value: &Value) -> Vec<f32> {
    Vec::deserialize(value).expect("numbers")
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn shipped(kernels: &'static Kernels) -> Model {
    Model::load(&Folder::new(root().join("models/photorecall-s")), kernels)
        .expect("the shipped model loads")
}

#[test]
fn a_vit_is_rewritten_and_agrees_with_onnxruntime() {
    for name in ["vit", "vit-int8", "vit-dynamic"] {
        let Some(expected) = golden(&format!("{name}/expected.json")) else {
            return;
        };
        for kernels in Kernels::available() {
            let folder = Folder::new(root().join("target/golden").join(name));
            let model = Model::load(&folder, kernels).expect("loads");
            let rewritten = &model.image().report().rewritten;
            // Two layers: query, key, value, out, up and down each; one attention and one gate each.
            assert_eq!(rewritten["QLinear"], 12, "{name} {rewritten:?}");
            assert_eq!(rewritten["FusedAttention"], 2, "{name} {rewritten:?}");
            assert_eq!(rewritten["QuickGelu"], 2, "{name} {rewritten:?}");
            let embedding = model
                .image()
                .embed(&floats(&expected["input"]))
                .expect("runs");
            let agreement = cosine(&embedding, &floats(&expected["output"]));
            println!("{name} on {}: cosine {agreement:.6}", kernels.name());
            assert!(
                agreement >= 0.999,
                "{name} on {}: cosine {agreement}",
                kernels.name()
            );
        }
    }
}

#[test]
fn the_shipped_towers_agree_with_onnxruntime() {
    let Some(expected) = golden("shipped.json") else {
        return;
    };
    let model = shipped(Kernels::best());
    for case in expected["image"].as_array().expect("cases") {
        let embedding = model.image().embed(&floats(&case["input"])).expect("runs");
        let agreement = cosine(&embedding, &floats(&case["output"]));
        assert!(agreement >= 0.9995, "image: cosine {agreement}");
    }
    let text = model.text().expect("a text tower");
    for case in expected["text"].as_array().expect("cases") {
        let ids: Vec<i64> = Vec::deserialize(&case["input"]).expect("ids");
        let agreement = cosine(
            &text.embed_ids(&ids).expect("runs"),
            &floats(&case["output"]),
        );
        println!("text of {} ids: cosine {agreement:.6}", ids.len());
        assert!(agreement >= 0.999, "text: cosine {agreement}");
    }
}

#[test]
fn embeddings_agree_with_pillow_and_onnxruntime_on_real_photos() {
    let folder = root().join("../shared/photos/images");
    let Some(expected) = golden("photos.json").filter(|_| folder.is_dir()) else {
        println!("NOT RUN: ../shared/photos is not there");
        return;
    };
    let model = shipped(Kernels::best());
    let mut agreements = Vec::new();
    for (name, output) in expected.as_object().expect("photos") {
        let bytes = std::fs::read(folder.join(name)).expect("readable");
        let photo = decode(&bytes, &Limits::default()).expect("decodes");
        let embedding = model
            .image()
            .embed(&model.image().preprocess().tensor(&photo))
            .expect("runs");
        agreements.push((cosine(&embedding, &floats(output)), name));
    }
    agreements.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (worst, median) = (agreements[0], agreements[agreements.len() / 2].0);
    println!(
        "{} photos: median cosine {median:.6}, worst {:.6} ({})",
        agreements.len(),
        worst.0,
        worst.1
    );
    assert!(
        worst.0 >= 0.995 && median >= 0.999,
        "median {median}, worst {worst:?}"
    );
}

/// The texts to which a tokenizer gives other ids than the reference did.
fn differing(cases: &Value, tokenizer: &Tokenizer) -> Vec<String> {
    let cases = cases["cases"].as_array().expect("cases");
    assert!(cases.len() >= 200, "{} cases", cases.len());
    let differs = |case: &Value| {
        let text = case["text"].as_str().expect("a text");
        let expected: Vec<i64> = Vec::deserialize(&case["ids"]).expect("ids");
        let found = tokenizer.ids(text);
        (found != expected).then(|| format!("{text:?}: {found:?}, the reference's {expected:?}"))
    };
    cases.iter().filter_map(differs).collect()
}

/// CLIP's tokenizer with the merges of a file and as many ids as the cases say.
fn clip(cases: &Value, merges: &Path) -> Tokenizer {
    let entry = TokenizerEntry {
        kind: "clip-bpe".into(),
        vocab_size: u16::deserialize(&cases["vocab_size"]).expect("a size"),
        file: "merges.txt".into(),
    };
    let merges = std::fs::read(merges).expect("merges");
    Tokenizer::new(&entry, &merges, 77, 0).expect("sound merges")
}

#[test]
fn tokens_are_those_of_clips_own_tokenizer() {
    let cases: Value = serde_json::from_str(include_str!("golden/tokenizer.json")).expect("JSON");
    let merges = root().join("models/photorecall-s/merges.txt");
    let wrong = differing(&cases, &clip(&cases, &merges));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tokens_are_those_of_clips_own_tokenizer_with_its_whole_vocabulary() {
    let Some(cases) = golden("clip-tokenizer.json") else {
        return;
    };
    let merges = root().join("target/golden/clip-merges.txt");
    let wrong = differing(&cases, &clip(&cases, &merges));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tokens_are_those_of_sentencepiece() {
    let cases: Value = serde_json::from_str(include_str!("golden/unigram.json")).expect("JSON");
    let entry = TokenizerEntry {
        kind: "siglip-unigram".into(),
        vocab_size: u16::deserialize(&cases["vocab_size"]).expect("a size"),
        file: "tokenizer.json".into(),
    };
    let file = serde_json::json!({"model": cases["model"]}).to_string();
    let tokenizer = Tokenizer::new(&entry, file.as_bytes(), 64, 1).expect("sound");
    let wrong = differing(&cases, &tokenizer);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let more = TokenizerEntry {
        vocab_size: 32_000,
        ..entry
    };
    let error = Tokenizer::new(&more, file.as_bytes(), 64, 1).expect_err("too few");
    assert!(error.to_string().contains("32000"), "{error}");
}

#[test]
fn a_tokenizer_json_is_read_in_both_of_its_forms() {
    let path = root().join("models/photorecall-s/merges.txt");
    let merges = std::fs::read_to_string(path).expect("merges");
    let pairs = || {
        merges
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(' '))
    };
    let joined: Vec<Value> = pairs().map(|(a, b)| format!("{a} {b}").into()).collect();
    let apart: Vec<Value> = pairs().map(|(a, b)| vec![a, b].into()).collect();
    let entry = |file: &str| TokenizerEntry {
        kind: "clip-bpe".into(),
        vocab_size: 16_384,
        file: file.into(),
    };
    let plain = Tokenizer::new(&entry("merges.txt"), merges.as_bytes(), 77, 0).expect("sound");
    for listed in [joined, apart] {
        let json = serde_json::json!({"model": {"type": "BPE", "merges": listed}}).to_string();
        let read = Tokenizer::new(&entry("tokenizer.json"), json.as_bytes(), 77, 0).expect("sound");
        for text in ["a photo of a golden retriever", "Crème brûlée, 2019!"] {
            assert_eq!(read.ids(text), plain.ids(text));
        }
    }
    let broken = Tokenizer::new(&entry("tokenizer.json"), b"{}", 77, 0).expect_err("no merges");
    assert!(broken.to_string().contains("tokenizer.json"), "{broken}");
}

/// JPEGs of a camera's size, made of the real photos: what comes of the transform's low frequencies alone has nearly the
/// embedding of the whole photo.
#[test]
fn embeddings_of_reduced_photos_agree_with_those_of_whole_ones() {
    let folder = root().join("../shared/photos/images");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("NOT RUN: ../shared/photos is not there");
        return;
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let model = shipped(Kernels::best());
    let tower = model.image();
    let embed = |photo: &Decoded| {
        let tensor = tower.preprocess().tensor(photo);
        tower.embed(&tensor).expect("embeds")
    };
    for file in files.iter().step_by(40) {
        let photo = ::image::open(file).expect("decodes");
        let large = photo.resize(3600, 3600, ::image::imageops::FilterType::CatmullRom);
        let mut jpeg = std::io::Cursor::new(Vec::new());
        large
            .write_to(&mut jpeg, ::image::ImageFormat::Jpeg)
            .expect("encodes");
        let bytes = jpeg.into_inner();
        let whole = decode(&bytes, &Limits::default()).expect("decodes");
        let least = tower.preprocess().least_side();
        let reduced = decode_reduced(&bytes, least, &Limits::default()).expect("decodes");
        assert_eq!(reduced.full, (whole.width, whole.height));
        let [shorter, before] = [&reduced.photo, &whole].map(|photo| photo.width.min(photo.height));
        assert!(
            4 * shorter <= before + 3 && shorter >= least,
            "{}",
            file.display()
        );
        let agree = cosine(&embed(&whole), &embed(&reduced.photo));
        assert!(agree >= 0.99, "{}: {agree}", file.display());
    }
}

#[test]
fn a_cnn_without_a_text_tower_agrees_and_refuses_words_by_name() {
    let Some(expected) = golden("vgg/expected.json") else {
        return;
    };
    let folder = Folder::new(root().join("target/golden/vgg"));
    for kernels in Kernels::available() {
        let model = Model::load(&folder, kernels).expect("loads");
        let embedding = model
            .image()
            .embed(&floats(&expected["input"]))
            .expect("runs");
        let agreement = cosine(&embedding, &floats(&expected["output"]));
        assert!(
            agreement >= 0.9999,
            "on {}: cosine {agreement}",
            kernels.name()
        );
        let error = model.text().expect_err("no text tower");
        assert_eq!(error.code(), "no_text_tower");
        assert!(error.to_string().contains("vgg"), "{error}");
    }
}
