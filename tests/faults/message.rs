//! Messages of HTTP/1.1 with a length, one to a connection; and what a client hears that may hear nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Heard {
    /// There was nobody to send it to.
    NotSent,
    /// It was sent, and the connection broke before there was a whole answer.
    Nothing,
    /// It was sent, and the patience is at an end; the answer may come yet.
    NotYet(Pending),
    Answer(Answer),
}

/// A connection on which an answer is to come.
#[derive(Debug)]
pub(crate) struct Pending {
    stream: TcpStream,
    read: Vec<u8>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request on a connection of its own, and waits so long for each part of the answer.
pub(crate) fn call(address: SocketAddr, request: &str, patience: Duration) -> Heard {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else { return Heard::NotSent };
    if stream.write_all(request.as_bytes()).is_err() {
        return Heard::NotSent;
    }
    Pending { stream, read: Vec::new() }.wait(patience)
}

/// Reads a message to its end; `None` if the connection ends first.
pub(crate) fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    read_on(stream, &mut bytes).is_ok().then_some(bytes)
}

/// Reads until the message is whole.
fn read_on(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while !whole(bytes) {
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => bytes.extend(&buffer[..count]),
        }
    }
    Ok(())
}

impl Pending {
    /// Waits so long for each further part of the answer.
    pub(crate) fn wait(mut self, patience: Duration) -> Heard {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        match read_on(&mut self.stream, &mut self.read) {
            Ok(()) => Answer::of(&self.read).map_or(Heard::Nothing, Heard::Answer),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Heard::NotYet(self)
            }
            Err(_) => Heard::Nothing,
        }
    }
}

fn whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = value(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    body.len() >= length
}

/// The value of a header.
fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

impl Answer {
    pub(crate) fn of(bytes: &[u8]) -> Option<Answer> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head: head.into(), body: body.into() })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        value(&self.head, name)
    }

    /// The cookie with the refresh token, as it is sent back.
    pub(crate) fn cookie(&self) -> Option<&str> {
        let set = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut cookies =
            set.filter(|(name, value)| name.eq_ignore_ascii_case("set-cookie") && value.contains("=rt_"));
        cookies.next().and_then(|(_, cookie)| cookie.split(';').next())
    }
}
