//! Bodies that are too long, come in pieces, or never come to their end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::{Connection, Request};
use crate::support::{PASSWORD, PATIENCE, TestApp};

const MOST: usize = 16 * 1024;

/// Genuine credentials in a body of exactly so many bytes.
fn padded(email: &str, bytes: usize) -> String {
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    format!("{body}{}", " ".repeat(bytes - body.len()))
}

fn chunked(body: &str, size: usize) -> Request {
    let chunks = body.as_bytes().chunks(size);
    let chunks = chunks.map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)));
    let request = Request::new("POST", "/auth/register").header("Content-Type", "application/json");
    request.header("Transfer-Encoding", "chunked").body(chunks.collect::<String>() + "0\r\n\r\n")
}

#[actix_web::test]
async fn a_body_has_at_most_16_kib() {
    let app = TestApp::start().await;
    let send = |request: Request| Connection::to(&app).send(&request);
    send(Request::post("/auth/register", padded("alice@example.com", MOST))).expect(201);
    send(chunked(&padded("bob@example.com", MOST), 1000)).expect(201);
    let before = app.db_snapshot();
    for bytes in [MOST + 1, MOST + 2, 4 * MOST, 2 << 20] {
        let body = padded("carol@example.com", bytes);
        for route in ["/auth/register", "/auth/login", "/auth/refresh", "/auth/logout"] {
            send(Request::post(route, &body)).problem(413, "payload_too_large").without_cookie();
        }
        send(chunked(&body, 1000)).problem(413, "payload_too_large");
        send(chunked(&body, bytes)).problem(413, "payload_too_large");
    }
    // A length that is only claimed is enough to be refused, without waiting for the rest.
    for claimed in ["16385", "1000000000", "18446744073709551615"] {
        let request = Request::post("/auth/register", "{}").header("Content-Length", claimed);
        send(request).problem(413, "payload_too_large");
    }
    assert_eq!(app.db_snapshot(), before);
}

/// What comes after a refusal is either answered or cut off, but never taken for something else.
#[actix_web::test]
async fn a_refused_body_is_not_read_as_the_next_request() {
    let app = TestApp::start().await;
    let smuggled = "GET /auth/.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n";
    let body = format!("{}{smuggled}", " ".repeat(MOST));
    for request in
        [Request::post("/auth/login", &body), Request::post("/auth/login", &body).without("Content-Type")]
    {
        let mut connection = Connection::to(&app);
        let first = connection.send(&request);
        assert!(matches!(first.status, 413 | 415), "{first:?}");
        // Closed, or in step: no answer to what stands in the body.
        if let Some(next) = connection.try_send(&Request::get("/auth/me")) {
            next.problem(401, "unauthorized");
        }
    }
}

#[actix_web::test]
async fn contradictory_lengths_are_refused() {
    let app = TestApp::start().await;
    let before = app.db_snapshot();
    let request = || Request::post("/auth/login", "{}");
    for request in [
        request().header("Content-Length", "2").header("Content-Length", "5"),
        request().header("Content-Length", "-2"),
        request().header("Content-Length", "+2"),
        request().header("Content-Length", "2, 2"),
        request().header("Content-Length", "0x2"),
        request().header("Content-Length", "99999999999999999999"),
        request().header("Content-Length", "2").header("Transfer-Encoding", "chunked"),
        request().header("Transfer-Encoding", "gzip"),
        request().header("Transfer-Encoding", "chunked").body("zz\r\n{}\r\n0\r\n\r\n"),
        request().header("Transfer-Encoding", "chunked").body("ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
    ] {
        let reply = Connection::to(&app).try_send(&request);
        assert!(reply.as_ref().is_none_or(|reply| reply.status == 400), "{request:?} {reply:?}");
    }
    assert_eq!(app.db_snapshot(), before);
}

#[actix_web::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let app = TestApp::start().await;
    let head = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let by_length = "Content-Length: 20\r\n\r\n{\"email\":";
    let in_chunks = "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"email\":\r\n";
    let stalled = [by_length, in_chunks].map(|part| {
        let mut stream = TcpStream::connect(app.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE * 3)).unwrap();
        stream.write_all(format!("{head}{part}").as_bytes()).unwrap();
        stream
    });
    for mut stream in stalled {
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("invalid_request"), "{answer}");
    }
}

#[actix_web::test]
async fn a_body_that_ends_early_changes_nothing() {
    let app = TestApp::start().await;
    let before = app.db_snapshot();
    let body = json!({ "email": "alice@example.com", "password": PASSWORD }).to_string();
    let length = body.len();
    let head = "POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for request in [
        format!("{head}Content-Length: {}\r\n\r\n{body}", length + 1),
        format!("{head}Content-Length: {length}\r\n\r\n{}", &body[..length - 1]),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{}", &body[..length - 1]),
        format!("{head}Content-Length: {length}\r\n\r\n"),
        format!("{head}Content-Le"),
    ] {
        let mut stream = TcpStream::connect(app.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{request} {answer}");
    }
    // Whatever the server still does for a client that is gone.
    actix_web::rt::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(app.db_snapshot(), before);
    Connection::to(&app).send(&Request::post("/auth/register", body)).expect(201);
}
