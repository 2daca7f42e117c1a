//! The order of checks, and methods. A request with several faults is answered for the first of them.

use serde_json::json;

use super::{Connection, Request};
use crate::support::{Browser, TestApp};

const POSTS: [&str; 5] = ["/auth/register", "/auth/login", "/auth/refresh", "/auth/logout", "/auth/password"];
const GETS: [&str; 3] = ["/auth/me", "/auth/.well-known/jwks.json", "/auth/client.js"];

#[actix_web::test]
async fn of_several_faults_the_first_in_order_is_told() {
    let app = TestApp::start().await;
    let before = app.db_snapshot();
    let huge = "[".repeat(16 * 1024 + 1);
    let faulty = |method: &str, path: &str, body: &str| {
        Request::new(method, path)
            .header("Origin", "https://evil.example")
            .header("Content-Type", "text/plain")
            .header("Authorization", "Bearer a")
            .header("Authorization", "Bearer b")
            .body(body)
    };
    for route in POSTS {
        let foreign = faulty("POST", route, &huge);
        let text = foreign.clone().without("Origin");
        let large = text.clone().without("Content-Type").header("Content-Type", "application/json");
        let malformed = large.clone().body("[");
        for (request, status, code) in [
            (faulty("POST", &format!("{route}/nowhere"), &huge), 404, "not_found"),
            (faulty("PUT", &format!("{route}x"), &huge), 404, "not_found"),
            (faulty("PUT", route, &huge), 405, "method_not_allowed"),
            (foreign, 403, "csrf_rejected"),
            (text, 415, "unsupported_media_type"),
            (large, 413, "payload_too_large"),
            (malformed, 400, "invalid_request"),
        ] {
            Connection::to(&app).send(&request).problem(status, code).without_cookie();
        }
    }
    assert_eq!(app.db_snapshot(), before);
}

/// 400 comes before 401: an ambiguous request is never answered by what half of it says.
#[actix_web::test]
async fn an_ambiguous_request_is_told_before_what_is_missing_from_it() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();
    let (token, refresh_token) = (browser.access_token.unwrap(), browser.refresh_token.unwrap());
    let mut connection = Connection::to(&app);
    let two_headers = |request: Request| request.bearer(&token).bearer(&token);
    let two_cookies =
        |request: Request| request.header("Cookie", format!("{0}; {0}", "__Host-Http-refresh_token=x"));
    for route in ["/auth/refresh", "/auth/logout"] {
        let bare = Request::new("POST", route);
        let body = Request::post(route, json!({ "refresh_token": refresh_token }));
        let both = body.clone().header("Cookie", format!("__Host-Http-refresh_token={refresh_token}"));
        for request in [
            two_headers(bare.clone()),
            two_headers(body.clone()),
            two_cookies(bare.clone()),
            two_cookies(bare.bearer(&token)),
            two_cookies(body.bearer(&token)),
            both.clone(),
            both.bearer(&token),
        ] {
            connection.send(&request).problem(400, "invalid_request").without_cookie();
        }
    }
    assert_eq!(app.db_snapshot(), before);
}

#[actix_web::test]
async fn what_is_missing_is_told_in_order_too() {
    let app = TestApp::start().await;
    let (alice, bob) = (
        Browser::signed_up(&app, "alice@example.com").await,
        Browser::signed_up(&app, "bob@example.com").await,
    );
    let before = app.db_snapshot();
    let mut connection = Connection::to(&app);
    let mut refresh = |access_token: Option<&str>, refresh_token: Option<&str>| {
        let request = Request::new("POST", "/auth/refresh");
        let request = access_token.into_iter().fold(request, |request, token| request.bearer(token));
        let cookie = refresh_token.map(|token| format!("__Host-Http-refresh_token={token}"));
        connection.send(&cookie.iter().fold(request, |request, cookie| request.header("Cookie", cookie)))
    };
    let (jwt, refresh_token) = (alice.access_token.as_deref(), alice.refresh_token.as_deref());
    refresh(None, None).problem(401, "unauthorized");
    refresh(jwt, None).problem(401, "unauthorized");
    refresh(Some("a.b.c"), None).problem(401, "unauthorized");
    refresh(None, Some("rt_rubbish")).problem(401, "access_token_required");
    refresh(Some("a.b.c"), Some("rt_rubbish")).problem(401, "refresh_token_invalid");
    refresh(Some("a.b.c"), refresh_token).problem(401, "token_invalid");
    refresh(bob.access_token.as_deref(), refresh_token).problem(401, "token_mismatch");
    assert_eq!(app.db_snapshot(), before);
    refresh(jwt, refresh_token).expect(200);
}

#[actix_web::test]
async fn every_other_method_is_refused_with_the_one_that_is_allowed() {
    let app = TestApp::start().await;
    let before = app.db_snapshot();
    let mut connection = Connection::to(&app);
    let routes = POSTS.map(|route| (route, "POST")).into_iter().chain(GETS.map(|route| (route, "GET")));
    for (route, allowed) in routes {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X"] {
            if method == allowed {
                continue;
            }
            let reply = connection.send(&Request::new(method, route)).problem(405, "method_not_allowed");
            assert_eq!(reply.header("allow"), allowed, "{method} {route}");
        }
    }
    assert_eq!(app.db_snapshot(), before);
}

/// What a HEAD would have brought stays away; a body after it would be read as the next answer.
#[actix_web::test]
async fn an_answer_to_head_has_no_body() {
    let app = TestApp::start().await;
    let mut connection = Connection::to(&app);
    for route in POSTS.into_iter().chain(GETS).chain(["/auth/nowhere"]) {
        let reply = connection.send(&Request::new("HEAD", route));
        assert!(matches!(reply.status, 200 | 401 | 404 | 405), "{route} {reply:?}");
        connection.send(&Request::get("/auth/me")).problem(401, "unauthorized");
    }
}

#[actix_web::test]
async fn what_is_not_there_is_not_found_whatever_is_sent() {
    let app = TestApp::start().await;
    let mut connection = Connection::to(&app);
    for path in [
        "/auth",
        "/auth/",
        "/auth/LOGIN",
        "/auth/login/",
        "/auth//login",
        "/auth/login%20",
        "/auth/login;a=b",
        "/auth/%00",
        "/auth/.well-known/",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let reply = connection.send(&Request::new(method, path));
            assert_eq!(reply.status, 404, "{method} {path} {reply:?}");
        }
    }
}

#[actix_web::test]
async fn a_closed_registration_is_not_there_for_any_method() {
    let app = TestApp::with(|config| config.registration(actix_authflow::Registration::Closed)).await;
    let mut connection = Connection::to(&app);
    for method in ["GET", "POST", "PUT", "OPTIONS"] {
        let request = Request::new(method, "/auth/register").header("Origin", "https://evil.example");
        connection.send(&request).problem(404, "not_found");
    }
}
