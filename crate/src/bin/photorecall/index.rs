//! Bringing photos into a library, and out of it.
//!
//! ```text
//! walk ─ plan ─▶ workers (one a core): read, digest, decode, embed ─▶ one writer: put, commit ⇄ merging
//! ```
//! The channel between them is short: a slow disk stops the workers, not the other way round.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use photorecall::encoder::Model;
use photorecall::image::Limits;
use photorecall::library::{Library, Photo};
use photorecall::store::files::FileStore;
use rayon::iter::{ParallelBridge, ParallelIterator};

use crate::Outcome;
use crate::args::{AddArgs, IndexArgs, RemoveArgs};
use crate::budget::Budget;
use crate::merging::Merging;
use crate::photo::{self, Picture};
use crate::progress::Stop;
use crate::scan::{self, Candidate, Plan, Scan};
use crate::shared_args::{HowArgs, LibraryArgs};
use crate::source::Source;
use crate::{info, model};

/// A commit holds at most this many photos …
const COMMIT_PHOTOS: usize = 256;
/// … and at most this much work.
const COMMIT_EVERY: Duration = Duration::from_secs(2);

/// What a run did, as `--json` prints it.
#[derive(Default, serde::Serialize)]
struct Summary {
    added: usize,
    replaced: usize,
    renamed: usize,
    removed: usize,
    unchanged: usize,
    skipped: Vec<Skipped>,
    stopped: bool,
    seconds: f64,
}

/// A file that was left out.
#[derive(serde::Serialize)]
struct Skipped {
    path: String,
    reason: String,
}

/// `photorecall index`
pub fn index(args: &IndexArgs) -> anyhow::Result<Outcome> {
    let root = args
        .folder
        .canonicalize()
        .with_context(|| args.folder.display().to_string())?;
    if !root.is_dir() {
        bail!(
            "{} is not a folder; `photorecall add` takes single photos",
            args.folder.display()
        );
    }
    let session = Session::open(&args.library.library, Some(&root), &args.how)?;
    let scan = scan::walk(&root, &root, &args.exclude, args.hidden)?;
    if scan.candidates.is_empty() && session.library.stats().photos > 0 {
        bail!(
            "{} holds no photos now, but the library has {}: is a drive not mounted? \
             Nothing was changed",
            root.display(),
            session.library.stats().photos
        );
    }
    session.run(scan, |path| !Path::new(path).is_absolute(), &args.how)
}

/// `photorecall add`
pub fn add(args: &AddArgs) -> anyhow::Result<Outcome> {
    let session = Session::open(&args.library.library, None, &args.how)?;
    let root = session.source.root.clone().unwrap_or_default();
    let mut scan = Scan::default();
    for path in &args.paths {
        let full = path
            .canonicalize()
            .with_context(|| path.display().to_string())?;
        if full.is_dir() {
            let found = scan::walk(&full, &root, &[], false)?;
            scan.candidates.extend(found.candidates);
            scan.unreadable.extend(found.unreadable);
        } else {
            let before = scan.candidates.len();
            scan.take(&full, &root);
            if scan.candidates.len() == before {
                scan.unreadable.push((
                    path.display().to_string(),
                    "not a photo by its name's ending".into(),
                ));
            }
        }
    }
    session.run(scan, |_| false, &args.how)
}

/// `photorecall remove`
pub fn remove(args: &RemoveArgs) -> anyhow::Result<Outcome> {
    let (store, mut library) = open_existing(&args.library.library)?;
    let mut unknown = Vec::new();
    let mut removed = 0;
    for asked in &args.paths {
        let folder = format!("{}/", asked.trim_end_matches('/'));
        let paths: Vec<String> = library
            .photos()
            .filter(|photo| photo.path == *asked || photo.path.starts_with(&folder))
            .map(|photo| photo.path.clone())
            .collect();
        if paths.is_empty() {
            unknown.push(asked);
        }
        removed += paths.iter().filter(|path| library.remove(path)).count();
    }
    if removed == 0 {
        bail!("no such photo in the library: {}", args.paths.join(", "));
    }
    commit(&store, &mut library)?;
    say!("removed {removed} photos from the library; the files are where they were");
    for path in &unknown {
        eprintln!("skipped {path}: no such photo in the library");
    }
    Ok(if unknown.is_empty() {
        Outcome::Done
    } else {
        Outcome::Skipped
    })
}

/// `photorecall compact`
pub fn compact(args: &LibraryArgs) -> anyhow::Result<Outcome> {
    let (store, mut library) = open_existing(&args.library)?;
    let before = library.stats();
    library.compact();
    commit(&store, &mut library)?;
    let after = library.stats();
    say!(
        "{} bytes before, {} after; {} photos",
        before.bytes,
        after.bytes,
        after.photos
    );
    Ok(Outcome::Done)
}

