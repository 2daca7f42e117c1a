//! Whatever is logged, at the lowest level and with Diesel logging the values it binds, no secret is in it.
//!
//! A binary of its own, because there is one subscriber for a whole process.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of tests is a test too")]
#![allow(dead_code, unused_imports, reason = "the harness can do more than this test asks of it")]

mod capture;
#[path = "../it/surface/http.rs"]
mod http;
mod secrets;
#[path = "../it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use actix_authflow::{Auth, RefreshFormat, Transport, UserDraft};
use actix_web::middleware::Logger;
use actix_web::{App, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use serde_json::json;

use capture::{capture_everything, captured};
use http::{Connection, Reply, Request};
use secrets::Secrets;
use support::{PATIENCE, SECRET, TestApp};

const PASSWORD: &str = "a horse of quite another colour";
const NEW_PASSWORD: &str = "a colour of quite another horse";
const WRONG_PASSWORD: &str = "neither horse nor colour at all";
const WEAK_PASSWORD: &str = "iloveyou!";
const OWN_NEW_PASSWORD: &str = "no horse of any colour any more";

/// The identifier of no session.
const NO_SESSION: &str = "0190b2a4-0000-7000-8000-000000000000";
/// How long events are kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A client that remembers every secret it sends or gets.
struct Client {
    connection: Connection,
    secrets: Secrets,
    access_token: String,
    refresh_token: String,
    device_token: String,
    /// The identifiers of its requests that were refused, with the codes.
    refused: Vec<(String, String)>,
}

impl Client {
    fn send(&mut self, request: Request, status: u16) -> Reply {
        let reply = self.connection.send(&request).expect(status);
        let json = reply.json();
        if let Some(code) = json["code"].as_str() {
            self.refused.push((reply.header("x-request-id").to_owned(), code.to_owned()));
        }
        if let Some(token) = json["access_token"].as_str() {
            self.access_token = token.into();
            self.secrets.add_token(token);
        }
        let cookie =
            reply.headers.iter().find(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str());
        let in_cookie =
            cookie.and_then(|cookie| cookie.split(['=', ';']).nth(1)).filter(|value| !value.is_empty());
        if let Some(token) = json["refresh_token"].as_str().or(in_cookie) {
            self.refresh_token = token.into();
            self.secrets.add_token(token);
        }
        let mut cookies = reply.headers.iter().filter(|(name, _)| name == "set-cookie");
        let device = cookies.find_map(|(_, cookie)| cookie.strip_prefix("__Host-Http-device="));
        let device = json["device_token"].as_str().or(device.and_then(|cookie| cookie.split(';').next()));
        if let Some(token) = device {
            self.device_token = token.into();
            self.secrets.add(token);
        }
        reply
    }

    fn credentials(&mut self, path: &str, email: &str, password: &str, transport: &str, status: u16) {
        self.secrets.add(password);
        let body = json!({ "email": email, "password": password, "transport": transport, "device_name": "phone",
                    "device_token": self.device_token });
        let cookie = format!("__Host-Http-device={}", self.device_token);
        self.send(Request::post(path, body).header("Cookie", cookie), status);
    }

    fn change_password(&mut self, current: &str, new: &str, status: u16) {
        [current, new].iter().for_each(|password| self.secrets.add(password));
        let body = json!({ "current_password": current, "new_password": new });
        self.send(Request::post("/auth/password", body).bearer(&self.access_token), status);
    }

    fn with_cookie(&self, path: &str) -> Request {
        let cookie = format!("__Host-Http-refresh_token={}", self.refresh_token);
        Request::new("POST", path).bearer(&self.access_token).header("Cookie", cookie)
    }

    fn with_body(&self, path: &str) -> Request {
        Request::post(path, json!({ "refresh_token": self.refresh_token })).bearer(&self.access_token)
    }
}

/// The application as the program mounts it, with an access log that would show the cookie if it could see it.
fn serve(auth: &Auth) -> std::net::SocketAddr {
    let auth = auth.clone();
    let server = HttpServer::new(move || {
        App::new()
            .configure(auth.routes("/auth"))
            .service(web::scope("/api").wrap(auth.guard()).route("/me", web::get().to(|| async { "in" })))
            .wrap(Logger::new("%a \"%r\" %s %{Cookie}i %{User-Agent}i"))
            .wrap(auth.hide_cookie())
    });
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

/// Every operation, each way it can end.
fn workflow(client: &mut Client, app: &TestApp, format: &str) {
    let alice = format!("alice-{format}@example.com");
    client.credentials("/auth/register", &alice, WEAK_PASSWORD, "cookie", 422);
    client.credentials("/auth/register", &alice, PASSWORD, "cookie", 201);
    client.credentials("/auth/register", &alice, PASSWORD, "cookie", 409);
    client.credentials("/auth/login", &alice, WRONG_PASSWORD, "cookie", 401);
    client.credentials("/auth/login", "nobody@example.com", WRONG_PASSWORD, "cookie", 401);
    client.credentials("/auth/login", &alice, PASSWORD, "cookie", 200);

    let first = client.with_cookie("/auth/refresh");
    client.send(first.clone(), 200);
    client.send(first.clone(), 200);
    client.send(Request::get("/api/me").bearer(&client.access_token), 200);
    client.send(Request::get("/auth/me").bearer(&client.access_token), 200);
    client.send(first.clone().header("Origin", "https://evil.example"), 403);
    client.send(client.with_cookie("/auth/refresh").bearer(&client.access_token), 400);
    client.send(Request::get(&format!("/api/me?x={}", "y".repeat(10))).bearer("a.b.c"), 401);
    client.send(client.with_cookie("/auth/refresh").without("Authorization"), 401);
    for forged in ["rt_not-a-token-but-nobody-knows", &client.refresh_token.replace("rt_A", "rt_B")] {
        client.secrets.add(forged);
        let cookie = format!("__Host-Http-refresh_token={forged}");
        client.send(
            Request::new("POST", "/auth/refresh").bearer(&client.access_token).header("Cookie", cookie),
            401,
        );
    }
    app.db_execute("UPDATE authflow.refresh_tokens SET issued_at = issued_at - interval '1 hour'");
    client.send(client.with_cookie("/auth/refresh"), 200);
    app.db_execute("UPDATE authflow.refresh_tokens SET issued_at = issued_at - interval '1 hour'");
    client.send(first, 401);
    client.send(Request::get("/api/me").bearer(&client.access_token), 401);

    client.credentials("/auth/login", &alice, PASSWORD, "body", 200);
    client.send(client.with_body("/auth/refresh"), 200);
    client.send(client.with_cookie("/auth/refresh"), 401);
    client.send(client.with_body("/auth/logout"), 204);
    client.send(client.with_body("/auth/refresh"), 401);

    // When the database fails in the middle, its complaint is logged.
    client.credentials("/auth/login", &alice, PASSWORD, "cookie", 200);
    app.db_execute("ALTER TABLE authflow.refresh_tokens RENAME TO elsewhere");
    client.send(client.with_cookie("/auth/refresh"), 503);
    client.credentials("/auth/login", &alice, PASSWORD, "cookie", 503);
    app.db_execute("ALTER TABLE authflow.elsewhere RENAME TO refresh_tokens");
    app.db_execute(
        "ALTER TABLE authflow.refresh_tokens ADD CONSTRAINT never CHECK (generation < 1) NOT VALID",
    );
    client.send(client.with_cookie("/auth/refresh"), 503);
    app.db_execute("ALTER TABLE authflow.refresh_tokens DROP CONSTRAINT never");
    client.send(client.with_cookie("/auth/logout"), 204);
}

/// What users do with what is theirs, and who tries too often.
fn account(client: &mut Client, format: &str) {
    let carol = format!("carol-{format}@example.com");
    client.credentials("/auth/register", &carol, PASSWORD, "cookie", 201);
    client.change_password(WRONG_PASSWORD, OWN_NEW_PASSWORD, 403);
    client.change_password(PASSWORD, WEAK_PASSWORD, 422);
    client.change_password(PASSWORD, OWN_NEW_PASSWORD, 200);
    let replaced = client.access_token.clone();
    client.credentials("/auth/login", &carol, PASSWORD, "cookie", 401);
    client.credentials("/auth/login", &carol, OWN_NEW_PASSWORD, "body", 200);
    let listed = client.send(Request::get("/auth/sessions").bearer(&client.access_token), 200).json();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{listed}");
    let other = sessions.iter().find(|session| session["current"] == false).unwrap();
    let [other, nowhere] =
        [other["id"].as_str().unwrap(), NO_SESSION].map(|session| format!("/auth/sessions/{session}"));
    for (path, status) in [
        (other.as_str(), 204),
        (&nowhere, 404),
        ("/auth/sessions?keep=current", 204),
        ("/auth/sessions", 204),
    ] {
        client.send(Request::new("DELETE", path).bearer(&client.access_token), status);
    }
    client.send(Request::get("/auth/sessions").bearer(&client.access_token), 401);
    client.send(Request::get("/auth/sessions").bearer(&replaced), 401);

    let nobody = format!("nobody-{format}@example.com");
    for _ in 0..5 {
        client.credentials("/auth/login", &nobody, WRONG_PASSWORD, "cookie", 401);
    }
    client.credentials("/auth/login", &nobody, WRONG_PASSWORD, "cookie", 429);
}

/// What is kept of events names no secret either.
fn assert_events_are_kept_without(secrets: &Secrets, app: &TestApp) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = app.db_texts("SELECT e::text AS value FROM authflow.events e");
        let text = rows.into_iter().flatten().collect::<Vec<_>>().join("\n");
        assert_eq!(secrets.found_in(&text), [""; 0]);
        // In the order in which they happened: the last ones are there, and so are all.
        if ["password_changed", "throttled"].iter().all(|word| text.contains(word)) {
            return;
        }
        assert!(Instant::now() < deadline, "not all events are kept: {text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a client would write if it wanted a line of its own in the log: line breaks of every kind, and codes that a terminal
/// obeys. What HTTP forbids in a header goes into the body.
const FORGED: &str = "a forged line of the log";

fn hostile(client: &mut Client) {
    let escapes = format!("\r\n{FORGED}\u{85}{FORGED}\u{2028}{FORGED}\u{1b}[2K\u{9b}2J{FORGED}\u{202e}");
    let header: String = escapes.chars().filter(|c| *c > '\u{7f}' || !c.is_control()).collect();
    let email = format!("eve{escapes}@example.com");
    client.secrets.add(PASSWORD);
    for (path, email, status) in [
        ("/auth/register", "eve@example.com", 201),
        ("/auth/login", "eve@example.com", 200),
        ("/auth/login", email.as_str(), 401),
        ("/auth/login", &escapes, 401),
    ] {
        let body = json!({ "email": email, "password": PASSWORD, "device_name": escapes });
        let request =
            Request::post(path, body).header("User-Agent", &header).header("X-Forwarded-For", &header);
        client.send(request, status);
    }
    client.send(client.with_cookie("/auth/refresh").header("Origin", &header), 403);
    client.send(client.with_cookie("/auth/logout").header("User-Agent", &header), 204);
}

/// No line is a client's, and what is told of events holds nothing that a client wrote.
fn nobody_wrote_a_line_of_their_own(text: &str) {
    let lines = || text.split(['\n', '\r']);
    let injected: Vec<_> = lines().filter(|line| line.starts_with(FORGED)).collect();
    assert_eq!(injected, [""; 0]);
    let events: Vec<_> = lines().filter(|line| line.contains(" authflow::events: ")).collect();
    for word in ["logged_in", "login_failed", "origin_rejected", "refresh_retried", "refresh_token_reused"] {
        assert!(events.iter().any(|line| line.contains(word)), "no event {word}");
    }
    let odd = |line: &&&str| line.contains(FORGED) || line.chars().any(|c| !(' '..='~').contains(&c));
    let telling: Vec<_> = events.iter().filter(odd).collect();
    assert_eq!(telling, [&""; 0], "every line of an event is plain");
}

/// The line that tells why is written where the work is done: on the worker, on a thread that asks the database, or on one
/// that hashes.
fn lines_about_a_request_have_its_identifier(text: &str, refused: &[(String, String)]) {
    for (code, told) in [
        ("csrf_rejected", "a request was refused for its origin"),
        ("refresh_token_reused", "a retired refresh token came back"),
        ("invalid_credentials", "a login was refused"),
        ("storage_unavailable", "a request could not be answered"),
    ] {
        let ids: Vec<_> = refused.iter().filter(|(_, own)| own == code).map(|(id, _)| id).collect();
        assert!(ids.len() > 1, "{code}");
        for id in ids {
            let span = format!("request{{id=\"{id}\"}}");
            let found = text.lines().filter(|line| line.contains(&span) && line.contains(told)).count();
            assert_eq!(found, 1, "lines about {id}, {code}");
        }
    }
}

/// What a host does, and prints while it looks for a mistake.
async fn host(auth: &Auth, secrets: &mut Secrets) {
    let imported = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
    secrets.add(imported);
    tracing::info!("{:?}", UserDraft::new().password_hash(imported));
    let draft = UserDraft::new().email("bob@example.com").password(PASSWORD);
    tracing::info!("{draft:?}");
    let user = auth.create_user(draft).await.unwrap();
    let session = auth.start_session(user.id, Transport::Cookie).await.unwrap();
    secrets.add_token(session.access_token());
    tracing::info!("{session:?} {user:?} {:?}", auth.verifier().verify(session.access_token()));
    secrets.add(NEW_PASSWORD);
    auth.set_password(user.id, NEW_PASSWORD).await.unwrap();
    tracing::info!("{:?}", auth.set_password(user.id, WEAK_PASSWORD).await);
    auth.disable_user(user.id).await.unwrap();
}

#[actix_web::test]
async fn no_secret_is_ever_logged() {
    capture_everything();
    let (mut secrets, mut refused) = (Secrets::default(), Vec::new());
    secrets.add(SECRET);
    for (name, format) in [("opaque", RefreshFormat::Opaque), ("jwt", RefreshFormat::Jwt)] {
        let app = TestApp::with(|config| config.refresh_format(format).events_retention(KEPT)).await;
        let address = serve(&app.auth);
        host(&app.auth, &mut secrets).await;
        let work = move || {
            let connection = Connection::to_address(address);
            let mut client = Client {
                connection,
                secrets: Secrets::default(),
                access_token: String::new(),
                refresh_token: String::new(),
                device_token: String::new(),
                refused: Vec::new(),
            };
            workflow(&mut client, &app, name);
            account(&mut client, name);
            assert_events_are_kept_without(&client.secrets, &app);
            if name == "opaque" {
                hostile(&mut client);
            }
            (client.secrets, client.refused)
        };
        let (sent, refusals) = actix_web::rt::task::spawn_blocking(work).await.unwrap();
        secrets.0.extend(sent.0);
        refused.extend(refusals);
    }

    let text = captured();
    assert!(secrets.0.len() > 100, "{} secrets", secrets.0.len());
    assert_eq!(secrets.found_in(&text), [""; 0]);
    for expected in [
        "diesel: ",
        "$argon2id$",
        "a retired refresh token came back and ended its session",
        "POST /auth/refresh",
        "POST /auth/password",
        "DELETE /auth/sessions/",
        "INSERT INTO authflow.events",
        "TRACE",
    ] {
        assert!(text.contains(expected), "nothing like {expected:?} was captured");
    }
    // What this crate and its libraries log by themselves names nobody, and shows no hash.
    let own = text.lines().filter(|line| !line.starts_with("diesel: ") && !line.contains(" logs: "));
    let telling: Vec<_> =
        own.filter(|line| line.contains("@example.com") || line.contains("$argon2")).collect();
    assert_eq!(telling, [""; 0]);
    nobody_wrote_a_line_of_their_own(&text);
    lines_about_a_request_have_its_identifier(&text, &refused);
    every_way_of_logging_is_captured();
}

/// The search finds what is there: a control is logged in each of the ways.
fn every_way_of_logging_is_captured() {
    let control = |number: u8| {
        let token = format!("rt_{}", URL_SAFE_NO_PAD.encode([number; 69]));
        let mut secrets = Secrets::default();
        secrets.add_token(&token);
        (token, secrets)
    };
    let database = actix_authflow::testing::TestDatabase::new();
    let (by_tracing, by_log, by_diesel) = (control(1), control(2), control(3));
    tracing::trace!("{}", by_tracing.0);
    log::trace!("{}", by_log.0);
    let bytes = diesel::select(
        diesel::dsl::sql::<diesel::sql_types::Bool>("")
            .bind::<diesel::sql_types::Binary, _>(URL_SAFE_NO_PAD.decode(&by_diesel.0[3..]).unwrap()),
    );
    let _: Result<bool, _> = bytes.get_result(&mut database.connect());
    for (way, secrets) in [("tracing", by_tracing.1), ("log", by_log.1), ("Diesel", by_diesel.1)] {
        assert!(!secrets.found_in(&captured()).is_empty(), "what is logged by {way} is not captured");
    }
}
