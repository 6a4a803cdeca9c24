//! A library that is read in parts: recall against exact answers, and the bytes that a query reads.
//!
//! `cargo test --release --test ranges -- --ignored --nocapture` measures 1,000,000 photos (three minutes,
//! 5 GB of memory, 1 GB of disk). `PHOTORECALL_RANGES` names a folder that the small library is left in, for the browser's test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use photorecall::index::{Recall, exact};
use photorecall::library::ask::Ask;
use photorecall::library::{Page, Photo, Query, Read, Remote, Span, normalise};
use photorecall::store::files::FileStore;

#[path = "collection.rs"]
mod collection;
use collection::{Made, Random, make, model, photo};

const K: usize = 10;
const QUERIES: usize = 40;
/// Spans with a smaller gap between them are fetched together, as `parts.ts` of the package does.
const GAP: u64 = 4096;

/// A host that counts.
struct Host {
    folder: PathBuf,
    /// Spans that were read are not read again, as in the browser.
    kept: BTreeSet<Span>,
    bytes: u64,
    requests: usize,
}

impl Host {
    /// Reads what is read before any query, each file once.
    fn open(folder: &Path) -> (Self, Remote) {
        let mut host = Self {
            folder: folder.to_owned(),
            kept: BTreeSet::new(),
            bytes: 0,
            requests: 0,
        };
        let manifest = host.whole("library.manifest");
        let files = Remote::files(&manifest).expect("whole").into_iter();
        let files: BTreeMap<String, Vec<u8>> = files
            .map(|(name, _)| (name.clone(), host.whole(&name)))
            .collect();
        let remote = Remote::open(&manifest, |name| Ok(files[name].clone()));
        (host, remote.expect("whole"))
    }

    fn whole(&mut self, name: &str) -> Vec<u8> {
        let bytes = fs::read(self.folder.join(name)).expect("there");
        self.bytes += bytes.len() as u64;
        self.requests += 1;
        bytes
    }

    fn answer<T>(
        &mut self,
        remote: &mut Remote,
        mut ask: impl FnMut(&mut Remote) -> photorecall::Result<Read<T>>,
    ) -> T {
        for _ in 0..12 {
            let spans = match ask(remote).expect("a question that can be answered") {
                Read::Ready(answer) => return answer,
                Read::Needs(spans) => spans,
            };
            assert!(!spans.is_empty());
            let known = |span: &Span| self.kept.contains(span);
            let (known, new): (Vec<Span>, Vec<Span>) = spans.into_iter().partition(known);
            for span in known {
                self.read(remote, &span);
            }
            for together in new.chunk_by(is_beside) {
                let end = together.iter().map(|span| span.end).max().expect("one");
                let whole = Span {
                    end,
                    ..together[0].clone()
                };
                self.read(remote, &whole);
                self.bytes += end - whole.start;
                self.requests += 1;
            }
            self.kept.extend(new);
        }
        panic!("no answer after twelve rounds");
    }

    fn read(&self, remote: &mut Remote, span: &Span) {
        let mut file = File::open(self.folder.join(&span.segment)).expect("there");
        let mut bytes = vec![0; (span.end - span.start) as usize];
        file.seek(SeekFrom::Start(span.start)).expect("there");
        file.read_exact(&mut bytes).expect("within the file");
        remote
            .give(&span.segment, span.start, &bytes)
            .expect("its own bytes");
    }

    fn page(&mut self, remote: &mut Remote, query: &Query) -> Page {
        self.answer(remote, |remote| remote.page(query))
    }
}

/// Whether the browser would fetch two spans, the first one first, with one request.
fn is_beside(a: &Span, b: &Span) -> bool {
    a.segment == b.segment && b.start <= a.end + GAP
}

fn query(embedding: &[f32]) -> Query {
    Query {
        embedding: Some(embedding.to_vec()),
        k: K,
        ..Query::default()
    }
}

