//! A model's file from a hub, over HTTP: goes on where it was broken off, checked before it counts.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use photorecall::encoder::FileEntry;
use photorecall::image::hex;
use sha2::{Digest, Sha256};

use super::install::hash_file;

/// No byte for so long is a connection that broke.
const SILENCE: Duration = Duration::from_secs(60);

/// Fetches `url` to `path`; what has come so far lies beside it as `.part`.
pub fn fetch(url: &str, entry: &FileEntry, path: &Path, quiet: bool) -> anyhow::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut hash = Sha256::new();
    let mut have = if part.is_file() {
        hash_file(&part, &mut hash)?
    } else {
        0
    };
    if have > entry.bytes {
        (have, hash) = (0, Sha256::new());
    }
    if have < entry.bytes {
        let mut answer = ask(url, have)?;
        if answer.status() != 206 {
            (have, hash) = (0, Sha256::new());
        }
        let mut file = if have > 0 {
            OpenOptions::new().append(true).open(&part)
        } else {
            File::create(&part)
        }
        .with_context(|| part.display().to_string())?;
        let bar = bar(entry.bytes, have, path, quiet);
        have += copy(
            answer.body_mut().as_reader(),
            &mut file,
            entry.bytes - have,
            &mut hash,
            &bar,
        )
        .with_context(|| format!("{url} broke off; run it again to go on"))?;
        bar.finish_and_clear();
    }
    let found = hex(hash.finalize());
    if have < entry.bytes {
        bail!(
            "{url} ended after {have} of {} bytes; run it again to go on",
            entry.bytes
        );
    }
    if found != entry.sha256 {
        std::fs::remove_file(&part)?;
        bail!(
            "{url} is not the file that is known: SHA-256 {found}, expected {}; it was not kept",
            entry.sha256
        );
    }
    std::fs::rename(&part, path).with_context(|| path.display().to_string())
}

fn ask(url: &str, from: u64) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(SILENCE));
    let agent = config.build().new_agent();
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    let answer = request.call().with_context(|| {
        format!(
            "{url} cannot be reached; `photorecall model import` takes files that came another way"
        )
    })?;
    match answer.status().as_u16() {
        200 | 206 => Ok(answer),
        status => bail!("{url} answered {status}"),
    }
}

fn copy(
    mut from: impl Read,
    to: &mut File,
    most: u64,
    hash: &mut Sha256,
    bar: &ProgressBar,
) -> anyhow::Result<u64> {
    let (mut buffer, mut copied) = (vec![0; 1 << 16], 0);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            to.sync_all()?;
            return Ok(copied);
        }
        copied += read as u64;
        if copied > most {
            bail!("more bytes than the {most} that were left");
        }
        to.write_all(&buffer[..read])?;
        hash.update(&buffer[..read]);
        bar.inc(read as u64);
    }
}

fn bar(total: u64, have: u64, path: &Path, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{msg} {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    );
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    ProgressBar::new(total)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_position(have)
        .with_message(name)
}
