//! The Authorization header as attackers and careless proxies write it, and the challenges in the answers.

use serde_json::json;

use super::{Connection, Reply, Request};
use crate::support::{Browser, TestApp, jwt};

/// The scope's own guarded route, and one of the host's behind the guard.
const GUARDED: [&str; 2] = ["/auth/me", "/api/me"];
const INVALID: &str = "Bearer error=\"invalid_token\", error_description=";

/// Sends a request to every guarded route and passes the answers on, which differ in nothing.
fn every_answer(app: &TestApp, change: impl Fn(Request) -> Request) -> Vec<Reply> {
    let mut connection = Connection::to(app);
    GUARDED.iter().map(|route| connection.send(&change(Request::get(route)))).collect()
}

#[actix_web::test]
async fn one_token_is_taken_however_the_scheme_is_written() {
    let app = TestApp::start().await;
    let token = Browser::signed_up(&app, "alice@example.com").await.access_token.unwrap();
    for value in ["Bearer @", "bearer @", "BEARER @", "bEaReR @", "Bearer    @", "Bearer @  "] {
        for reply in every_answer(&app, |request| request.header("Authorization", value.replace('@', &token)))
        {
            assert_eq!(reply.status, 200, "{value} {reply:?}");
        }
    }
}

#[actix_web::test]
async fn ambiguous_and_malformed_headers_are_bad_requests() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let token = browser.access_token.clone().unwrap();
    let before = app.db_snapshot();
    for lines in [
        &["Bearer"][..],
        &["Bearer "],
        &["Bearer @ @"],
        &["Bearer @, Bearer @"],
        &["Bearer @,"],
        &["Bearer @; charset=utf-8"],
        &["Bearer \"@\""],
        &["Bearer @\tx"],
        &["Bearer <@>"],
        &["Bearer {\"token\":\"@\"}"],
        &["Bearer \u{e9}@"],
        &["Bearer ="],
        &["Bearer @", "Bearer @"],
        &["Bearer @", "Basic YTpi"],
        &["Basic YTpi", "Bearer @"],
        &["", "Bearer @"],
    ] {
        let with_headers = |request: Request| {
            lines
                .iter()
                .fold(request, |request, line| request.header("Authorization", line.replace('@', &token)))
        };
        for reply in every_answer(&app, with_headers) {
            assert_eq!(reply.status, 400, "{lines:?} {reply:?}");
            reply.problem(400, "invalid_request");
        }
        for route in ["/auth/refresh", "/auth/logout"] {
            let reply = Connection::to(&app).send(&with_headers(Request::new("POST", route)));
            assert_eq!(reply.status, 400, "{lines:?} {reply:?}");
            reply.problem(400, "invalid_request").without_cookie();
        }
    }
    assert_eq!(app.db_snapshot(), before);
}

#[actix_web::test]
async fn a_token_in_the_url_is_refused_even_beside_a_good_header() {
    let app = TestApp::start().await;
    let token = Browser::signed_up(&app, "alice@example.com").await.access_token.unwrap();
    let mut connection = Connection::to(&app);
    for route in GUARDED {
        for query in
            [format!("access_token={token}"), format!("a=1&access_token={token}"), "access_token=".into()]
        {
            let request = Request::get(&format!("{route}?{query}"));
            let reply = connection.send(&request).problem(400, "invalid_request");
            assert!(!reply.body.contains(&token));
            connection.send(&request.bearer(&token)).problem(400, "invalid_request");
        }
        // Not the name, so no token: it is not looked at.
        connection
            .send(&Request::get(&format!("{route}?access%5Ftoken={token}")))
            .problem(401, "unauthorized");
        connection.send(&Request::get(&format!("{route}?token={token}"))).problem(401, "unauthorized");
    }
    for route in ["/auth/refresh", "/auth/logout"] {
        let request = Request::new("POST", &format!("{route}?access_token={token}"));
        connection.send(&request).problem(400, "invalid_request");
    }
}

