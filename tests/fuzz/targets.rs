//! What is fuzzed: every reader of bytes that come from elsewhere. Shared by the fuzz targets (libFuzzer)
//! and by the test that replays the corpus.

use std::sync::LazyLock;

use photorecall::encoder::{Manifest, Tokenizer, TokenizerEntry};
use photorecall::format::{self, Container, Kind, RangesFiles, Records, Writer};
use photorecall::image;
use photorecall::index::{Bitset, Codebook, Depth, Recall};
use photorecall::library::ask::{Ask, Day, suggest};
use photorecall::library::{Cursor, LabelChange, Library, ModelRef, Photo, Query, Word, normalise};
use photorecall::{Error, Kernels, Result};

/// A reader under test: it may refuse, it must not panic.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("segment", segment),
    ("manifest", manifest),
    ("ranges", ranges),
    ("metadata", metadata),
    ("model_manifest", model_manifest),
    ("tokenizer", tokenizer),
    ("query", query),
];

const DIM: usize = 8;

fn vector(seed: usize) -> Vec<f32> {
    let raw = (0..DIM).map(|axis| ((seed * 31 + axis * 17) % 23) as f32 - 11.0);
    normalise(raw.collect()).unwrap_or_else(|_| vec![1.0; DIM])
}

/// A manifest and its one segment: of a small library that grows, and of one that is compacted.
pub static SAMPLES: LazyLock<[(Vec<u8>, Vec<u8>); 2]> =
    LazyLock::new(|| [sample(20, false), sample(2048, true)]);

/// The files to read ranges of the compacted sample with.
pub static RANGES: LazyLock<RangesFiles> = LazyLock::new(|| {
    let made = format::write_ranges("a sample", &SAMPLES[1].1);
    made.expect("whole").expect("it is compact")
});

static CODEBOOK: LazyLock<Codebook> = LazyLock::new(|| {
    let (_, codebook) = format::read_codebook("a sample", &RANGES.codebook).expect("whole");
    codebook
});

fn sample(photos: usize, compacted: bool) -> (Vec<u8>, Vec<u8>) {
    let mut library = Library::create(ModelRef {
        name: "m".into(),
        digest: "d".into(),
        dim: DIM,
    });
    for i in 0..photos {
        let photo = Photo {
            path: format!("trips/{i}.jpg"),
            taken: (i < 20).then(|| format!("2019-05-{:02}T10:00:00", i + 1)),
            gps: (i < 20).then_some([41.9, 12.5]),
            ..Photo::default()
        };
        library.put(photo, &vector(i)).expect("a unit vector");
    }
    if compacted {
        library.compact();
    }
    library.remove("trips/3.jpg");
    let commit = library.commit().expect("changes");
    (commit.manifest, commit.put[0].1.clone())
}

/// Makes every checksum and length of a container right, wherever its table can be read: without it,
/// no change would ever come past the checksums.
fn repair(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| {
        let field = bytes.get(at..at + 8)?;
        usize::try_from(u64::from_le_bytes(field.try_into().ok()?)).ok()
    };
    if bytes.len() < 64 {
        return;
    }
    let total = bytes.len() as u64;
    bytes[16..24].copy_from_slice(&total.to_le_bytes());
    let count = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]) as usize;
    let table = 64..64 + 40 * count.min(64);
    for at in table.clone().step_by(40) {
        let section = number(bytes, at + 16).zip(number(bytes, at + 24));
        let section = section.and_then(|(offset, len)| bytes.get(offset..offset.checked_add(len)?));
        if let Some(crc) = section.map(crc32fast::hash)
            && let Some(field) = bytes.get_mut(at + 32..at + 36)
        {
            field.copy_from_slice(&crc.to_le_bytes());
        }
    }
    if let Some(crc) = bytes.get(table).map(crc32fast::hash) {
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    }
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
}

/// A segment under a manifest that promises exactly these bytes.
pub fn segment(data: &[u8]) {
    let mut bytes = data.to_vec();
    repair(&mut bytes);
    for (manifest, _) in SAMPLES.iter() {
        let manifest = manifest_for(&bytes, manifest).expect("our own manifest");
        if let Ok(opened) = Library::open(&manifest, |_| Ok(bytes.clone()))
            && opened.damaged.is_empty()
        {
            exercise(opened.library);
        }
    }
}

/// What lies beside a segment for reading parts of it, what shards share, vectors without photos, and photos'
/// records.
pub fn ranges(data: &[u8]) {
    let mut bytes = data.to_vec();
    repair(&mut bytes);
    let _ = format::read_codebook("a codebook", &bytes);
    if let Ok(vectors) = format::read_collection("a collection", &bytes) {
        let query = vec![1.0; vectors.dim().min(DIM)];
        let kernels = Kernels::best();
        let _ = vectors.search(&query, 3, None, Recall::High, kernels);
        let _ = vectors.range(&query, 0.5, None, kernels);
    }
    if let Ok(bits) = format::read_binary("bits", &bytes) {
        let query = vec![255; (bits.dim() / 8).min(DIM)];
        let kernels = Kernels::best();
        let _ = bits.search(&query, 3, None, Recall::Fast, kernels);
        let _ = bits.range(&query, 0.5, None, kernels);
    }
    if let Ok(index) = format::read_quantised("an index", &bytes) {
        let (query, hidden) = (vec![0.1; index.dim()], Bitset::new(index.len()));
        let _ = index.search(&query, 3, Depth::default(), &hidden, Kernels::best());
        let _ = index.range(&query, 0.5, &hidden, Kernels::best());
    }
    if let Ok(ranges) = format::read_ranges("ranges", &bytes, Some(&CODEBOOK)) {
        let query = [1.0; DIM];
        let kernels = Kernels::best();
        if ranges.meta.dim == DIM {
            let (probes, _) = ranges.coarse.probes(&query, Recall::High, kernels);
            for probe in probes {
                let _ = ranges.scan(&probe.rows);
            }
        }
        for row in [0, ranges.meta.rows.saturating_sub(1)] {
            if row < ranges.meta.rows {
                let _ = (ranges.row(row), ranges.photo(row));
            }
        }
    }
    if let Some(records) = Records::from_bytes(data.to_vec()) {
        for row in 0..records.len() {
            assert_eq!(records.get(row).path, records.path(row));
        }
    }
}

