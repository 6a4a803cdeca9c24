//! `model convert`: a model's weights in int8, and how far it is from the original.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use photorecall::Kernels;
use photorecall::encoder::convert::{Converted, Sample, Tower, agreement, image_tower, to_int8};
use photorecall::encoder::{Folder, MANIFEST, Manifest, Model, TextTower, Tokenizer};
use photorecall::image::{Filter, Limits, Preprocess, ResizeMode, decode, digest};
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::ConvertArgs;
use crate::scan;

/// Photos that are compared; more of a folder are passed over evenly.
const PHOTOS: usize = 100;

/// What a text tower is compared on.
const TEXTS: [&str; 12] = [
    "a dog",
    "a photo of a golden retriever",
    "sunset on the beach",
    "two children playing football in the rain",
    "an old castle on a hill above a river",
    "my grandmother's kitchen",
    "snow",
    "a red car parked in front of a restaurant at night",
    "a close-up photo of a small yellow bird on a branch",
    "screenshot of a map",
    "birthday cake with candles",
    "a person riding a bicycle across a bridge",
];

/// `photorecall model convert`
pub fn convert(args: &ConvertArgs) -> anyhow::Result<Outcome> {
    let from = match args.model.is_dir() {
        true => args.model.as_path(),
        false => args.model.parent().unwrap_or(Path::new(".")),
    };
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    if from.canonicalize().ok() == args.out.canonicalize().ok() {
        bail!("--out is where the original lies: name another folder");
    }
    let manifest = args.model.join(MANIFEST);
    if manifest.is_file() {
        return folder(args, &manifest);
    }
    if !args.model.is_file() {
        bail!(
            "{} is neither an ONNX file nor a folder with a {MANIFEST}",
            args.model.display()
        );
    }
    let bytes = read(&args.model)?;
    let name = file_name(&args.model)?;
    let converted = one(&args.out, name, &bytes)?;
    let Some(photos) = &args.photos else {
        return Ok(Outcome::Done);
    };
    let Some(tower) = image_tower(name, &bytes)? else {
        bail!("{name} has no input [1, 3, size, size]: photos cannot be compared by it");
    };
    let samples = pixels(photos, &usual(tower.shape[3]))?;
    compare(name, &bytes, &converted, &tower, &samples)?;
    Ok(Outcome::Done)
}

/// All files of a model, and its manifest with the new digests.
fn folder(args: &ConvertArgs, path: &Path) -> anyhow::Result<Outcome> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let manifest = Manifest::parse(text.as_bytes()).with_context(|| path.display().to_string())?;
    let mut told: Value = serde_json::from_str(&text)?;
    let graphs: BTreeSet<&str> = std::iter::once(manifest.image.file.as_str())
        .chain(manifest.text.as_ref().map(|text| text.file.as_str()))
        .collect();
    told["files"] = json!({});
    for name in &graphs {
        let bytes = read(&args.model.join(name))?;
        let converted = one(&args.out, name, &bytes)?;
        told["files"][*name] = entry(&converted.onnx);
        for (tower, samples) in towers(args, &manifest, name)? {
            compare(name, &bytes, &converted, &tower, &samples)?;
        }
    }
    if let Some(text) = &manifest.text {
        let merges = read(&args.model.join(&text.tokenizer.file))?;
        write(&args.out.join(&text.tokenizer.file), &merges)?;
        told["files"][&text.tokenizer.file] = entry(&merges);
    }
    told["name"] = json!(format!("{}-int8", manifest.name));
    // Where the original's files came from is not where these can be had.
    if let Some(told) = told.as_object_mut() {
        told.remove("source");
    }
    let json = serde_json::to_string_pretty(&told)? + "\n";
    write(&args.out.join(MANIFEST), json.as_bytes())?;
    let model = Model::load(&Folder::new(&args.out), Kernels::best())?;
    say!(
        "{} is in {}; use it by --model {0:?}, or by its name after `model import`",
        model.name(),
        args.out.display(),
    );
    Ok(Outcome::Done)
}

