//! HTTP/1.1 by hand, for what no client library would send.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{PATIENCE, TestApp};

/// Sends the bytes as they are and answers with all that came back until the server closed the connection. The request
/// should therefore say `Connection: close`.
pub(crate) fn raw(app: &TestApp, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(app.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes.as_ref()).unwrap();
    let mut answer = Vec::new();
    // A server that refuses the request may close the connection before it has read everything.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
