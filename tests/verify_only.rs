//! A service that only verifies, by keys that it fetches. Needs neither the issuer nor a database.
#![cfg(feature = "jwks-fetch")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests is a test too")]

#[path = "verify_only/issuer.rs"]
mod issuer;

use std::thread;
use std::time::{Duration, Instant};

use actix_authflow::{Authenticated, Guard, JwksError, TokenRefused, Verifier};
use actix_web::{App, test, web};
use serde_json::{Value, json};

use crate::issuer::{AUDIENCE, Answer, ISSUER, Key, Server};

async fn verifier(server: &Server) -> Result<Verifier, JwksError> {
    Verifier::from_jwks_url(&server.url(), ISSUER, AUDIENCE).await
}

/// How long a test waits for what should take a moment.
const PATIENCE: Duration = Duration::from_secs(30);

#[track_caller]
fn eventually(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Long enough for a fetch on loopback that should not happen.
fn a_moment() {
    thread::sleep(Duration::from_millis(300));
}

/// What an issuer, or something in its place, may answer instead of a key set.
fn useless_answers(good: &Key) -> Vec<(&'static str, Answer)> {
    let (jwk, other) = (good.jwk(), Key::new("other").jwk());
    let but = |member: &str, value: Value| {
        let mut bad = other.clone();
        bad[member] = value;
        Answer::json(&json!({ "keys": [jwk, bad] }).to_string())
    };
    let too_large = json!({ "keys": [other], "padding": "x".repeat(64 * 1024) }).to_string();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let endless = format!("{chunked}{}", format!("1000\r\n{}\r\n", " ".repeat(0x1000)).repeat(20));
    let long_head = format!("X-Padding: {}\r\n", "x".repeat(20_000));
    vec![
        ("500", Answer::with("500 Internal Server Error", "", &json!({ "keys": [other] }).to_string())),
        ("404", Answer::with("404 Not Found", "", "")),
        ("204", Answer::with("204 No Content", "", "")),
        (
            "HTML",
            Answer::with("200 OK", "Content-Type: text/html\r\n", "<!doctype html><title>Log in</title>"),
        ),
        ("nothing", Answer::json("")),
        ("half a document", Answer::json(&json!({ "keys": [other] }).to_string()[..60])),
        ("no keys", Answer::json(r#"{"keys":[]}"#)),
        ("another object", Answer::json(r#"{"error":"oops"}"#)),
        ("a broken key beside a good one", but("x", "AAAA".into())),
        ("an HMAC key beside a good one", but("kty", "oct".into())),
        ("a private key", but("d", "AAAA".into())),
        ("one key id twice", but("kid", good.kid.clone().into())),
        ("a key for encryption", but("use", "enc".into())),
        ("too large", Answer::json(&too_large)),
        ("too large, of unknown length", Answer::Bytes(endless.into())),
        ("a head too large", Answer::with("200 OK", &long_head, &json!({ "keys": [other] }).to_string())),
        ("no HTTP", Answer::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
        ("hung up", Answer::Bytes(Vec::new())),
    ]
}

#[actix_web::test]
async fn tokens_signed_by_a_published_key_are_accepted() {
    let (one, two) = (Key::new("one"), Key::new("two"));
    let server = Server::new(Answer::keys(&[&one, &two]));
    let verifier = verifier(&server).await.unwrap();
    for key in [&one, &two] {
        assert!(verifier.verify(&key.token()).is_ok());
    }
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "one"});
    assert_eq!(verifier.verify(&one.sign(&header, "another-api")), Err(TokenRefused::Invalid));
    assert_eq!(verifier.verify(&two.sign(&header, AUDIENCE)), Err(TokenRefused::Invalid));
    assert_eq!(server.requests(), 1);
}

#[actix_web::test]
async fn a_thousand_unknown_keys_lead_to_one_fetch() {
    let server = Server::new(Answer::keys(&[&Key::new("known")]));
    let verifier = verifier(&server).await.unwrap();
    for batch in 0..10 {
        for n in 0..100 {
            assert!(verifier.verify(&Key::new(&format!("unknown-{batch}-{n}")).token()).is_err());
        }
        // Time for a fetch, so that the next could follow.
        thread::sleep(Duration::from_millis(50));
    }
    eventually(|| server.requests() == 2);
    a_moment();
    assert_eq!(server.requests(), 2);
}

#[actix_web::test]
async fn nobody_waits_for_a_fetch_that_hangs() {
    let known = Key::new("known");
    let server = Server::new(Answer::keys(&[&known]));
    let verifier = verifier(&server).await.unwrap();
    server.answer(Answer::never());
    let unknown: Vec<_> = (0..1000).map(|n| Key::new(&format!("unknown-{n}")).token()).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for tokens in unknown.chunks(250) {
            let verifier = &verifier;
            scope.spawn(move || tokens.iter().for_each(|token| assert!(verifier.verify(token).is_err())));
        }
    });
    eventually(|| server.requests() == 2);
    assert!(verifier.verify(&known.token()).is_ok());
    assert!(start.elapsed() < Duration::from_secs(3), "a verification waited for the fetch");
}

#[actix_web::test]
async fn a_rotation_is_picked_up() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let server = Server::new(Answer::keys(&[&old]));
    let verifier = verifier(&server).await.unwrap();
    server.answer(Answer::keys(&[&new]));
    let (former, token) = (old.token(), new.token());
    assert!(verifier.verify(&former).is_ok());
    assert_eq!(verifier.verify(&token), Err(TokenRefused::Invalid), "at first");
    eventually(|| verifier.verify(&token).is_ok());
    assert_eq!(verifier.verify(&former), Err(TokenRefused::Invalid), "its key was taken back");
    assert_eq!(server.requests(), 2);
}

#[actix_web::test]
async fn useless_answers_are_errors_at_the_start() {
    let key = Key::new("key");
    for (what, answer) in useless_answers(&key) {
        let server = Server::new(answer);
        let error = verifier(&server).await.err().unwrap_or_else(|| panic!("{what} was taken"));
        assert!(error.to_string().contains(&server.url()), "{what}: {error}");
        assert_eq!(server.requests(), 1, "{what}");
    }
}

#[actix_web::test]
async fn useless_answers_later_leave_the_keys() {
    let (key, new) = (Key::new("key"), Key::new("new"));
    for (what, answer) in useless_answers(&key) {
        let server = Server::new(Answer::keys(&[&key]));
        let verifier = verifier(&server).await.unwrap();
        server.answer(answer);
        assert!(verifier.verify(&new.token()).is_err());
        eventually(|| server.requests() == 2);
        a_moment();
        assert!(verifier.verify(&key.token()).is_ok(), "{what}");
        assert!(verifier.verify(&Key::new("other").token()).is_err(), "{what}");
    }
}

#[actix_web::test]
async fn the_largest_document_has_64_kib() {
    let key = Key::new("key");
    let frame = json!({ "keys": [key.jwk()], "padding": "" }).to_string().len();
    for (bytes, taken) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let document = json!({ "keys": [key.jwk()], "padding": "x".repeat(bytes - frame) }).to_string();
        let server = Server::new(Answer::json(&document));
        assert_eq!(verifier(&server).await.is_ok(), taken, "{bytes}");
    }
}