#[actix_web::test]
async fn a_header_of_another_scheme_is_no_credential_of_ours() {
    let app = TestApp::start().await;
    for value in [
        "",
        "Basic YTpi",
        "Digest username=\"a\"",
        "DPoP a.b.c",
        "Bearerx a.b.c",
        "Bearer\ta.b.c",
        "Token a.b.c",
        "a.b.c",
    ] {
        for reply in every_answer(&app, |request| request.header("Authorization", value)) {
            assert_eq!(reply.status, 401, "{value} {reply:?}");
            assert_eq!(reply.problem(401, "unauthorized").header("www-authenticate"), "Bearer");
        }
    }
    for reply in every_answer(&app, |request| request) {
        assert_eq!(reply.problem(401, "unauthorized").header("www-authenticate"), "Bearer");
    }
}

#[actix_web::test]
async fn a_bad_token_is_challenged_with_the_reason() {
    let app = TestApp::with(jwt::signed_by_hand).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let token = browser.access_token.clone().unwrap();
    let mut other_typ = jwt::header(&token);
    other_typ["typ"] = "JWT".into();
    let mut unsigned = jwt::header(&token);
    unsigned["alg"] = "none".into();
    let unsigned = jwt::sign(&unsigned, &jwt::claims(&token));
    for (token, code) in [
        (jwt::with_a_bad_signature(&token), "token_invalid"),
        (jwt::sign(&other_typ, &jwt::claims(&token)), "token_invalid"),
        (unsigned.clone(), "token_invalid"),
        (unsigned.rsplit_once('.').unwrap().0.to_owned(), "token_invalid"),
        ("a.b.c".into(), "token_invalid"),
        ("a".into(), "token_invalid"),
        (format!("{token}."), "token_invalid"),
        (format!("{token}="), "token_invalid"),
        ("a".repeat(9 * 1024), "token_invalid"),
        (jwt::aged(&token, 24 * 60 * 60), "token_expired"),
        (jwt::aged(&token, -60), "token_invalid"),
    ] {
        for reply in every_answer(&app, |request| request.bearer(&token)) {
            assert_eq!(reply.json()["code"], code, "{token} {reply:?}");
            let reply = reply.problem(401, code);
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert_eq!(reply.header("www-authenticate"), format!("{INVALID}\"{detail}\""));
        }
    }
    browser.clone().logout().await.expect(204);
    for reply in every_answer(&app, |request| request.bearer(&token)) {
        assert!(reply.problem(401, "session_revoked").header("www-authenticate").starts_with(INVALID));
    }
}

#[actix_web::test]
async fn a_header_that_is_far_too_long_is_refused_in_good_order() {
    let app = TestApp::start().await;
    let request = Request::get("/auth/me").bearer(&"a".repeat(1 << 20));
    let reply = Connection::to(&app).try_send(&request);
    assert!(reply.as_ref().is_none_or(|reply| (400..500).contains(&reply.status)), "{reply:?}");
    Connection::to(&app).send(&Request::get("/auth/me")).problem(401, "unauthorized");
}

#[actix_web::test]
async fn me_is_the_user_and_nothing_else() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "Alice@Example.com").await;
    let request = Request::get("/auth/me").bearer(browser.access_token.as_deref().unwrap());
    let mut connection = Connection::to(&app);
    let reply = connection.send(&request).expect(200);
    let created_at = reply.json()["created_at"].clone();
    assert!(created_at.as_str().unwrap().ends_with('Z'), "{created_at}");
    let expected = json!({ "id": browser.user(), "email": "Alice@Example.com", "created_at": created_at });
    assert_eq!(reply.json(), expected);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(
        (reply.header("cache-control"), reply.header("x-content-type-options")),
        ("no-store", "nosniff")
    );

    // Another node's decision that this one has not heard of yet.
    app.db_execute("UPDATE authflow.users SET disabled_at = now()");
    connection.send(&request).problem(401, "session_revoked");
}
