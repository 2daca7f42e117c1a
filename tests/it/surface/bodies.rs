//! Hostile bodies: each is refused with the promised error, changes nothing, and leaves the connection usable.

use serde_json::json;

use super::{Connection, Reply, Request};
use crate::support::{Browser, PASSWORD, TestApp};

const POSTS: [&str; 4] = ["/auth/register", "/auth/login", "/auth/refresh", "/auth/logout"];

/// One connection for all requests of a test, and somebody who is logged in.
struct Probe {
    app: TestApp,
    browser: Browser,
    connection: Connection,
    before: Vec<String>,
}

impl Probe {
    async fn new() -> Probe {
        let app = TestApp::start().await;
        let browser = Browser::signed_up(&app, "alice@example.com").await;
        let (connection, before) = (Connection::to(&app), app.db_snapshot());
        Probe { app, browser, connection, before }
    }

    /// Sends a request, and a good one after it on the same connection.
    #[track_caller]
    fn send(&mut self, request: &Request) -> Reply {
        let reply = self.connection.send(request);
        assert!(reply.status < 500, "{request:?} {reply:?}");
        let good = Request::get("/auth/me").bearer(self.browser.access_token.as_deref().unwrap());
        if reply.header("connection") == "close" {
            self.connection = Connection::to(&self.app);
        }
        let next =
            self.connection.try_send(&good).unwrap_or_else(|| panic!("closed by {request:?} {reply:?}"));
        assert_eq!(next.status, 200, "after {request:?} {reply:?}: {next:?}");
        reply
    }

    /// Nothing was changed.
    async fn finish(self) {
        assert_eq!(self.app.db_snapshot(), self.before);
        self.browser.clone().refresh().await.expect(200);
    }
}

#[actix_web::test]
async fn what_is_not_one_strict_object_is_refused() {
    let mut probe = Probe::new().await;
    let object = json!({ "email": "alice@example.com", "password": PASSWORD }).to_string();
    let members = &object[1..object.len() - 1];
    let nested = "[".repeat(16_000);
    let deep = format!("{{\"a\":{}{}", "[".repeat(8_000), "]".repeat(8_000));
    let deep_objects = "{\"a\":".repeat(3_000);
    let mut bodies: Vec<Vec<u8>> = vec![
        b"".into(),
        b" ".into(),
        b"null".into(),
        b"true".into(),
        b"1".into(),
        b"\"text\"".into(),
        b"[]".into(),
        b"[[\"email\",\"alice@example.com\"]]".into(),
        format!("[\"alice@example.com\",\"{PASSWORD}\"]").into(),
        b"{".into(),
        b"}".into(),
        b"{}}".into(),
        b"{} {}".into(),
        b"{}x".into(),
        b"{\"a\":1,}".into(),
        b"{a:1}".into(),
        b"{'a':1}".into(),
        b"{\"a\":NaN}".into(),
        b"{\"a\":01}".into(),
        b"{\"a\":1e999}".into(),
        b"{\"a\":\"\n\"}".into(),
        b"/**/{}".into(),
        b"{}//".into(),
        b"\xef\xbb\xbf{}".into(),
        b"{\"a\":\"\xff\"}".into(),
        b"{\"a\":\"\xc0\xaf\"}".into(),
        b"{\"a\":\"\\ud800\"}".into(),
        b"{\"a\":\"\\u0000\"}".into(),
        b"{\"\\u0000\":1}".into(),
        b"{\"a\":\"\0\"}".into(),
        b"\0".into(),
        "{}".encode_utf16().flat_map(u16::to_le_bytes).collect(),
        b"email=alice@example.com&password=x".into(),
        b"<xml/>".into(),
        b"\x1f\x8b\x08\0\0\0\0\0\0\0".into(),
        nested.into(),
        deep.into(),
        deep_objects.into(),
    ];
    bodies.push(format!("{{{members},{members}}}").into());
    bodies.push(format!("{{{members},\"em\\u0061il\":\"bob@example.com\"}}").into());
    bodies.push(format!("{{{members},\"x\":{{\"a\":1,\"a\":1}}}}").into());
    bodies.push(b"{\"refresh_token\":\"a\",\"refresh_token\":\"b\"}".into());
    for body in bodies {
        for route in POSTS {
            let request = Request::post(route, "").body(body.clone());
            probe.send(&request).problem(400, "invalid_request").without_cookie();
        }
    }
    probe.finish().await;
}

