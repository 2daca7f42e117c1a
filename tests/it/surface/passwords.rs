//! Passwords over HTTP: which are taken, that none is cut, and what stored hashes of hostile origin do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_authflow::CredentialFailure;
use serde_json::json;

use super::{Connection, Reply, Request};
use crate::support::{Browser, PASSWORD, TestApp};

fn post(app: &TestApp, path: &str, email: &str, password: &str) -> Reply {
    let body = json!({ "email": email, "password": password });
    Connection::to(app).send(&Request::post(path, body))
}

#[actix_web::test]
async fn weak_passwords_are_refused_with_the_reason() {
    let app = TestApp::start().await;
    let before = app.db_snapshot();
    let too_long = "z9".repeat(513);
    for (password, reason) in [
        ("", "at least 8"),
        ("xq7-vwp", "at least 8"),
        ("\u{1f511}\u{1f512}\u{1f513}\u{1f514}\u{1f515}\u{1f516}\u{1f517}", "at least 8"),
        // Eight code points as sent, seven once composed.
        ("xq7-vwe\u{301}", "at least 8"),
        ("password", "common"),
        ("PassWord1", "common"),
        ("12345678", "common"),
        ("iloveyou!", "common"),
        ("alice.smith@example.com", "e-mail"),
        ("ALICE.SMITH@EXAMPLE.COM", "e-mail"),
        ("Alice.Smith", "e-mail"),
        ("alice.smith2026!", "e-mail"),
        ("authflow", "name of this application"),
        ("Authflow-2026", "name of this application"),
        (&too_long, "longer than 1024"),
    ] {
        let reply =
            post(&app, "/auth/register", "Alice.Smith@Example.com", password).problem(422, "weak_password");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(reason), "{password}: {detail}");
        assert!(detail.starts_with("The ") && detail.ends_with('.'), "no sentence: {detail}");
        let repeated = password.len() > 8 && detail.to_lowercase().contains(&password.to_lowercase());
        assert!(!repeated, "the answer repeats {password}");
    }
    assert_eq!(app.db_snapshot(), before);
}

#[actix_web::test]
async fn every_other_password_of_eight_code_points_is_taken() {
    let app = TestApp::start().await;
    let longest = "z9".repeat(512);
    for (number, password) in [
        "xq7-vwpz",
        "\u{1f511}\u{1f512}\u{1f513}\u{1f514}\u{1f515}\u{1f516}\u{1f517}\u{1f518}",
        "   spaces at both ends   ",
        "only lower case words",
        "82649173056284917",
        "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} \u{438}\u{437}",
        "tab\tand\u{7f}control\u{1b}[31m",
        "'; DROP TABLE users; --",
        "\"}{\"password\":\"x",
        "%00%0a\\u0000 literally",
        &longest,
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("user{number}@example.com");
        post(&app, "/auth/register", &email, password).expect(201);
        post(&app, "/auth/login", &email, password).expect(200);
        post(&app, "/auth/login", &email, &format!("{password} ")).problem(401, "invalid_credentials");
        let other_case =
            if password.is_ascii() { password.to_ascii_uppercase() } else { password.to_uppercase() };
        if other_case != password {
            post(&app, "/auth/login", &email, &other_case).problem(401, "invalid_credentials");
        }
    }
}

#[actix_web::test]
async fn composed_and_decomposed_letters_open_the_same_account() {
    let app = TestApp::start().await;
    let (composed, decomposed) = ("cr\u{e8}me br\u{fb}l\u{e9}e", "cre\u{300}me bru\u{302}le\u{301}e");
    for (email, set, given) in
        [("alice@example.com", composed, decomposed), ("bob@example.com", decomposed, composed)]
    {
        post(&app, "/auth/register", email, set).expect(201);
        post(&app, "/auth/login", email, set).expect(200);
        post(&app, "/auth/login", email, given).expect(200);
        post(&app, "/auth/login", email, "creme brulee").problem(401, "invalid_credentials");
    }
}