#[actix_web::test]
async fn redirects_are_not_followed() {
    let (key, attacker) = (Key::new("key"), Key::new("attacker"));
    let elsewhere = Server::new(Answer::keys(&[&attacker]));
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"]
    {
        let redirect = Answer::with(status, &format!("Location: {}\r\n", elsewhere.url()), "");
        let server = Server::new(redirect.clone());
        let error = verifier(&server).await.err().unwrap().to_string();
        assert!(error.contains("redirects are not followed"), "{error}");

        server.answer(Answer::keys(&[&key]));
        let verifier = verifier(&server).await.unwrap();
        server.answer(redirect);
        assert!(verifier.verify(&attacker.token()).is_err());
        eventually(|| server.requests() == 3);
        a_moment();
        assert!(verifier.verify(&key.token()).is_ok() && verifier.verify(&attacker.token()).is_err());
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[actix_web::test]
async fn an_issuer_that_never_finishes_is_given_up() {
    let body = Answer::Drip("HTTP/1.1 200 OK\r\n\r\n");
    for answer in [Answer::never(), body] {
        let server = Server::new(answer);
        let start = Instant::now();
        assert!(matches!(verifier(&server).await, Err(JwksError::Fetch { .. })));
        assert!((4..50).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }
}

#[actix_web::test]
async fn an_issuer_that_is_not_there_is_an_error_that_says_so() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}/jwks.json?secret=hunter2");
    let error = Verifier::from_jwks_url(&url, ISSUER, AUDIENCE).await.err().unwrap().to_string();
    assert!(error.contains(&format!("http://{free}/jwks.json cannot be fetched")), "{error}");
    assert!(!error.contains("hunter2"));
}

#[actix_web::test]
async fn plain_http_is_refused_off_loopback_before_anything_is_sent() {
    for url in
        ["http://login.example.com/jwks.json", "http://192.0.2.1/jwks.json", "ftp://127.0.0.1/jwks.json"]
    {
        let start = Instant::now();
        let refused = Verifier::from_jwks_url(url, ISSUER, AUDIENCE).await;
        assert!(matches!(refused, Err(JwksError::Url(_))), "{url}");
        assert!(start.elapsed() < Duration::from_secs(1), "{url}");
    }
}

#[actix_web::test]
async fn nothing_that_a_token_points_at_is_fetched() {
    let (key, attacker) = (Key::new("key"), Key::new("attacker"));
    let server = Server::new(Answer::keys(&[&key]));
    let elsewhere = Server::new(Answer::keys(&[&attacker]));
    let verifier = verifier(&server).await.unwrap();
    for (member, value) in [
        ("jku", json!(elsewhere.url())),
        ("x5u", json!(elsewhere.url())),
        ("jwk", attacker.jwk()),
        ("x5c", json!(["AAAA"])),
        ("iss", json!(elsewhere.url())),
    ] {
        for kid in ["key", "attacker"] {
            let mut header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid});
            header[member] = value.clone();
            assert_eq!(
                verifier.verify(&attacker.sign(&header, AUDIENCE)),
                Err(TokenRefused::Invalid),
                "{member}"
            );
        }
    }
    a_moment();
    assert_eq!((elsewhere.requests(), server.requests()), (0, 1));
}

