//! nginx as the one address of several nodes, where the machine has it.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::nginx::Nginx;

/// Stopped with this value.
pub(super) struct Balancer(Nginx);

impl Balancer {
    /// In front of these nodes, which have the requests in turn. `None`, and a word about it, where nginx is not installed.
    ///
    /// A node that takes no connection is passed over. A request that it may have taken is not repeated: that is the client's
    /// to do.
    pub(super) fn before(nodes: &[SocketAddr]) -> Option<Balancer> {
        let servers: String = nodes.iter().map(|node| format!("server {node} max_fails=0;\n")).collect();
        let http = |port| {
            format!(
                "upstream authflow {{\n{servers}}}\n\
                 server {{\nlisten 127.0.0.1:{port};\nlocation / {{\nproxy_pass http://authflow;\n\
                 proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_set_header Host $http_host;\n}}\n}}\n"
            )
        };
        Nginx::start(TempDir::new().unwrap(), http).map(Balancer)
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }
}
