//! Requests that pages of other origins cause: refused on every route that changes something, before anything else is
//! looked at.

use reqwest::Method;
use serde_json::json;

use super::{Connection, Reply, Request};
use crate::support::{Browser, PASSWORD, TestApp};

/// Every route that changes something.
const ROUTES: [(&str, &str); 8] = [
    ("POST", "/auth/register"),
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/password"),
    ("DELETE", "/auth/sessions"),
    ("DELETE", "/auth/sessions?keep=current"),
    ("DELETE", "/auth/sessions/0190b2a4-0000-7000-8000-000000000000"),
];
const LIST: [&str; 2] = ["https://app.example", "http://localhost:3000"];

/// Sends to every route what has no members and no token, so that what passes is refused for another reason.
fn every_answer(app: &TestApp, lines: &[&str]) -> Vec<Reply> {
    let mut connection = Connection::to(app);
    let request = |(method, path)| match method {
        "POST" => Request::post(path, "{}"),
        _ => Request::new(method, path),
    };
    ROUTES.into_iter().map(|route| connection.send(&request(route).lines(lines))).collect()
}

fn assert_refused(app: &TestApp, lines: &[&str]) {
    for (route, reply) in ROUTES.iter().zip(every_answer(app, lines)) {
        assert_eq!(reply.status, 403, "{route:?} {lines:?} {reply:?}");
        reply.problem(403, "csrf_rejected").without_cookie();
    }
}

fn assert_passed(app: &TestApp, lines: &[&str]) {
    for (route, reply) in ROUTES.iter().zip(every_answer(app, lines)) {
        assert!(matches!(reply.status, 400 | 401), "{route:?} {lines:?} {reply:?}");
    }
}

#[actix_web::test]
async fn without_a_list_only_the_own_host_and_no_page_at_all_pass() {
    let app = TestApp::start().await;
    let own = format!("Origin: http://{}", app.address());
    let own_behind_tls = format!("Origin: https://{}", app.address());
    let other_port = format!("Origin: http://{}", std::net::SocketAddr::new(app.address().ip(), 1));
    let other_name = format!("Origin: http://localhost:{}", app.address().port());
    let suffix = format!("Origin: http://{}.evil.example", app.address());
    for lines in [
        &[][..],
        &[own.as_str()],
        &[&own_behind_tls],
        &["Sec-Fetch-Site: same-origin"],
        &["Sec-Fetch-Site: none"],
        &[&own, "Sec-Fetch-Site: same-origin"],
        &[&own, "X-Forwarded-Host: evil.example"],
        &[&own, "Forwarded: host=evil.example"],
    ] {
        assert_passed(&app, lines);
    }
    let before = app.db_snapshot();
    for lines in [
        &["Origin: https://evil.example"][..],
        &["Origin: null"],
        &["Origin: null", "Sec-Fetch-Site: same-origin"],
        &["Origin: "],
        &["Origin: *"],
        &["Origin: file://"],
        &[other_port.as_str()],
        &[&other_name],
        &[&suffix],
        &["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"],
        &["Origin: https://evil.example", "X-Forwarded-Host: evil.example"],
        &["Origin: https://evil.example", "Forwarded: host=evil.example"],
        &["Sec-Fetch-Site: cross-site"],
        &["Sec-Fetch-Site: same-site"],
        &["Sec-Fetch-Site: Same-Origin"],
        &["Sec-Fetch-Site: "],
        &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
        &[&own, "Origin: https://evil.example"],
        &[&own, &own],
    ] {
        assert_refused(&app, lines);
    }
    assert_eq!(app.db_snapshot(), before);
}

#[actix_web::test]
async fn with_a_list_the_origin_has_to_be_on_it_to_the_byte() {
    let app = TestApp::with(|config| config.allowed_origins(LIST.map(str::to_owned).into())).await;
    let own = format!("Origin: http://{}", app.address());
    for lines in [
        &[][..],
        &["Origin: https://app.example"],
        &["Origin: http://localhost:3000"],
        &["Origin: https://app.example", "Sec-Fetch-Site: same-site"],
        &["Origin: https://app.example", "Sec-Fetch-Site: cross-site"],
        &["Sec-Fetch-Site: same-origin"],
        &["Sec-Fetch-Site: none"],
    ] {
        assert_passed(&app, lines);
    }
    for lines in [
        &[own.as_str()][..],
        &[&own, "Sec-Fetch-Site: same-origin"],
        &["Origin: http://app.example"],
        &["Origin: https://app.example:443"],
        &["Origin: https://app.example/"],
        &["Origin: https://APP.example"],
        &["Origin: https://sub.app.example"],
        &["Origin: https://app.example.evil.example"],
        &["Origin: https://app.example, https://evil.example"],
        &["Origin: http://localhost:3001"],
        &["Origin: null"],
        &["Sec-Fetch-Site: same-site"],
        &["Sec-Fetch-Site: cross-site"],
    ] {
        assert_refused(&app, lines);
    }
}

