//! nginx with TLS, in front of the program, where the machine has it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::nginx;

/// What the manual recommends.
pub(crate) const RECOMMENDED: &str = include_str!("../../../docs/nginx/authflow.conf");
/// From where it connects to the program: not the address of the client, which is on this machine as well.
pub(crate) const ADDRESS: &str = "127.0.0.9";

/// nginx, stopped with this value.
pub(crate) struct Nginx(nginx::Nginx);

impl Nginx {
    /// In front of the program at `upstream`, as the manual recommends, with these changes: each is a text of it and what
    /// stands in its place. `None`, and a word about it, where nginx is not installed.
    pub(crate) fn before(upstream: SocketAddr, changes: &[(&str, &str)]) -> Option<Nginx> {
        let mut location = RECOMMENDED.replace("127.0.0.1:8080", &upstream.to_string());
        for (text, instead) in changes {
            assert!(location.contains(text), "{text}");
            location = location.replace(text, instead);
        }
        let folder = TempDir::new().unwrap();
        certify(folder.path());
        let own = folder.path().display().to_string();
        nginx::Nginx::start(folder, |port| http(&own, port, &location)).map(Nginx)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    /// The scope, as clients know it.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}/auth", self.port())
    }

    /// The certificate of the authority that nobody but the test trusts.
    pub(crate) fn authority(&self) -> PathBuf {
        self.0.folder.path().join("authority.pem")
    }
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

fn http(folder: &str, port: u16, location: &str) -> String {
    format!(
        "proxy_cache_path {folder}/cache keys_zone=answers:1m;\nproxy_bind {ADDRESS};\n\
         server {{\nlisten 127.0.0.1:{port} ssl;\nssl_certificate {folder}/server.pem;\n\
         ssl_certificate_key {folder}/server.key;\n{location}\n}}\n"
    )
}