#[actix_web::test]
async fn members_of_another_type_are_refused() {
    let mut probe = Probe::new().await;
    let good = json!({ "email": "bob@example.com", "password": PASSWORD });
    let text = [json!(null), json!(5), json!(true), json!([]), json!({}), json!(["a"])];
    let mut hostile = Vec::new();
    for member in ["email", "password"] {
        hostile.extend(text.clone().map(|value| (member, value)));
    }
    hostile.extend([json!(5), json!([]), json!({}), json!(true)].map(|value| ("device_name", value)));
    hostile.extend(
        [json!(null), json!("yes"), json!("true"), json!(0), json!([])].map(|value| ("remember", value)),
    );
    hostile.extend(
        [json!(null), json!("Cookie"), json!("pigeon"), json!(""), json!({ "cookie": null }), json!(0)]
            .map(|value| ("transport", value)),
    );
    for (member, value) in hostile {
        for route in ["/auth/register", "/auth/login"] {
            let mut body = good.clone();
            body[member] = value.clone();
            let reply = probe.send(&Request::post(route, &body));
            assert_eq!(reply.status, 400, "{body} {reply:?}");
            reply.problem(400, "invalid_request");
        }
    }
    for member in ["email", "password"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(member);
        probe.send(&Request::post("/auth/register", &body)).problem(400, "invalid_request");
    }
    for value in [json!(5), json!([]), json!({}), json!(true), json!(["rt_"])] {
        for route in ["/auth/refresh", "/auth/logout"] {
            let request = Request::post(route, json!({ "refresh_token": value }));
            probe.send(&request).problem(400, "invalid_request");
        }
    }
    probe.finish().await;
}

#[actix_web::test]
async fn only_one_media_type_is_taken() {
    let mut probe = Probe::new().await;
    let body = json!({ "email": "bob@example.com", "password": PASSWORD });
    for media_type in [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json-patch+json",
        "application/problem+json",
        "application/json, text/plain",
        "json",
        "*/*",
        "",
        ";application/json",
        "\"application/json\"",
    ] {
        for route in POSTS {
            let request =
                Request::new("POST", route).header("Content-Type", media_type).body(body.to_string());
            let reply = probe.send(&request);
            assert_eq!(reply.status, 415, "{media_type} {reply:?}");
            reply.problem(415, "unsupported_media_type");
            // The type of nothing is wrong as well.
            let empty = Request::new("POST", route).header("Content-Type", media_type);
            probe.send(&empty).problem(415, "unsupported_media_type");
        }
    }
    for route in POSTS {
        let none = Request::new("POST", route).body(body.to_string());
        probe.send(&none).problem(415, "unsupported_media_type");
        let two = Request::post(route, &body).header("Content-Type", "application/json");
        probe.send(&two).problem(415, "unsupported_media_type");
    }
    for media_type in ["application/json; charset=utf-8", "Application/JSON", "application/json ; x=y"] {
        let wrong = json!({ "email": "bob@example.com", "password": "not that of anybody" });
        let request =
            Request::new("POST", "/auth/login").header("Content-Type", media_type).body(wrong.to_string());
        probe.send(&request).problem(401, "invalid_credentials");
    }
    probe.finish().await;
}

#[actix_web::test]
async fn where_no_member_is_required_the_body_may_be_left_out() {
    let mut probe = Probe::new().await;
    for route in ["/auth/refresh", "/auth/logout"] {
        for request in [
            Request::new("POST", route),
            Request::new("POST", route).header("Content-Length", "0"),
            Request::post(route, "{}"),
            Request::post(route, r#"{"refresh_token":null}"#),
            Request::new("POST", route).header("Transfer-Encoding", "chunked").body("0\r\n\r\n"),
        ] {
            probe.send(&request).problem(401, "unauthorized");
        }
    }
    for route in ["/auth/register", "/auth/login"] {
        probe.send(&Request::new("POST", route)).problem(415, "unsupported_media_type");
    }
    probe.finish().await;
}

/// What the client adds is neither an error nor believed.
#[actix_web::test]
async fn members_that_are_not_known_are_not_bound() {
    let app = TestApp::start().await;
    let body = json!({
        "email": "alice@example.com", "password": PASSWORD, "id": "00000000-0000-0000-0000-000000000001",
        "user_id": 1, "session_id": "00000000-0000-0000-0000-000000000002", "roles": ["admin"], "scope": "everything",
        "disabled_at": null, "credentials_version": 99, "password_version": 99, "is_admin": true, "__proto__": { "admin": true },
    });
    let reply = Connection::to(&app).send(&Request::post("/auth/register", body)).expect(201);
    let user = &reply.json()["user"];
    assert_ne!(user["id"], "00000000-0000-0000-0000-000000000001");
    assert_ne!(reply.json()["session_id"], "00000000-0000-0000-0000-000000000002");
    let plain = "SELECT count(*) AS value FROM authflow.users
                 WHERE roles = '{}' AND credentials_version = 0 AND password_version = 0";
    assert_eq!(app.db_count(plain), 1);
}
