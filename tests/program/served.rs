//! What the program adds to the scope: health, a guarded route, CORS, an access log, an end in good order.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use actix_authflow::testing::{TestCluster, TestDatabase};
use serde_json::json;

use crate::http::{Connection, Reply, Request};
use crate::process::{BIND, Program, SECRET, command, directory};
use crate::support::{PASSWORD, PATIENCE};

const LIST: (&str, &str) = ("AUTHFLOW_ALLOWED_ORIGINS", "https://app.example,http://localhost:3000");

/// The program on a database of its own.
pub(crate) struct Served {
    pub(crate) program: Program,
    connection: Connection,
    _directory: tempfile::TempDir,
    _database: TestDatabase,
}

impl Served {
    pub(crate) fn with(variables: &[(&str, &str)]) -> Served {
        Served::with_options(&[], variables)
    }

    pub(crate) fn with_options(options: &[&str], variables: &[(&str, &str)]) -> Served {
        let (directory, database) = (directory(), TestDatabase::empty());
        let usual = [("DATABASE_URL", database.url()), SECRET, BIND];
        let mut command = command(directory.path(), "serve", [&usual, variables].concat());
        command.args(options);
        let program = Program::start(directory.path(), command);
        let connection = program.connect();
        Served { program, connection, _directory: directory, _database: database }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, request: &Request) -> Reply {
        self.connection.send(request)
    }
}

/// The refresh cookie, as a client sends it back. It is not the only one that is set.
pub(crate) fn cookie(reply: &Reply) -> String {
    let mut set = reply.headers.iter().filter(|(name, value)| name == "set-cookie" && value.contains("=rt_"));
    set.next().unwrap().1.split(';').next().unwrap().to_owned()
}

pub(crate) fn registration() -> Request {
    Request::post("/auth/register", json!({ "email": "alice@example.com", "password": PASSWORD }))
}

#[test]
fn health_and_the_guarded_route_are_there() {
    let mut served = Served::with(&[]);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(served.send(&Request::get(path)).expect(200).header("cache-control"), "no-store");
        served.send(&Request::new("HEAD", path)).expect(200);
        let refused = served.send(&Request::new("POST", path)).problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), "GET, HEAD");
    }
    let refused = served.send(&Request::get("/api/me")).problem(401, "unauthorized");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    let tokens = served.send(&registration()).expect(201).json();
    let me =
        served.send(&Request::get("/api/me").bearer(tokens["access_token"].as_str().unwrap())).expect(200);
    assert_eq!(me.json(), json!({ "user_id": tokens["user"]["id"], "session_id": tokens["session_id"] }));
    served.send(&Request::get("/nowhere")).problem(404, "not_found");
    served.send(&Request::get("/auth/nowhere")).problem(404, "not_found");
    assert!(!served.program.screen.contains("AUTHFLOW_COOKIE_INSECURE"));
    assert!(!served.program.screen.contains("psql"), "only a private database is shown");
}

#[test]
fn an_insecure_cookie_is_said_loudly() {
    let served = Served::with(&[("AUTHFLOW_COOKIE_INSECURE", "1")]);
    assert!(
        served.program.screen.contains("WARNING    AUTHFLOW_COOKIE_INSECURE is on"),
        "{}",
        served.program.screen
    );
    // And by the library, whose hosts have no such screen.
    let told = |served: &Served| served.program.log().contains("the refresh cookie is insecure");
    assert!(told(&served), "{}", served.program.log());
    assert!(!told(&Served::with(&[])));
}

#[test]
fn readiness_follows_the_database_and_life_does_not() {
    let (directory, mut cluster) = (directory(), TestCluster::new());
    let variables = [("DATABASE_URL", cluster.url()), SECRET, BIND];
    let program = Program::serve(directory.path(), &variables);
    // One connection each: stopping a database can take longer than an idle one is kept.
    let get = |path: &str| program.connect().send(&Request::get(path));
    let ready = get("/readyz").expect(200).json();
    assert_eq!((&ready["status"], &ready["listening"]), (&json!("ready"), &json!(true)));
    assert!(ready["revocation_lag_ms"].as_u64().is_some(), "{ready}");
    cluster.stop();
    let degraded = get("/readyz").problem(503, "storage_unavailable");
    assert_eq!(degraded.header("retry-after"), "1");
    assert!(degraded.json()["detail"].as_str().unwrap().starts_with("Degraded: "), "{degraded:?}");
    get("/healthz").expect(200);
    cluster.start();
    // Ten seconds without news, which a busy machine may have made of it, take until the next look to catch up with.
    let deadline = Instant::now() + PATIENCE;
    while get("/readyz").status != 200 {
        assert!(Instant::now() < deadline, "not ready again");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS", "/auth/login")
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "content-type,authorization")
}

