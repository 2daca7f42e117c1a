//! HTTP/1.1 by hand on one connection: what is sent is what stands in the test, and the connection must survive it.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::support::{PATIENCE, TestApp};

/// A request, in which everything can be wrong.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

/// An answer, read to its end.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A connection that is used again and again.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Request {
        Request { method: method.into(), path: path.into(), headers: Vec::new(), body: None }
    }

    /// A `POST` of a JSON text.
    pub(crate) fn post(path: &str, json: impl fmt::Display) -> Request {
        Request::new("POST", path).header("Content-Type", "application/json").body(json.to_string())
    }

    pub(crate) fn get(path: &str) -> Request {
        Request::new("GET", path)
    }

    /// One more header, whether or not there is one of this name.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Request {
        self.headers.push((name.into(), value.as_ref().into()));
        self
    }

    /// Lines of the form `name: value`.
    pub(crate) fn lines(self, lines: &[&str]) -> Request {
        lines.iter().fold(self, |request, line| {
            let (name, value) = line.split_once(": ").unwrap();
            request.header(name, value)
        })
    }

    pub(crate) fn without(mut self, name: &str) -> Request {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Request {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// The body, with its length unless a length or a transfer coding is given by hand.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self
    }

    /// What is sent under this name, once or more often.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let own = self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        own.map(|(_, value)| value.as_slice())
    }

    /// The body that is sent; null if it is no JSON.
    pub(crate) fn json(&self) -> Value {
        self.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        let mut headers = self.headers.clone();
        if !self.has("Host") {
            headers.insert(0, ("Host".into(), host.to_string().into()));
        }
        if let Some(body) = &self.body
            && !self.has("Content-Length")
            && !self.has("Transfer-Encoding")
        {
            headers.push(("Content-Length".into(), body.len().to_string().into()));
        }
        for (name, value) in headers {
            bytes.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(self.body.iter().flatten());
        bytes
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes(SocketAddr::from(([127, 0, 0, 1], 0)));
        write!(f, "{:.600}", String::from_utf8_lossy(&bytes))
    }
}

impl Connection {
    pub(crate) fn to(app: &TestApp) -> Connection {
        Connection::to_address(app.address())
    }

    pub(crate) fn to_address(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Connection { stream, read: Vec::new() }
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub(crate) fn send(&mut self, request: &Request) -> Reply {
        self.try_send(request).unwrap_or_else(|| panic!("no answer to {request:?}"))
    }

    /// As [`send`](Self::send); `None` if the server closed the connection instead.
    pub(crate) fn try_send(&mut self, request: &Request) -> Option<Reply> {
        let bytes = request.bytes(self.stream.peer_addr().ok()?);
        // A server may refuse a request before it has read all of it.
        let _ = self.stream.write_all(&bytes);
        self.reply(request.method == "HEAD")
    }

    fn reply(&mut self, without_body: bool) -> Option<Reply> {
        let head = loop {
            match self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break String::from_utf8(self.read.drain(..end + 4).collect()).unwrap(),
                None => self.read_more()?,
            }
        };
        let mut lines = head.trim_end().lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, length)| length.parse().unwrap());
        let length = if without_body || status == 204 { 0 } else { length };
        while self.read.len() < length {
            self.read_more()?;
        }
        let body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        Some(Reply { status, headers, body })
    }

    /// Every answer of the scope has a length, so more than the length of it is the next one.
    fn read_more(&mut self) -> Option<()> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => {
                    self.read.extend(&buffer[..count]);
                    return Some(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the server does not answer: {error}"),
            }
        }
    }
}

impl Reply {
    /// A header's value; empty if there is none.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(known, _)| known == &name.to_ascii_lowercase());
        let first = values.next().map_or("", |(_, value)| value);
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        first
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Asserts that this is the error of this status and code, in the promised form and without a word of anybody else's.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Reply {
        let json = self.json();
        assert_eq!((self.status, json["code"].as_str()), (status, Some(code)), "{self:?}");
        let mut members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        // Why a session has ended, where a genuine refresh token of it asks.
        if ["session_revoked", "refresh_token_expired", "refresh_token_reused"].contains(&code) {
            members.retain(|member| *member != "reason");
        }
        assert_eq!(members, ["code", "detail", "status", "title", "type"], "{self:?}");
        assert_eq!(json["status"], status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        let text = self.body.to_lowercase();
        for word in
            ["serde", "diesel", "postgres", "sql", "panick", "line 1", "column", "expected", "src/", "actix_"]
        {
            assert!(!text.contains(word), "{word} in {self:?}");
        }
        self
    }

    /// Asserts that the answer neither sets a cookie nor removes one.
    #[track_caller]
    pub(crate) fn without_cookie(self) -> Reply {
        assert_eq!(self.header("set-cookie"), "", "{self:?}");
        self
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        self.headers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))?;
        write!(f, "{}", self.body)
    }
}
