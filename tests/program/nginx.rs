//! nginx, in front of whatever it is told to be in front of.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::installed::{Running, installed};

/// Stopped with this value.
pub(crate) struct Nginx {
    _process: Running,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

impl Nginx {
    /// In this folder. `http` gives what stands in the block of that name, for a free port of 127.0.0.1. `None`, and a word
    /// about it, where nginx is not installed.
    pub(crate) fn start(folder: TempDir, http: impl Fn(u16) -> String) -> Option<Nginx> {
        let program = installed("nginx")?;
        // Somebody else may take the port before nginx does.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            fs::write(folder.path().join("nginx.conf"), settings(folder.path(), &http(port))).unwrap();
            if let Some(process) = start(&program, folder.path(), port) {
                return Some(Nginx { _process: Running(process), port, folder });
            }
        }
        panic!("{}", fs::read_to_string(folder.path().join("error.log")).unwrap_or_default())
    }
}

fn settings(folder: &Path, http: &str) -> String {
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {folder}/{name};\n")).concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{http}}}\n"
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