fn is_allowed(reply: &Reply, origin: &str) -> bool {
    let allowed = reply.header("access-control-allow-origin");
    let others = reply.headers.iter().filter(|(name, _)| name.starts_with("access-control-")).count();
    assert!(!allowed.is_empty() || others == 0, "an unknown origin learns nothing: {reply:?}");
    assert_ne!(allowed, "*", "{reply:?}");
    let credentials = reply.header("access-control-allow-credentials") == "true";
    assert!(allowed.is_empty() || credentials, "{reply:?}");
    allowed == origin && credentials
}

#[test]
fn listed_origins_get_cors_with_credentials_and_no_others() {
    let mut served = Served::with(&[LIST]);
    for origin in ["https://app.example", "http://localhost:3000"] {
        assert!(is_allowed(&served.send(&preflight(origin)).expect(200), origin));
        let login = Request::post("/auth/login", "{}").header("Origin", origin);
        assert!(is_allowed(&served.send(&login).problem(400, "invalid_request"), origin), "errors too");
        let guarded = Request::get("/api/me").header("Origin", origin);
        assert!(is_allowed(&served.send(&guarded).problem(401, "unauthorized"), origin), "the guard's too");
    }
    for origin in
        ["https://evil.example", "https://app.example.evil.example", "https://sub.app.example", "null"]
    {
        assert!(!is_allowed(&served.send(&preflight(origin)), origin));
        let login = registration().header("Origin", origin);
        assert!(!is_allowed(&served.send(&login).problem(403, "csrf_rejected"), origin));
        let read = Request::get("/healthz").header("Origin", origin);
        assert!(!is_allowed(&served.send(&read).expect(200), origin));
    }
}

#[test]
fn without_a_list_no_origin_gets_cors_and_the_own_one_needs_none() {
    let mut served = Served::with(&[]);
    let own = format!("http://{}", served.program.address);
    for origin in ["https://evil.example", "null", &own] {
        let reply = served.send(&preflight(origin)).problem(403, "csrf_rejected");
        assert!(!reply.headers.iter().any(|(name, _)| name.starts_with("access-control-")), "{reply:?}");
    }
    served.send(&registration().header("Origin", "https://evil.example")).problem(403, "csrf_rejected");
    served.send(&registration().header("Origin", &own)).expect(201);
}

/// What a client should not have put into a URL need not be kept as well.
#[test]
fn the_access_log_has_neither_query_nor_cookie() {
    let mut served = Served::with(&[("RUST_LOG", "trace")]);
    let tokens = served.send(&registration()).expect(201);
    let cookies = tokens.headers.iter().filter(|(name, _)| name == "set-cookie");
    let cookies: Vec<&str> = cookies.filter_map(|(_, cookie)| cookie.split(';').next()).collect();
    assert_eq!(cookies.len(), 2, "the refresh token, and the device: {tokens:?}");
    let cookie = cookies.join("; ");
    let token = tokens.json()["access_token"].as_str().unwrap().to_owned();
    for path in ["/auth/me", "/api/me", "/nowhere"] {
        let request = Request::get(&format!("{path}?access_token={token}"));
        served.send(&request.header("Cookie", &cookie));
    }
    let refresh = Request::new("POST", "/auth/refresh").bearer(&token).header("Cookie", &cookie);
    served.send(&refresh).expect(200);
    let log = served.program.log();
    assert!(log.contains("/auth/refresh") && log.contains("/nowhere") && log.contains(" 404 "), "{log}");
    assert!(!log.contains('\u{1b}'), "colours are for terminals");
    let id = tokens.header("x-request-id");
    let of_registration: Vec<_> = log.lines().filter(|line| line.contains(id)).collect();
    for told in ["/auth/register", "a session was started"] {
        assert!(of_registration.iter().any(|line| line.contains(told)), "{told} in {of_registration:#?}");
    }
    let spans = of_registration.iter().map(|line| line.matches("request{id=").count());
    assert_eq!(
        spans.max(),
        Some(1),
        "one identifier, although the application and the scope would each give one"
    );
    let values = cookies.iter().filter_map(|cookie| Some(cookie.split_once('=')?.1));
    for secret in values.chain([token.as_str(), PASSWORD, SECRET.1]) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_request_under_way_is_answered_before_the_end() {
    let mut served = Served::with(&[]);
    let body = json!({ "email": "alice@example.com", "password": PASSWORD }).to_string();
    let (first, rest) = body.split_at(10);
    let mut stream = TcpStream::connect(served.program.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head =
        "POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{first}", body.len()).unwrap();
    // An answer to a later request shows that this one has been taken on, on whichever worker.
    served.program.connect().send(&Request::get("/healthz")).expect(200);
    served.program.signal("TERM");
    std::thread::sleep(std::time::Duration::from_millis(300));
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(served.program.wait().success());
}
