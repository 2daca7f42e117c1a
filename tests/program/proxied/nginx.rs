//! nginx with TLS, in front of the program, where the machine has it.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::support::PATIENCE;

/// What the manual recommends.
pub(crate) const RECOMMENDED: &str = include_str!("../../../docs/nginx/authflow.conf");
/// From where it connects to the program: not the address of the client, which is on this machine as well.
pub(crate) const ADDRESS: &str = "127.0.0.9";

/// nginx, stopped with this value.
pub(crate) struct Nginx {
    process: Child,
    folder: TempDir,
    pub(crate) port: u16,
}

impl Nginx {
    /// In front of the program at `upstream`, as the manual recommends, with these changes: each is a text of it and what
    /// stands in its place. `None`, and a word about it, where nginx is not installed.
    pub(crate) fn before(upstream: SocketAddr, changes: &[(&str, &str)]) -> Option<Nginx> {
        let Some(program) = program() else {
            // Not by `eprintln!`, which is not shown for tests that pass.
            let _ = writeln!(std::io::stderr(), "left out: nginx is not installed");
            return None;
        };
        let mut location = RECOMMENDED.replace("127.0.0.1:8080", &upstream.to_string());
        for (text, instead) in changes {
            assert!(location.contains(text), "{text}");
            location = location.replace(text, instead);
        }
        let folder = TempDir::new().unwrap();
        certify(folder.path());
        // Somebody else may take the port before nginx does.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            fs::write(folder.path().join("nginx.conf"), settings(folder.path(), port, &location)).unwrap();
            if let Some(process) = start(&program, folder.path(), port) {
                return Some(Nginx { process, folder, port });
            }
        }
        panic!("{}", fs::read_to_string(folder.path().join("error.log")).unwrap_or_default())
    }

    /// The scope, as clients know it.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/auth", self.port)
    }

    /// The certificate of the authority that nobody but the test trusts.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join("nginx")).find(|program| program.is_file())
}

/// An authority, and a certificate of it for `localhost`.
fn certify(folder: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Another name than that of the certificates: with the same, one of these would be its own issuer.
    authority.distinguished_name.push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    for (name, text) in [
        ("authority.pem", authority.pem()),
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn settings(folder: &Path, port: u16, location: &str) -> String {
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.map(|name| format!("{name}_temp_path {folder}/{name};\n")).concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\nhttp {{\n\
         access_log off;\n{temporary}proxy_cache_path {folder}/cache keys_zone=answers:1m;\nproxy_bind {ADDRESS};\n\
         server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {folder}/server.pem;\n\
         ssl_certificate_key {folder}/server.key;\n{location}\n}}\n}}\n"
    )
}

/// `None` if it ended instead of listening.
fn start(program: &Path, folder: &Path, port: u16) -> Option<Child> {
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(folder)
        .arg("-e")
        .arg(folder.join("error.log"))
        .arg("-c")
        .arg(folder.join("nginx.conf"));
    let mut process = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        assert!(Instant::now() < deadline, "nginx does not listen");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Some(process)
}