#[actix_web::test]
async fn the_last_byte_of_a_long_password_counts() {
    let app = TestApp::start().await;
    let right = "z9".repeat(512);
    post(&app, "/auth/register", "alice@example.com", &right).expect(201);
    for wrong in
        [format!("{}8", &right[..1023]), right[..1023].to_owned(), format!("{right}9"), right.repeat(8)]
    {
        post(&app, "/auth/login", "alice@example.com", &wrong).problem(401, "invalid_credentials");
    }
    post(&app, "/auth/login", "alice@example.com", &right).expect(200);
}

/// Rows that somebody with access to the database planted: none crashes the service, takes its memory or lets anybody in.
#[actix_web::test]
async fn planted_hashes_are_a_failed_login_and_nothing_worse() {
    let unusable = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&unusable);
    let app = TestApp::with(|config| {
        config.on_event(move |event| {
            if event.kind.reason() == Some(CredentialFailure::UnusableHash.as_str()) {
                heard.fetch_add(1, Ordering::SeqCst);
            }
        })
    })
    .await;
    Browser::signed_up(&app, "alice@example.com").await;
    let genuine = app.db_texts("SELECT password_hash AS value FROM authflow.users").remove(0).unwrap();
    let salt_and_output = genuine.splitn(5, '$').nth(4).unwrap().to_owned();
    let longest = format!("$argon2id${}", "v".repeat(1000));
    let planted = [
        format!("$argon2id$v=19$m=4194304,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=4294967295,t=4294967295,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=4294967295,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=2,p=16777215${salt_and_output}"),
        format!("$argon2id$v=19$m=99999999999999999999,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=0,t=0,p=0${salt_and_output}"),
        format!("$argon2id$v=19$m=-1,t=2,p=1${salt_and_output}"),
        format!("$argon2i$v=19$m=19456,t=2,p=1${salt_and_output}"),
        format!("$argon2d$v=19$m=19456,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=1$m=19456,t=2,p=1${salt_and_output}"),
        genuine.replace("argon2id", "ARGON2ID"),
        genuine.rsplit_once('$').unwrap().0.to_owned(),
        format!("{genuine}$"),
        format!("{genuine} "),
        "$argon2id$v=19$m=19456,t=2,p=1$$".into(),
        "$argon2id$".into(),
        "$argon2id$v=19$m=19456,t=2,p=1$\u{e9}\u{e9}\u{e9}$\u{e9}".into(),
        "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW".into(),
        "$pbkdf2-sha256$i=4294967295$c2FsdA$aGFzaA".into(),
        "plain text".into(),
        PASSWORD.into(),
        "$".into(),
        String::new(),
        longest,
    ];
    let expected =
        post(&app, "/auth/login", "nobody@example.com", PASSWORD).problem(401, "invalid_credentials").body;
    for (before, hash) in planted.into_iter().enumerate() {
        // As another password, whose attempts are counted anew.
        let next = "password_version = password_version + 1";
        app.db_execute(&format!("UPDATE authflow.users SET password_hash = '{hash}', {next}"));
        let started = Instant::now();
        let reply = post(&app, "/auth/login", "alice@example.com", PASSWORD);
        assert_eq!((reply.status, &reply.body), (401, &expected), "{hash}");
        // It was seen that this is no hash, before anything was computed of it.
        assert_eq!(unusable.load(Ordering::SeqCst), before + 1, "{hash}");
        // Four gigabytes or four billion passes would take very much longer than even a busy machine for one honest hash.
        assert!(started.elapsed() < Duration::from_secs(10), "{hash} took {:?}", started.elapsed());
    }
    app.db_execute(&format!("UPDATE authflow.users SET password_hash = '{genuine}'"));
    post(&app, "/auth/login", "alice@example.com", PASSWORD).expect(200);
}