/// Opens a library to be changed; damage is told.
pub fn open_existing(folder: &Path) -> anyhow::Result<(FileStore, Library)> {
    // Asked first, so that a mistyped folder is not made.
    FileStore::read_only(folder)?;
    let store = FileStore::open(folder)?;
    let opened = store
        .load()?
        .with_context(|| format!("no library in {}", folder.display()))?;
    info::tell_damage(&opened.damaged);
    Ok((store, opened.library))
}

/// Makes all changes last.
pub fn commit(store: &FileStore, library: &mut Library) -> anyhow::Result<()> {
    if let Some(change) = library.commit() {
        store.store(&change)?;
        library.committed(change.generation);
    }
    Ok(())
}

/// An opened library with the model that fills it.
struct Session {
    folder: PathBuf,
    store: FileStore,
    library: Library,
    source: Source,
    model: Model,
}

impl Session {
    /// Opens or creates; `root` is the folder about to be indexed, `None` keeps the noted one.
    fn open(folder: &Path, root: Option<&Path>, how: &HowArgs) -> anyhow::Result<Self> {
        let mut source = Source::load(folder)?;
        if let (Some(new), Some(old)) = (root, &source.root)
            && new != old
        {
            bail!(
                "{} holds the photos of {}; give {} a library of its own, or add it with \
                 `photorecall add`",
                folder.display(),
                old.display(),
                new.display()
            );
        }
        let choice = source.model(how.encode.model.choice.as_deref()).to_owned();
        let model = model::load(&choice)?;
        let store = FileStore::open(folder)?;
        let library = match store.load()? {
            Some(opened) => {
                info::tell_damage(&opened.damaged);
                opened.library.require_model(&info::model_ref(&model))?;
                opened.library
            }
            None => Library::create(info::model_ref(&model)),
        };
        if let Some(root) = root {
            source.root = Some(root.to_owned());
        }
        source.model = Some(model::lasting_name(&choice)?);
        source.trim_borders |= how.encode.trim_borders;
        source.store(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            store,
            library,
            source,
            model,
        })
    }

    /// Brings the library up to what the scan found, and tells.
    fn run(
        mut self,
        scan: Scan,
        below_root: impl Fn(&str) -> bool,
        how: &HowArgs,
    ) -> anyhow::Result<Outcome> {
        let started = Instant::now();
        let stop = Stop::on_signal()?;
        let plan = scan::plan(&self.library, scan.candidates, below_root);
        let mut summary = Summary {
            unchanged: plan.unchanged,
            ..Summary::default()
        };
        let skipped = scan
            .unreadable
            .into_iter()
            .map(|(path, reason)| Skipped { path, reason });
        summary.skipped.extend(skipped);
        self.take_in(plan, how, &stop, &mut summary)?;
        summary.stopped = stop.raised();
        summary.seconds = started.elapsed().as_secs_f64();
        tell(&summary, how.run.tell.json)?;
        let whole = summary.skipped.is_empty() && !summary.stopped;
        Ok(if whole {
            Outcome::Done
        } else {
            Outcome::Skipped
        })
    }

    fn take_in(
        &mut self,
        plan: Plan,
        how: &HowArgs,
        stop: &Stop,
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        let pool = how.run.pool()?;
        let bar = how.run.tell.bar(plan.fresh.len() as u64);
        let known: HashMap<String, Known> = self
            .library
            .photos()
            .map(|photo| {
                let known = Known {
                    path: photo.path.clone(),
                    is_whole: photo.phash.is_some(),
                };
                (photo.digest.clone(), known)
            })
            .collect();
        let Plan {
            fresh, mut gone, ..
        } = plan;
        let (send, receive) = sync_channel(2 * pool.current_num_threads());
        let memory = Budget::new(Limits::default().max_memory_bytes);
        let reader = Reader {
            model: &self.model,
            known: &known,
            memory: &memory,
            trim: self.source.trim_borders,
        };
        let (store, library) = (&self.store, &mut self.library);
        let mut merging = Merging::new(&self.folder);
        std::thread::scope(|scope| {
            let pool = &pool;
            scope.spawn(move || {
                pool.install(|| {
                    fresh
                        .into_iter()
                        .par_bridge()
                        .for_each_with(send, |send, candidate| {
                            if !stop.raised() {
                                let read = reader.read(&candidate);
                                // The writer hangs up when it has failed: nobody is left to tell.
                                let _ = send.send((candidate, read));
                            }
                        });
                });
            });
            write(
                (receive, &bar),
                store,
                library,
                &mut merging,
                &mut gone,
                summary,
            )
        })?;
        if !stop.raised() {
            for path in gone.into_values().flatten() {
                summary.removed += usize::from(self.library.remove(&path));
            }
        }
        bar.finish_and_clear();
        commit(&self.store, &mut self.library)?;
        if !stop.raised() {
            merging.finish(&self.store, &mut self.library)?;
        }
        Ok(())
    }
}

