//! A library and the web app on loopback: static files, the library's own bytes, the photos.
//!
//! ```text
//! /                   the web app                 /library.json      what is served
//! /library/NAME       manifest and segments       /model/NAME        the library's model
//! /photos/PATH        a photo of the library      /thumbs/PATH       a small JPEG of it
//! ```
//! The page searches by itself; the server runs no query.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use percent_encoding::percent_decode_str;
use photorecall::image::{self, Limits};
use photorecall::library::Library;
use photorecall::store::files::{FileStore, MANIFEST, is_segment};
use tiny_http::{Header, Method, Request, Response, Server};

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
    library: Library,
}

/// `photorecall serve`
pub fn serve(args: &ServeArgs) -> anyhow::Result<Outcome> {
    let opened = FileStore::read_only(&args.library)?
        .load()?
        .with_context(|| format!("no library in {}", args.library.display()))?;
    info::tell_damage(&opened.damaged);
    let source = Source::load(&args.library)?;
    let site = Arc::new(Site {
        app: app_folder(args.app.as_deref())?,
        folder: args.library.clone(),
        model: source.model(None).to_owned(),
        source,
        library: opened.library,
    });
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let server = Server::http(address).map_err(|error| anyhow!("port {}: {error}", args.port))?;
    println!(
        "{} photos at http://{}/  (Ctrl-C ends it)",
        site.library.stats().photos,
        server.server_addr()
    );
    // A thread a request: a browser may leave a large answer half read while it waits for another, so
    // a fixed number of threads could all be stuck. A browser opens six connections at most.
    for request in server.incoming_requests() {
        let site = site.clone();
        std::thread::spawn(move || answer(&site, request));
    }
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

fn answer(site: &Site, request: Request) {
    let sent = match page(site, &request) {
        Ok((body, kind)) => request.respond(with_headers(Response::from_data(body), &kind)),
        Err(error) => {
            let text = Response::from_string(format!("{error:#}\n")).with_status_code(404);
            request.respond(with_headers(text, "text/plain; charset=utf-8"))
        }
    };
    // A browser that closed the connection early has what it wants.
    let _ = sent;
}

fn with_headers<R: std::io::Read>(mut response: Response<R>, kind: &str) -> Response<R> {
    for (name, value) in [
        ("Content-Type", kind),
        ("Cache-Control", "no-cache"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ] {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}

fn page(site: &Site, request: &Request) -> anyhow::Result<Page> {
    if !matches!(request.method(), Method::Get | Method::Head) || !is_loopback(request) {
        bail!("not served");
    }
    let path = request.url().split(['?', '#']).next().unwrap_or_default();
    let path = percent_decode(path)?;
    let path = path.trim_start_matches('/');
    match path.split_once('/') {
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
    }
}

impl Site {
    fn about(&self) -> anyhow::Result<Vec<u8>> {
        let name = self.source.root.as_deref().and_then(Path::file_name);
        let name = name.map_or("library".into(), |name| name.to_string_lossy());
        Ok(serde_json::to_vec(&serde_json::json!({
            "name": name, "library": "library/", "model": "model/", "photos": "photos/", "thumbs": "thumbs/",
        }))?)
    }

    /// The file of a photo; only photos of the library are served, whatever lies beside them.
    fn photo(&self, path: &str) -> anyhow::Result<PathBuf> {
        self.library
            .get(path)
            .with_context(|| format!("no photo {path} in the library"))?;
        Ok(self.source.file(path))
    }
}

/// A page of another host that points its own name at 127.0.0.1 (DNS rebinding) must not read the photos.
fn is_loopback(request: &Request) -> bool {
    let host = request
        .headers()
        .iter()
        .find(|header| header.field.equiv("Host"));
    host.is_some_and(|host| {
        let host = host.value.as_str();
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
    name == MANIFEST || is_segment(name)
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
    Ok(image::thumbnail_jpeg(
        &image::decode(&bytes, &Limits::default())?,
        THUMB_SIDE,
    )?)
}
