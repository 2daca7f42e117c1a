//! nginx as the one address of several nodes, where the machine has it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::PATIENCE;

/// Stopped with this value.
pub(super) struct Balancer {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Balancer {
    /// In front of these nodes, which have the requests in turn. `None`, and a word about it, where nginx is not installed.
    pub(super) fn before(nodes: &[SocketAddr]) -> Option<Balancer> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        let Some(program) = folders.map(|folder| folder.join("nginx")).find(|program| program.is_file())
        else {
            // Not by `eprintln!`, which is not shown for tests that pass.
            let _ = writeln!(std::io::stderr(), "left out: nginx is not installed");
            return None;
        };
        let folder = TempDir::new().unwrap();
        // Somebody else may take the port before nginx does.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            fs::write(folder.path().join("nginx.conf"), settings(folder.path(), port, nodes)).unwrap();
            if let Some(process) = start(&program, folder.path(), port) {
                return Some(Balancer { process, port, _folder: folder });
            }
        }
        panic!("{}", fs::read_to_string(folder.path().join("error.log")).unwrap_or_default())
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A node that takes no connection is passed over. A request that it may have taken is not repeated: that is the client's
/// to do.
fn settings(folder: &Path, port: u16, nodes: &[SocketAddr]) -> String {
    let folder = folder.display();
    let mut temporary = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(temporary, "{kind}_temp_path {folder}/{kind};").unwrap();
    }
    let servers: String = nodes.iter().map(|node| format!("server {node} max_fails=0;\n")).collect();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}upstream authflow {{\n{servers}}}\n\
         server {{\nlisten 127.0.0.1:{port};\nlocation / {{\nproxy_pass http://authflow;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_set_header Host $http_host;\n}}\n}}\n}}\n"
    )
}

/// `None` if it ended instead of listening.
fn start(program: &Path, folder: &Path, port: u16) -> Option<Child> {
    let mut command = Command::new(program);
    command.arg("-p").arg(folder).arg("-e").arg(folder.join("error.log"));
    command.arg("-c").arg(folder.join("nginx.conf"));
    let mut process = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(Instant::now() < deadline, "nginx does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(process)
}