/// What a worker made of a file.
enum Read {
    /// A new photo and its embedding.
    Embedded(Photo, Vec<f32>),
    /// The very bytes of a photo that the library has, or had, at the second path.
    Known(Photo, String),
}

/// A photo that the library had when the run began.
struct Known {
    path: String,
    /// Whether everything is known of it that this version asks for.
    is_whole: bool,
}

/// What every worker needs; shared, never written.
struct Reader<'a> {
    model: &'a Model,
    /// By digest.
    known: &'a HashMap<String, Known>,
    memory: &'a Budget,
    trim: bool,
}

impl Reader<'_> {
    fn read(&self, candidate: &Candidate) -> anyhow::Result<Read> {
        photo::require_size(candidate.bytes)?;
        let file = self.memory.take(candidate.bytes);
        let bytes = std::fs::read(&candidate.file)?;
        let photo = photo::facts(&candidate.path, candidate.modified_ms, &bytes);
        let known = self.known.get(&photo.digest);
        if let Some(known) = known
            && known.is_whole
        {
            return Ok(Read::Known(photo, known.path.clone()));
        }
        // One share at a time: two workers that hold one and wait for another wait for ever.
        drop(file);
        let picture = Picture::decode(photo, &bytes, self.model, self.memory)?;
        if let Some(known) = known {
            return Ok(Read::Known(picture.photo, known.path.clone()));
        }
        let (photo, embedding) = picture.embed(self.model, self.trim)?;
        Ok(Read::Embedded(photo, embedding))
    }
}

/// The one writer: takes what the workers send, commits every so often.
fn write(
    (receive, bar): (Receiver<(Candidate, anyhow::Result<Read>)>, &ProgressBar),
    store: &FileStore,
    library: &mut Library,
    merging: &mut Merging,
    gone: &mut HashMap<String, Vec<String>>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let (mut pending, mut last) = (0, Instant::now());
    for (candidate, read) in receive {
        bar.inc(1);
        bar.set_message(candidate.path.clone());
        match read.and_then(|read| put(library, gone, read, summary)) {
            Ok(()) => pending += 1,
            Err(error) => summary.skipped.push(Skipped {
                path: candidate.path,
                reason: format!("{error:#}"),
            }),
        }
        if pending >= COMMIT_PHOTOS || (pending > 0 && last.elapsed() >= COMMIT_EVERY) {
            commit(store, library)?;
            merging.tend(store, library)?;
            (pending, last) = (0, Instant::now());
        }
    }
    Ok(())
}

fn put(
    library: &mut Library,
    gone: &mut HashMap<String, Vec<String>>,
    read: Read,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    match read {
        Read::Embedded(photo, embedding) => {
            let replaced = library.get(&photo.path).is_some();
            library.put(photo, &embedding)?;
            *(if replaced {
                &mut summary.replaced
            } else {
                &mut summary.added
            }) += 1;
        }
        Read::Known(photo, path) => {
            if let Some(old) = gone.get_mut(&photo.digest).and_then(Vec::pop) {
                library.rename(&old, photo);
                summary.renamed += 1;
                return Ok(());
            }
            let known = library.get(&path).cloned().zip(library.embedding(&path));
            let (twin, embedding) = known.context("its twin left the library during the run")?;
            let replaced = library.get(&photo.path).is_some();
            let photo = Photo {
                width: twin.width,
                height: twin.height,
                phash: photo.phash.or(twin.phash),
                ..photo
            };
            library.put(photo, &embedding)?;
            *(if replaced {
                &mut summary.replaced
            } else {
                &mut summary.added
            }) += 1;
        }
    }
    Ok(())
}

fn tell(summary: &Summary, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string(summary)?);
        return Ok(());
    }
    for Skipped { path, reason } in &summary.skipped {
        eprintln!("skipped {path}: {reason}");
    }
    let done = summary.added + summary.replaced;
    let rate = done as f64 / summary.seconds.max(1e-9);
    say!(
        "{} added, {} replaced, {} renamed, {} removed, {} unchanged, {} skipped in {:.1} s ({rate:.0} photos/s)",
        summary.added,
        summary.replaced,
        summary.renamed,
        summary.removed,
        summary.unchanged,
        summary.skipped.len(),
        summary.seconds,
    );
    if summary.stopped {
        say!("stopped before the end; run it again to go on");
    }
    Ok(())
}