fn manifest_for(segment: &[u8], manifest: &[u8]) -> Result<Vec<u8>> {
    let container = Container::open("the manifest", Kind::Manifest, manifest)?;
    let listing = container.section("library")?;
    let mut listing: serde_json::Value = serde_json::from_slice(listing).expect("our own JSON");
    listing["segments"][0]["bytes"] = segment.len().into();
    listing["segments"][0]["crc32"] = crc32fast::hash(segment).into();
    let deleted = container.section("deleted")?.to_vec();
    let listing = serde_json::to_vec(&listing).expect("JSON");
    let writer = Writer::new(Kind::Manifest).section("library", listing);
    Ok(writer.section("deleted", deleted).finish())
}

/// A manifest beside a segment that is whole.
pub fn manifest(data: &[u8]) {
    let (_, segment) = &SAMPLES[0];
    let mut bytes = data.to_vec();
    repair(&mut bytes);
    for bytes in [data, &bytes] {
        let _ = Library::segment_names(bytes);
        let _ = Library::kept_names(bytes);
        if let Ok(opened) = Library::open(bytes, |_| Ok(segment.clone())) {
            exercise(opened.library);
        }
    }
}

/// What is done with a library that could be opened.
fn exercise(mut library: Library) {
    let dim = library.model().dim;
    if dim > 4096 {
        return;
    }
    let mut embedding = vec![0.0; dim];
    embedding[0] = 1.0;
    let word = |word: usize| Word {
        word: word.to_string(),
        vector: embedding.clone(),
    };
    library
        .set_vocabulary((0..20).map(word).collect())
        .expect("unit vectors");
    let ask = Ask::parse("dog date:2019 or near:41.9,12.5,10").expect("valid");
    for embedding in [Some(embedding.clone()), None] {
        let query = Query {
            embedding,
            names: "trips dog".into(),
            filter: ask.filter.clone(),
            k: 5,
            grouped: true,
            ..Query::default()
        };
        let page = library
            .page(&query)
            .expect("a query of the library's model");
        assert!(page.found.len() <= 5);
    }
    let _ = (
        library.duplicates(),
        library.months(None),
        library.clusters(Some(2)),
    );
    let change = LabelChange {
        favourite: Some(true),
        ..LabelChange::default()
    };
    let path = library.photos().next().map(|photo| photo.path.clone());
    library.label(path, &change);
    library.compact();
    let _ = library.commit();
}

/// What a camera wrote beside the pixels, and the pixels of small files.
pub fn metadata(data: &[u8]) {
    let _ = image::metadata(data);
    let _ = image::format(data);
    let limits = image::Limits {
        max_pixels: 1 << 16,
        max_memory_bytes: 1 << 22,
        ..image::Limits::default()
    };
    if let Ok(decoded) = image::decode(data, &limits) {
        assert_eq!(
            decoded.rgb.len(),
            3 * (decoded.width * decoded.height) as usize
        );
        let _ = image::PerceptualHash::of(&decoded);
        let reduced = image::decode_reduced(data, 1, &limits).expect("what is decoded is reduced");
        assert_eq!(reduced.full, (decoded.width, decoded.height));
    }
}

/// A model's account of itself.
pub fn model_manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert!(manifest.dim > 0);
        assert!(manifest.image.size > 0);
    }
}

/// A vocabulary and a text, told apart by the first zero byte. Without one, a text for a vocabulary that
/// has single bytes only.
pub fn tokenizer(data: &[u8]) {
    let (merges, text) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (&b"#version\n"[..], data),
    };
    for (kind, file, vocab_size) in [
        ("clip-bpe", "merges.txt", 514),
        ("clip-bpe", "merges.txt", 516),
        ("clip-bpe", "tokenizer.json", 515),
        ("siglip-unigram", "tokenizer.json", 5),
    ] {
        let entry = TokenizerEntry {
            kind: kind.into(),
            vocab_size,
            file: file.into(),
        };
        if let Ok(tokenizer) = Tokenizer::new(&entry, merges, 16, 0) {
            let ids = tokenizer.ids(&String::from_utf8_lossy(text));
            assert_eq!(ids.len(), 16);
            assert!(ids.iter().all(|id| (0..i64::from(vocab_size)).contains(id)));
        }
    }
}

/// A query, the date in it, and the place of a page.
pub fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let day = Day::of_number(data.len() as i64 * 97);
    match Ask::parse(&text) {
        Ok(ask) => {
            let photo = Photo {
                path: "trips/Été/1.jpg".into(),
                gps: Some([0.0, 0.0]),
                tags: vec!["a".into()],
                ..Photo::default()
            };
            let _ = ask.filter.map(|filter| filter.matches(&photo));
            assert!(ask.parts.iter().all(|part| part.weight.is_finite()));
        }
        Err(Error::Query { at, .. }) => assert!(at <= text.chars().count()),
        Err(error) => panic!("{error}"),
    }
    if let Some(suggestion) = suggest(&text, day) {
        Ask::parse(&suggestion.query).expect("what is suggested is valid");
    }
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert!(cursor.to_string().parse::<Cursor>().is_ok());
    }
}
