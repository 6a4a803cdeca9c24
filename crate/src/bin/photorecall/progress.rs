//! The progress bar, and the flag that Ctrl-C raises.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar on stderr with rate and time left; silent when asked or when stderr is no terminal.
pub fn bar(total: u64, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{bar:30} {pos}/{len} photos, {per_sec}, {eta} left {wide_msg:.dim}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Raised by Ctrl-C (or SIGTERM): finish the photo at hand, commit, stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that the first signal raises; the second one ends the process at once.
    pub fn on_signal() -> anyhow::Result<Self> {
        let stop = Self::default();
        let raised = stop.0.clone();
        ctrlc::set_handler(move || {
            if raised.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("stopping: what is done will be kept (once more to stop at once)");
        })
        .context("no handler for Ctrl-C")?;
        Ok(stop)
    }

    pub fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