/// With everything right but the page: nothing is done behind the user's back.
#[actix_web::test]
async fn a_foreign_page_with_genuine_credentials_changes_nothing() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();
    let body = |email: &str| json!({ "email": email, "password": PASSWORD });
    let passwords = json!({ "current_password": PASSWORD, "new_password": "quite another horse by now" });
    let access_token = browser.access_token.as_deref().unwrap();
    let own_session = format!("/auth/sessions/{}", browser.session());
    let mut connection = Connection::to(&app);
    for request in [
        Request::post("/auth/register", body("mallory@example.com")),
        Request::post("/auth/login", body("alice@example.com")),
        Request::new("POST", "/auth/refresh").bearer(access_token),
        Request::new("POST", "/auth/logout").bearer(access_token),
        Request::new("POST", "/auth/logout"),
        Request::post("/auth/password", passwords).bearer(access_token),
        Request::new("DELETE", "/auth/sessions").bearer(access_token),
        Request::new("DELETE", "/auth/sessions?keep=current").bearer(access_token),
        Request::new("DELETE", &own_session).bearer(access_token),
    ] {
        let cookie = format!("__Host-Http-refresh_token={}", browser.refresh_token.as_deref().unwrap());
        let request = request.header("Cookie", cookie).header("Origin", "https://evil.example");
        connection.send(&request).problem(403, "csrf_rejected").without_cookie();
    }
    assert_eq!(app.db_snapshot(), before);
    browser.clone().refresh().await.expect(200);
    browser.me().await.expect(200);
}

#[actix_web::test]
async fn a_page_of_the_own_origin_goes_through_the_whole_workflow() {
    let app = TestApp::with(|config| config.allowed_origins(LIST.map(str::to_owned).into())).await;
    let mut browser = Browser::new(&app);
    let from = |request: reqwest::RequestBuilder| request.header("Origin", "https://app.example");
    for path in ["/auth/register", "/auth/login"] {
        let request = browser.request(Method::POST, path);
        let request = request.json(&json!({ "email": "alice@example.com", "password": PASSWORD }));
        assert!(browser.send(from(request)).await.status < 300);
    }
    let passwords = json!({ "current_password": PASSWORD, "new_password": "quite another horse by now" });
    let request = browser.bearer(browser.request(Method::POST, "/auth/password")).json(&passwords);
    browser.send(from(request)).await.expect(200);
    for (method, path, status) in [
        (Method::POST, "/auth/refresh", 200),
        (Method::DELETE, "/auth/sessions?keep=current", 204),
        (Method::POST, "/auth/logout", 204),
    ] {
        let request = browser.bearer(browser.request(method, path));
        browser.send(from(request)).await.expect(status);
    }
}

/// Reading is not refused: without CORS headers, of which the scope sends none, a foreign page cannot see the answer.
#[actix_web::test]
async fn no_answer_has_a_cors_header() {
    for list in [Vec::new(), LIST.map(str::to_owned).to_vec()] {
        let app = TestApp::with(|config| config.allowed_origins(list)).await;
        let browser = Browser::signed_up(&app, "alice@example.com").await;
        let token = browser.access_token.as_deref().unwrap();
        let mut connection = Connection::to(&app);
        for origin in ["https://evil.example", "https://app.example", "null"] {
            for request in [
                Request::get("/auth/me").bearer(token),
                Request::get("/auth/.well-known/jwks.json"),
                Request::post("/auth/login", "{}"),
                Request::new("OPTIONS", "/auth/login").header("Access-Control-Request-Method", "POST"),
            ] {
                let reply = connection.send(&request.header("Origin", origin));
                let cors = reply.headers.iter().any(|(name, _)| name.starts_with("access-control-"));
                assert!(!cors, "{reply:?}");
            }
            connection.send(&Request::get("/auth/me").bearer(token).header("Origin", origin)).expect(200);
        }
    }
}
