//! A library and the web app on loopback: static files, the library's own bytes, the photos.
//!
//! ```text
//! /                   the web app                 /library.json      what is served
//! /library/NAME       manifest and segments       /model/NAME        the library's model
//! /photos/PATH        a photo of the library      /thumbs/PATH       a small JPEG of it
//! /search.json?q=…    photos that were found
//! ```
//! The page searches by itself; what is found here is for other programs. Ranges of the library's files are
//! answered, so that a large one is read in parts.

mod search;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use photorecall::image::{self, Limits};
use photorecall::store::files::{FileStore, MANIFEST, is_codebook, is_ranges, is_segment};
use tokio::net::TcpListener;

use self::search::Searcher;
use crate::args::ServeArgs;
use crate::source::Source;
use crate::{Outcome, info, model};

/// Longest side of a served thumbnail, pixels.
const THUMB_SIDE: u32 = 320;

/// What every answering thread needs.
struct Site {
    app: PathBuf,
    folder: PathBuf,
    source: Source,
    model: String,
    searcher: Searcher,
}

/// `photorecall serve`
pub fn serve(args: &ServeArgs) -> anyhow::Result<Outcome> {
    let opened = FileStore::read_only(&args.library)?
        .load()?
        .with_context(|| format!("no library in {}", args.library.display()))?;
    info::tell_damage(&opened.damaged);
    let source = Source::load(&args.library)?;
    let site = Site {
        app: app_folder(args.app.as_deref())?,
        folder: args.library.clone(),
        model: source.model(None).to_owned(),
        searcher: Searcher::new(opened.library, source.model(None)),
        source,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()?;
    runtime.block_on(run(Arc::new(site), args.port))
}

async fn run(site: Arc<Site>, port: u16) -> anyhow::Result<Outcome> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("port {port}"))?;
    say!(
        "{} photos at http://{}/  (Ctrl-C ends it)",
        site.searcher.read().stats().photos,
        listener.local_addr()?
    );
    let app = Router::new().fallback(answer).with_state(site);
    axum::serve(listener, app).await?;
    Ok(Outcome::Done)
}

/// The built app: as given, else `www` beside the folder of the program (`target/www`).
fn app_folder(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let beside = || {
        Some(
            std::env::current_exe()
                .ok()?
                .parent()?
                .parent()?
                .join("www"),
        )
    };
    let folder = given
        .map(Path::to_owned)
        .or_else(beside)
        .unwrap_or_default();
    if !folder.join("index.html").is_file() {
        bail!(
            "no web app in {}: build it with `cargo xtask build-web`, or name it with --app",
            folder.display()
        );
    }
    Ok(folder)
}

/// A body with its content type.
type Page = (Vec<u8>, String);

/// What a request is answered with.
enum Answer {
    Whole(Page),
    /// What was asked for cannot be understood.
    Bad(Page),
    /// Another site asks.
    Forbidden(Page),
    /// The bytes `start` to `end` of a file of `len`, both counted.
    Part(Page, (u64, u64, u64)),
}

async fn answer(State(site): State<Arc<Site>>, request: Request<Body>) -> Response<Body> {
    let (request, _) = request.into_parts();
    // Files are read and thumbnails made on threads that may wait.
    let made = tokio::task::spawn_blocking(move || {
        page(&site, &request.method, &request.headers, &request.uri)
    });
    let (status, (body, kind), range) = match made.await.map_err(anyhow::Error::from).flatten() {
        Ok(Answer::Whole(page)) => (StatusCode::OK, page, None),
        Ok(Answer::Bad(page)) => (StatusCode::BAD_REQUEST, page, None),
        Ok(Answer::Forbidden(page)) => (StatusCode::FORBIDDEN, page, None),
        Ok(Answer::Part(page, range)) => (StatusCode::PARTIAL_CONTENT, page, Some(range)),
        Err(error) => {
            let text = format!("{error:#}\n").into_bytes();
            let kind = "text/plain; charset=utf-8".to_owned();
            (StatusCode::NOT_FOUND, (text, kind), None)
        }
    };
    let mut response = Response::builder().status(status);
    if let Some((start, end, len)) = range {
        response = response.header(header::CONTENT_RANGE, format!("bytes {start}-{end}/{len}"));
    }
    let response = response
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header("Cross-Origin-Resource-Policy", "same-origin")
        .body(Body::from(body));
    // Only a content type that is no header's value could fail, and none of ours is.
    response.unwrap_or_default()
}