#[actix_web::test]
async fn tokens_that_could_not_be_valid_anyway_fetch_nothing() {
    let key = Key::new("key");
    let server = Server::new(Answer::keys(&[&key]));
    let verifier = verifier(&server).await.unwrap();
    let unknown = Key::new("unknown");
    for token in [
        "nonsense".to_owned(),
        unknown.sign(&json!({"alg": "EdDSA", "typ": "JWT", "kid": "unknown"}), AUDIENCE),
        unknown.sign(&json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "x".repeat(257)}), AUDIENCE),
        unknown.sign(&json!({"alg": "EdDSA", "typ": "at+jwt"}), AUDIENCE),
        Key::new("key").token(),
    ] {
        assert!(verifier.verify(&token).is_err());
    }
    a_moment();
    assert_eq!(server.requests(), 1);
}

#[actix_web::test]
async fn a_guard_answers_at_once_and_lets_the_new_key_in_a_moment_later() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let server = Server::new(Answer::keys(&[&old]));
    let guard = Guard::new(verifier(&server).await.unwrap());
    let me = web::get().to(async |user: Authenticated| user.id().to_string());
    let app = test::init_service(App::new().service(web::scope("/api").wrap(guard).route("/me", me))).await;
    let call = async |token: &str| {
        let request = test::TestRequest::get()
            .uri("/api/me")
            .insert_header(("Authorization", format!("Bearer {token}")));
        match test::try_call_service(&app, request.to_request()).await {
            Ok(response) => response.status().as_u16(),
            Err(error) => error.as_response_error().status_code().as_u16(),
        }
    };
    assert_eq!(call(&old.token()).await, 200);
    server.answer(Answer::keys(&[&old, &new]));
    let token = new.token();
    assert_eq!(call(&token).await, 401);
    let deadline = Instant::now() + PATIENCE;
    while call(&token).await != 200 {
        assert!(Instant::now() < deadline, "the new key is not fetched");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(call(&old.token()).await, 200);
}
