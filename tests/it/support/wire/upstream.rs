//! The database's end of the wire.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use actix_web::http::Uri;

/// Where the database listens.
pub(super) enum Upstream {
    Unix(PathBuf),
    Tcp(String, u16),
}

/// A connection to it.
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Upstream {
    /// Where the URL leads, and the URL that leads to `detour` instead.
    pub(super) fn of(url: &str, detour: SocketAddr) -> (Upstream, String) {
        let (_, rest) = url.split_once("://").expect("a URL");
        let (authority, path) = rest.split_once('/').expect("a URL with a database");
        let database = path.split('?').next().unwrap();
        let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "5432"));
        let host = percent_decoded(host);
        let upstream = if host.starts_with('/') {
            Upstream::Unix(format!("{host}/.s.PGSQL.{port}").into())
        } else {
            Upstream::Tcp(host, port.parse().unwrap())
        };
        let url = format!("postgres://{user}@{detour}/{database}?sslmode=disable&gssencmode=disable");
        assert!(url.parse::<Uri>().is_ok(), "{url}");
        (upstream, url)
    }

    pub(super) fn connect(&self) -> io::Result<Stream> {
        match self {
            Upstream::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            Upstream::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port))?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

impl Stream {
    pub(super) fn try_clone(&self) -> io::Result<Stream> {
        match self {
            Stream::Unix(stream) => stream.try_clone().map(Stream::Unix),
            Stream::Tcp(stream) => stream.try_clone().map(Stream::Tcp),
        }
    }

    /// Ends the connection, for every clone of it. One that has ended already stays so.
    pub(super) fn cut(&self) {
        let _ = match self {
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(buffer),
            Stream::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        decoded.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        decoded.push_str(&part[2..]);
    }
    decoded
}
