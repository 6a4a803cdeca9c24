//! Milvus servers that are started, killed and started again.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that was killed reads its log first: about a minute.
pub const START_LIMIT: Duration = Duration::from_secs(240);

/// A server that can be killed.
pub struct Server {
    program: PathBuf,
    pub is_lite: bool,
    data: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Server {
    /// The server that a variable of the environment names.
    pub fn of(variable: &str) -> Option<Self> {
        let Some(program) = std::env::var_os(variable).map(PathBuf::from) else {
            println!("NOT RUN: {variable} names no server (cargo xtask test-milvus does)");
            return None;
        };
        let data = tempfile::tempdir().expect("a temporary folder");
        let is_lite = variable.ends_with("LITE");
        let port = free_port();
        let child = launch(&program, is_lite, data.path(), port);
        let mut server = Self {
            program,
            is_lite,
            data,
            child,
            port,
        };
        server.wait();
        Some(server)
    }

    pub fn uri(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn kill(&mut self) {
        // The server is a child of the program that was started.
        let group = format!("-{}", self.child.id());
        // It fails where nothing is left of them.
        let _ = Command::new("kill")
            .args(["-9", "--", &group])
            .stderr(Stdio::null())
            .status();
        self.child.wait().expect("a child");
    }

    pub fn restart(&mut self) {
        self.child = launch(&self.program, self.is_lite, self.data.path(), self.port);
        self.wait();
    }

    /// Waits until it takes connections; where, it may choose anew at each start.
    fn wait(&mut self) {
        let start = Instant::now();
        loop {
            if !self.is_lite {
                self.port = self.configured_port().unwrap_or(self.port);
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            assert!(start.elapsed() < START_LIMIT, "the server does not start");
            if self.child.try_wait().expect("a child").is_some() {
                let said = std::fs::read_to_string(said(self.data.path()));
                panic!("it ended: {}", said.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn configured_port(&self) -> Option<u16> {
        let config = std::fs::read_to_string(self.data.path().join("configs/milvus.yaml")).ok()?;
        let proxy = config.lines().skip_while(|line| *line != "proxy:");
        let port = proxy
            .filter_map(|line| line.strip_prefix("  port:"))
            .next()?;
        port.split('#').next()?.trim().parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(said(self.data.path()));
    }
}

fn launch(program: &Path, is_lite: bool, data: &Path, port: u16) -> Child {
    let mut command = Command::new(program);
    let port = port.to_string();
    if is_lite {
        command.args([
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--data-dir",
        ]);
        command.arg(data);
    } else {
        command.args(["--proxy-port", &port, "--data"]).arg(data);
    }
    let log = File::create(said(data)).expect("writable");
    command.stdout(Stdio::null()).stderr(log);
    command.process_group(0).spawn().expect("the server starts")
}

/// Where a server's complaints go: beside its data.
fn said(data: &Path) -> PathBuf {
    data.with_extension("log")
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("bound").port()
}
