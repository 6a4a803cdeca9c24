//! Other programs: run, or made ready.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::paths;

/// Runs to the end, and tells how long it took; a failure names the command.
pub fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", line(command));
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("{} does not start", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    let program = command.get_program().to_string_lossy();
    eprintln!("  {program}: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// As [`run`], beside another command: what it says comes as a whole when it has ended.
pub fn run_apart(command: &mut Command) -> Result<()> {
    let start = Instant::now();
    let told = command
        .output()
        .with_context(|| format!("{} does not start", line(command)))?;
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "$ {}\n{}{}  {seconds:.0} s",
        line(command),
        String::from_utf8_lossy(&told.stdout),
        String::from_utf8_lossy(&told.stderr),
    );
    if !told.status.success() {
        bail!("{} ended with {}", line(command), told.status);
    }
    Ok(())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Cargo, at the repository's root: the one that a shell finds. `$CARGO` may name the same by another path, and
/// build scripts that look at it would run again, with all that depends on them.
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root());
    cargo
}

/// Installs what Rust needs to build for `target`, if it is not there: rustup does so by itself only where it is
/// not told otherwise.
pub fn rust_target(target: &str) -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]);
    let told = rustc.current_dir(paths::root()).output();
    let told = told.context("rustc does not start")?.stdout;
    if Path::new(String::from_utf8_lossy(&told).trim()).is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]);
    run(rustup.current_dir(paths::root()))
}

/// npm, in a folder.
pub fn npm(folder: &Path) -> Command {
    let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.current_dir(folder);
    npm
}

/// Installs what crate/npm's lock file names, once for each state of it.
pub fn npm_ci() -> Result<()> {
    let folder = paths::npm();
    let lock =
        std::fs::read(folder.join("package-lock.json")).context("crate/npm/package-lock.json")?;
    let stamp = folder.join("node_modules/.photorecall-lock");
    if std::fs::read(&stamp).is_ok_and(|done| done == lock) {
        return Ok(());
    }
    run(npm(&folder).args(["ci", "--no-audit", "--no-fund"]))?;
    std::fs::write(stamp, lock)?;
    Ok(())
}

/// Installs programs from npm, by name and version, into a folder of their own, once for each choice of them.
pub fn npm_install(folder: &Path, packages: &[&str]) -> Result<()> {
    let stamp = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("package.json"), r#"{ "private": true }"#)?;
    let quiet = [
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--ignore-scripts",
        "--loglevel=error",
    ];
    run(npm(folder).arg("install").args(quiet).args(packages))?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

/// The tests' Python environment in target/ with the packages of a requirements file; its python.
pub fn python(requirements: &Path) -> Result<PathBuf> {
    environment(&paths::target().join("python"), requirements)
}

/// A Python environment in `folder` with the packages of a requirements file; its python.
pub fn environment(folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let wanted = std::fs::read(requirements).with_context(|| requirements.display().to_string())?;
    let python = folder.join(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    });
    let stamp = folder.join("requirements.txt");
    if std::fs::read(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(folder))?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(requirements))?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}

/// Chromium: the one `$CHROMIUM` names, or Debian's, installed when it is missing.
pub fn chromium() -> Result<PathBuf> {
    browser("CHROMIUM", "chromium")
}

/// Firefox: the one `$FIREFOX` names, or Debian's, installed when it is missing.
pub fn firefox() -> Result<PathBuf> {
    browser("FIREFOX", "firefox-esr")
}

fn browser(variable: &str, package: &str) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Ok(named.into());
    }
    let debian = Path::new("/usr/bin").join(package);
    if !debian.exists() {
        debian_package(package)
            .with_context(|| format!("no {package}: install it, and name it in ${variable}"))?;
    }
    Ok(debian)
}

/// Installs a package of Debian's.
pub fn debian_package(name: &str) -> Result<()> {
    let apt = |args: &[&str]| {
        run(Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])?;
    apt(&["install", "-y", "-qq", "--no-install-recommends", name])
}

/// Two builds at once: each leaves a core free now and then, since most of what either compiles is one unit. What
/// the first one fails with comes first.
pub fn side_by_side<T>(
    first: impl FnOnce() -> Result<()> + Send,
    second: impl FnOnce() -> Result<T>,
) -> Result<T> {
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        first.join().expect("it returns its errors")?;
        second
    })
}