/// Recall@10 over fresh openings, and the most bytes that an opening and its first query took.
fn measure(made: &mut Made, dim: usize, words: bool, photos: usize) -> (f64, u64) {
    let (mut found, mut most, mut sum, mut requests) = (0, 0, 0, 0);
    for _ in 0..QUERIES {
        let embedding = match words {
            true => made.vectors.word(),
            false => made.vectors.photo(),
        };
        let truth = exact::search(&made.rows, dim, &embedding, K);
        let (mut host, mut remote) = Host::open(&made.folder);
        let page = host.page(&mut remote, &query(&embedding));
        assert_eq!((page.found.len(), page.total), (K, photos));
        let paths: Vec<String> = truth
            .iter()
            .map(|hit| photo(hit.id as usize, photos).path)
            .collect();
        let hits = page.found.iter();
        found += hits.filter(|hit| paths.contains(&hit.photo.path)).count();
        most = most.max(host.bytes);
        sum += host.bytes;
        requests += host.requests;
    }
    let recall = found as f64 / (QUERIES * K) as f64;
    println!(
        "{photos} photos of {dim} axes, {}: recall@10 {recall:.3}; an opening and a query read {:.2} MB, at most {:.2}, in {} spans",
        if words { "words" } else { "photos" },
        sum as f64 / QUERIES as f64 / 1e6,
        most as f64 / 1e6,
        requests / QUERIES,
    );
    (recall, most)
}

fn shipped_dim() -> usize {
    let manifest = fs::read("../models/photorecall-s/manifest.json").expect("the model that ships");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    manifest["dim"].as_u64().expect("a number") as usize
}

#[test]
fn a_query_reads_a_part_and_finds_what_all_of_it_has() {
    // The browser's tests search this library too, with the words of the model that ships.
    let (photos, dim) = (24_000, shipped_dim());
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = std::env::var_os("PHOTORECALL_RANGES").map(PathBuf::from);
    let folder = folder.unwrap_or(temporary.path().join("library"));
    let _ = fs::remove_dir_all(&folder);
    let mut made = make(&folder, photos, 3, model(dim));
    for words in [false, true] {
        let (recall, most) = measure(&mut made, dim, words, photos);
        let whole = fs::read_dir(&folder).expect("there").flatten();
        let whole: u64 = whole
            .map(|file| file.metadata().expect("there").len())
            .sum();
        assert!(recall >= 0.95, "recall@10 {recall}");
        assert!(most < whole / 2, "{most} of {whole} bytes");
    }
    same_answers(&mut made);
    pages_and_examples(&mut made);
    deleted_rows_stay_away(&mut made);
}

/// What is found has the score that the whole library gives it.
fn same_answers(made: &mut Made) {
    let whole = FileStore::read_only(&made.folder).expect("there").load();
    let whole = whole.expect("whole").expect("a library").library;
    let embedding = made.vectors.photo();
    let (mut host, mut remote) = Host::open(&made.folder);
    let page = host.page(&mut remote, &query(&embedding));
    let exact = Query {
        recall: Recall::Exact,
        ..query(&embedding)
    };
    let wanted = whole.page(&exact).expect("valid");
    for found in &page.found {
        if let Some(other) = wanted.found.iter().find(|other| other.photo == found.photo) {
            assert_eq!(other.score, found.score, "to the bit");
        }
    }
    assert_eq!(page.found[0], wanted.found[0]);
    // The same again reads nothing.
    let before = host.bytes;
    let again = host.page(&mut remote, &query(&embedding));
    assert_eq!((again, host.bytes), (page, before));
}

fn pages_and_examples(made: &mut Made) {
    let embedding = made.vectors.photo();
    let (mut host, mut remote) = Host::open(&made.folder);
    let first = host.page(&mut remote, &query(&embedding));
    let second = Query {
        after: first.next.clone(),
        ..query(&embedding)
    };
    let second = host.page(&mut remote, &second);
    let both = Query {
        k: 2 * K,
        ..query(&embedding)
    };
    let both = host.page(&mut remote, &both);
    assert_eq!([first.found.clone(), second.found].concat(), both.found);

    let path = &first.found[0].photo.path;
    assert_eq!(remote.photo(path), Some(&first.found[0].photo));
    let vector = host.answer(&mut remote, |remote| remote.embedding(path));
    let mut like = query(&normalise(vector).expect("a direction"));
    assert_eq!(host.page(&mut remote, &like).found[0].photo.path, *path);
    like.exclude = vec![path.clone()];
    let others = host.page(&mut remote, &like);
    assert!(others.found.len() == K && others.found.iter().all(|hit| hit.photo.path != *path));
    assert_eq!(
        remote.embedding("nowhere").expect_err("not met").code(),
        "missing"
    );

    like.filter = Ask::parse("is:favourite").expect("valid").filter;
    assert_eq!(
        remote.page(&like).expect_err("refused").code(),
        "not_by_ranges"
    );
    let by_date = Query::default();
    assert_eq!(
        remote.page(&by_date).expect_err("refused").code(),
        "not_by_ranges"
    );
}

