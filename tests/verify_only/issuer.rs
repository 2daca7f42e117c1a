//! An issuer for tests: keys, tokens, and a server that answers as it is told and counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const ISSUER: &str = "https://login.example.com";
pub(crate) const AUDIENCE: &str = "my-api";

/// A signing key under a name.
pub(crate) struct Key {
    pub(crate) kid: String,
    pair: Ed25519KeyPair,
}

impl Key {
    pub(crate) fn new(kid: &str) -> Key {
        Key { kid: kid.to_owned(), pair: Ed25519KeyPair::generate().unwrap() }
    }

    pub(crate) fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": x})
    }

    /// A valid token.
    pub(crate) fn token(&self) -> String {
        self.sign(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid}), AUDIENCE)
    }

    /// A token with any header.
    pub(crate) fn sign(&self, header: &Value, audience: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": ISSUER, "aud": audience, "sub": Uuid::now_v7(), "client_id": "c", "sid": Uuid::now_v7(),
            "jti": Uuid::new_v4(), "iat": now, "exp": now + 300, "auth_time": now, "roles": [],
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(&claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What the server answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, then one space in a while, for ever.
    Drip(&'static str),
}

impl Answer {
    pub(crate) fn keys(keys: &[&Key]) -> Answer {
        Answer::json(&json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }).to_string())
    }

    pub(crate) fn json(body: &str) -> Answer {
        Answer::with("200 OK", "Content-Type: application/json\r\n", body)
    }

    /// A head without an end.
    pub(crate) fn never() -> Answer {
        Answer::Drip("HTTP/1.1 200 OK\r\nX-Padding: ")
    }

    /// `headers` are whole lines.
    pub(crate) fn with(status: &str, headers: &str, body: &str) -> Answer {
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        Answer::Bytes(format!("{head}{headers}\r\n{body}").into())
    }
}

/// A server on loopback, until the process ends.
pub(crate) struct Server {
    address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn new(answer: Answer) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, requests) = (Arc::new(Mutex::new(answer)), Arc::new(AtomicUsize::new(0)));
        let server = Server { address, answer: Arc::clone(&answer), requests: Arc::clone(&requests) };
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (answer, requests) = (Arc::clone(&answer), Arc::clone(&requests));
                thread::spawn(move || serve(connection.unwrap(), &answer, &requests));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/auth/.well-known/jwks.json", self.address)
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut connection: TcpStream, answer: &Mutex<Answer>, requests: &AtomicUsize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match connection.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let answer = answer.lock().unwrap().clone();
    requests.fetch_add(1, Ordering::SeqCst);
    match answer {
        Answer::Bytes(bytes) => drop(connection.write_all(&bytes)),
        Answer::Drip(text) => {
            let mut sent = connection.write_all(text.as_bytes());
            while sent.is_ok() {
                thread::sleep(Duration::from_millis(100));
                sent = connection.write_all(b" ");
            }
        }
    }
}