fn page(site: &Site, method: &Method, headers: &HeaderMap, uri: &Uri) -> anyhow::Result<Answer> {
    if ![Method::GET, Method::HEAD].contains(method) || !is_loopback(headers) {
        bail!("not served");
    }
    if uri.path() == "/search.json" {
        return Ok(site.found(headers, uri.query().unwrap_or_default()));
    }
    let path = percent_decode(uri.path())?;
    let path = path.trim_start_matches('/');
    if let Some(("library", name)) = path.split_once('/')
        && is_library_file(name)
        && let Some(part) = part(&site.folder.join(name), headers)?
    {
        return Ok(part);
    }
    let page = match path.split_once('/') {
        None if path == "library.json" => Ok((site.about()?, "application/json".into())),
        Some(("library", name)) if is_library_file(name) => file(&site.folder, name),
        Some(("model", name)) => Ok((
            model::read_file(&site.model, plain_name(name)?)?,
            "application/octet-stream".into(),
        )),
        Some(("photos", photo)) => file_page(&site.photo(photo)?),
        Some(("thumbs", photo)) => Ok((thumbnail(&site.photo(photo)?)?, "image/jpeg".into())),
        _ if path.is_empty() => file(&site.app, "index.html"),
        _ => file(&site.app, path),
    }?;
    Ok(Answer::Whole(page))
}

/// The part of a file that the headers ask for, as `bytes=START-END`; of other ranges (RFC 9110, section
/// 14.2, lets a server pass them over) and of those that do not lie in the file, the whole is sent.
fn part(path: &Path, headers: &HeaderMap) -> anyhow::Result<Option<Answer>> {
    let Some((start, end)) = asked_range(headers) else {
        return Ok(None);
    };
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let last = end.min(len.saturating_sub(1));
    if start > last || start >= len {
        return Ok(None);
    }
    let mut body = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(last - start + 1).read_to_end(&mut body)?;
    let kind = "application/octet-stream".to_owned();
    Ok(Some(Answer::Part((body, kind), (start, last, len))))
}

fn asked_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let range = headers.get(header::RANGE)?.to_str().ok()?;
    let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}

impl Site {
    fn about(&self) -> anyhow::Result<Vec<u8>> {
        let name = self.source.root.as_deref().and_then(Path::file_name);
        let name = name.map_or("library".into(), |name| name.to_string_lossy());
        Ok(serde_json::to_vec(&serde_json::json!({
            "name": name, "library": "library/", "model": "model/", "photos": "photos/", "thumbs": "thumbs/",
        }))?)
    }

    /// What a query finds; an error as `{"error": …}`.
    fn found(&self, headers: &HeaderMap, parameters: &str) -> Answer {
        let page = |body| (body, "application/json".to_owned());
        let error = |text: String| {
            page(
                serde_json::json!({ "error": text })
                    .to_string()
                    .into_bytes(),
            )
        };
        if !search::is_own(headers) {
            return Answer::Forbidden(error("other sites are told nothing".into()));
        }
        match self.searcher.answer(parameters) {
            Ok(found) => Answer::Whole(page(found)),
            Err(wrong) => Answer::Bad(error(format!("{wrong:#}"))),
        }
    }

    /// The file of a photo; only photos of the library are served, whatever lies beside them.
    fn photo(&self, path: &str) -> anyhow::Result<PathBuf> {
        self.searcher
            .read()
            .get(path)
            .with_context(|| format!("no photo {path} in the library"))?;
        Ok(self.source.file(path))
    }
}

/// A page of another host that points its own name at 127.0.0.1 (DNS rebinding) must not read the photos.
fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    host.is_some_and(|host| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    })
}

fn percent_decode(path: &str) -> anyhow::Result<String> {
    let text = percent_decode_str(path)
        .decode_utf8()
        .context("the address is not valid UTF-8")?;
    Ok(text.into_owned())
}

/// The library's own files; the note of where its photos lie on this machine is not among them.
fn is_library_file(name: &str) -> bool {
    name == MANIFEST || is_segment(name) || is_ranges(name) || is_codebook(name)
}

fn plain_name(name: &str) -> anyhow::Result<&str> {
    let plain = !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.');
    plain
        .then_some(name)
        .with_context(|| format!("not a file's name: {name}"))
}

fn file(folder: &Path, below: &str) -> anyhow::Result<Page> {
    let below = Path::new(below);
    if !below
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        bail!("not below the served folder");
    }
    file_page(&folder.join(below))
}

fn file_page(path: &Path) -> anyhow::Result<Page> {
    let kind = mime_guess::from_path(path)
        .first_or_octet_stream()
        .to_string();
    let body = std::fs::read(path)
        .with_context(|| format!("no {}", path.file_name().unwrap_or_default().display()))?;
    Ok((body, kind))
}

fn thumbnail(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    let reduced = image::decode_reduced(&bytes, THUMB_SIDE, &Limits::default())?;
    Ok(image::thumbnail_jpeg(&reduced.photo, THUMB_SIDE)?)
}