/// A photo that is taken out after the parts were made is not found; a later one is.
fn deleted_rows_stay_away(made: &mut Made) {
    let embedding = made.vectors.photo();
    let (mut host, mut remote) = Host::open(&made.folder);
    let before = host.page(&mut remote, &query(&embedding));
    let store = FileStore::open(&made.folder).expect("free");
    let mut library = store.load().expect("whole").expect("a library").library;
    assert!(library.remove(&before.found[0].photo.path));
    let new = Photo {
        path: "new.jpg".into(),
        ..Photo::default()
    };
    library.put(new, &embedding).expect("a unit vector");
    let commit = library.commit().expect("changes");
    store.store(&commit).expect("writable");
    let (mut host, mut remote) = Host::open(&made.folder);
    let after = host.page(&mut remote, &query(&embedding));
    let path = |page: &Page, at: usize| page.found[at].photo.path.clone();
    assert_eq!(
        (path(&after, 0), path(&after, 1)),
        ("new.jpg".into(), path(&before, 1))
    );
    assert_eq!(after.total, before.total);
}

#[test]
fn what_a_host_sends_is_checked() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let made = make(&temporary.path().join("library"), 3000, 1, model(64));
    let (_, mut remote) = Host::open(&made.folder);
    let segment = fs::read(made.folder.join("00000001-0000.segment")).expect("there");
    let name = "00000001-0000.segment";
    let code = |result: photorecall::Result<()>| result.expect_err("refused").code();
    remote
        .give(name, 0, &segment[..4096])
        .expect("a whole block");
    let end = segment.len() / 4096 * 4096;
    remote
        .give(name, end as u64, &segment[end..])
        .expect("the last block");
    for at in [0, 1, 4095] {
        let mut block = segment[4096..8192].to_vec();
        block[at] ^= 4;
        assert_eq!(code(remote.give(name, 4096, &block)), "damaged");
    }
    assert_eq!(code(remote.give(name, 8, &segment[8..4104])), "damaged");
    assert_eq!(
        code(remote.give(name, 4096, &segment[4096..8000])),
        "damaged"
    );
    assert_eq!(
        code(remote.give(name, u64::MAX / 4096 * 4096, &[0])),
        "damaged"
    );
    assert_eq!(
        code(remote.give("00000009-0000.segment", 0, &[])),
        "missing"
    );

    // A ranges file with a flipped bit anywhere, a cut one, another's.
    let manifest = fs::read(made.folder.join("library.manifest")).expect("there");
    let ranges = fs::read(made.folder.join("00000001-0000.ranges")).expect("there");
    let mut random = Random(3);
    for _ in 0..200 {
        let mut bytes = ranges.clone();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        let read = photorecall::format::read_ranges("ranges", &bytes, None);
        assert!(read.is_err(), "a flipped bit at {at}");
        assert_eq!(
            opened_with(&made.folder, &manifest, ".ranges", &bytes),
            "damaged"
        );
    }
    let cut = &ranges[..ranges.len() / 2];
    assert_eq!(
        opened_with(&made.folder, &manifest, ".ranges", cut),
        "damaged"
    );
    for wrong in [cut, &[]] {
        assert_eq!(
            opened_with(&made.folder, &manifest, ".codebook", wrong),
            "damaged"
        );
    }
}

/// What a library says of a file with that ending that is something else.
fn opened_with(folder: &Path, manifest: &[u8], ending: &str, bytes: &[u8]) -> &'static str {
    let opened = Remote::open(manifest, |name| match name.ends_with(ending) {
        true => Ok(bytes.to_vec()),
        false => Ok(fs::read(folder.join(name)).expect("there")),
    });
    opened.expect_err("refused").code()
}

#[test]
#[ignore = "takes minutes, 5 GB of memory and 1 GB of disk"]
fn a_million_photos_answer_within_15_mb() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let mut measured = Vec::new();
    for dim in [256, 512] {
        let folder = temporary.path().join(dim.to_string());
        let mut made = make(&folder, 1_000_000, 4, model(dim));
        for words in [false, true] {
            let (recall, most) = measure(&mut made, dim, words, 1_000_000);
            measured.push((dim, words, recall, most));
        }
        fs::remove_dir_all(&folder).expect("there");
    }
    // All is told before anything is found wanting.
    for (dim, words, recall, most) in measured {
        assert!(
            most <= 15_000_000,
            "{most} bytes, {dim} axes, words: {words}"
        );
        let least = if words { 0.82 } else { 0.97 };
        assert!(
            recall >= least,
            "recall@10 {recall}, {dim} axes, words: {words}"
        );
    }
}