/// The towers of a file that can be compared, with what goes into them.
fn towers(
    args: &ConvertArgs,
    manifest: &Manifest,
    file: &str,
) -> anyhow::Result<Vec<(Tower, Vec<Sample>)>> {
    let mut found = Vec::new();
    let (image, size) = (&manifest.image, manifest.image.size as usize);
    if let Some(photos) = args.photos.as_ref().filter(|_| image.file == file) {
        let tower = Tower {
            input: image.input.clone(),
            output: image.output.clone(),
            shape: vec![1, 3, size, size],
        };
        found.push((tower, pixels(photos, &manifest.preprocess())?));
    }
    if let Some(text) = manifest.text.as_ref().filter(|text| text.file == file) {
        let tower = Tower {
            input: text.input.clone(),
            output: text.output.clone(),
            shape: vec![1, text.context_length],
        };
        found.push((tower, ids(&args.model, text)?));
    }
    Ok(found)
}

fn ids(folder: &Path, text: &TextTower) -> anyhow::Result<Vec<Sample>> {
    let vocabulary = read(&folder.join(&text.tokenizer.file))?;
    let tokenizer = Tokenizer::new(
        &text.tokenizer,
        &vocabulary,
        text.context_length,
        text.pad_id,
    )?;
    Ok(TEXTS.map(|text| Sample::Ids(tokenizer.ids(text))).into())
}

/// How CLIP's models see a photo, for a file that does not say.
fn usual(size: usize) -> Preprocess {
    Preprocess {
        size: size as u32,
        filter: Filter::Bicubic,
        mode: ResizeMode::Crop,
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
    }
}

fn pixels(folder: &Path, preprocess: &Preprocess) -> anyhow::Result<Vec<Sample>> {
    let found = scan::walk(folder, folder, &[], false)?.candidates;
    let every = found.len().div_ceil(PHOTOS).max(1);
    let tensor = |photo: &scan::Candidate| -> anyhow::Result<Sample> {
        let decoded = decode(&read(&photo.file)?, &Limits::default())?;
        Ok(Sample::Pixels(preprocess.tensor(&decoded)))
    };
    // What cannot be decoded cannot be compared.
    let samples = found.iter().step_by(every);
    let samples: Vec<_> = samples.filter_map(|photo| tensor(photo).ok()).collect();
    if samples.is_empty() {
        bail!("no photos that can be read in {}", folder.display());
    }
    Ok(samples)
}

fn one(out: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<Converted> {
    let converted = to_int8(name, bytes)?;
    write(&out.join(name), &converted.onnx)?;
    say!(
        "{name}: {} linear layers, {} convolutions, {} tables; {:.1} → {:.1} MB",
        converted.linear,
        converted.convolutions,
        converted.tables,
        bytes.len() as f64 / 1e6,
        converted.onnx.len() as f64 / 1e6,
    );
    Ok(converted)
}

fn compare(
    name: &str,
    original: &[u8],
    converted: &Converted,
    tower: &Tower,
    samples: &[Sample],
) -> anyhow::Result<()> {
    let kernels = Kernels::best();
    let mut cosines = agreement(name, original, &converted.onnx, tower, samples, kernels)?;
    cosines.sort_by(f64::total_cmp);
    let what = match samples.first() {
        Some(Sample::Ids(_)) => "texts",
        _ => "photos",
    };
    say!(
        "{name}: cosine to the original in f32 over {} {what}: least {:.5}, median {:.5}",
        cosines.len(),
        cosines[0],
        cosines[cosines.len() / 2],
    );
    Ok(())
}

fn entry(bytes: &[u8]) -> Value {
    json!({"bytes": bytes.len(), "sha256": digest(bytes)})
}

fn file_name(path: &Path) -> anyhow::Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} has no name that is UTF-8", path.display()))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// Whole or not at all, and never over what is read.
fn write(path: &PathBuf, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    std::fs::write(file.path(), bytes).with_context(|| path.display().to_string())?;
    file.persist(path)
        .with_context(|| path.display().to_string())?;
    Ok(())
}
