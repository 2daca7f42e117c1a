//! The refresh cookie in answers: what it is set with, and what removes it.

use std::time::Duration;

use actix_authflow::AuthConfig;
use serde_json::{Value, json};

use super::{Connection, Reply, Request};
use crate::support::{Browser, PASSWORD, SetCookie, TestApp, jwt};

const FORTNIGHT: &str = "Max-Age=1209600";

fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}

/// Without the value, which is a token.
fn shape(cookie: &SetCookie) -> String {
    format!("{}=; {}", cookie.name, cookie.attributes.join("; "))
}

/// The shapes of the cookies that come with registration, login, refresh and logout.
async fn shapes(app: &TestApp) -> [String; 4] {
    let mut browser = Browser::new(app);
    let registered = browser.register("alice@example.com").await.expect(201);
    let logged_in = browser.login("alice@example.com").await.expect(200);
    let refreshed = browser.refresh().await.expect(200);
    let logged_out = browser.logout().await.expect(204);
    [registered, logged_in, refreshed, logged_out].map(|answer| shape(&answer.set_cookie().unwrap()))
}

fn secure(life: &str) -> String {
    format!("__Host-Http-refresh_token=; Path=/; Secure; HttpOnly; SameSite=Strict; {life}")
}

#[actix_web::test]
async fn every_attribute_is_as_promised_whether_set_or_removed() {
    let app = TestApp::start().await;
    let removed = secure("Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(shapes(&app).await, [secure(FORTNIGHT), secure(FORTNIGHT), secure(FORTNIGHT), removed]);
}

#[actix_web::test]
async fn the_value_is_a_token_when_set_and_nothing_when_removed() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let set = browser.refresh().await.expect(200).set_cookie().unwrap();
    assert!(set.value.starts_with("rt_") && set.value.len() == 95, "{} bytes", set.value.len());
    let removed = browser.logout().await.expect(204).set_cookie().unwrap();
    assert_eq!(removed.value, "");
}

#[actix_web::test]
async fn a_session_that_is_not_to_be_remembered_has_a_cookie_without_life() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    let shape_without_life = secure("").trim_end_matches("; ").to_owned();
    let body = json!({ "email": "alice@example.com", "password": PASSWORD, "remember": false });
    for path in ["/auth/register", "/auth/login"] {
        let answer = browser.post(path, &body).await;
        assert_eq!(shape(&answer.set_cookie().unwrap()), shape_without_life);
    }
    app.db_age_session(&browser.session(), 60);
    assert_eq!(shape(&browser.refresh().await.expect(200).set_cookie().unwrap()), shape_without_life);
}

#[actix_web::test]
async fn the_last_part_of_the_name_can_be_chosen() {
    let app = TestApp::with(|config: AuthConfig| config.cookie_name("second-app.session")).await;
    let mut browser = Browser::new(&app);
    let set = browser.register("alice@example.com").await.expect(201).set_cookie().unwrap();
    assert_eq!(set.name, "__Host-Http-second-app.session");
    let request = Request::new("POST", "/auth/refresh").bearer(browser.access_token.as_deref().unwrap());
    let mut connection = Connection::to(&app);
    let other_name = request.clone().header("Cookie", format!("__Host-Http-refresh_token={}", set.value));
    connection.send(&other_name).problem(401, "unauthorized");
    connection.send(&request.header("Cookie", format!("{}={}", set.name, set.value))).expect(200);
}

#[actix_web::test]
async fn an_insecure_cookie_has_neither_prefix_nor_secure() {
    let app = TestApp::with(|config| config.cookie_insecure(true)).await;
    let mut browser = Browser::new(&app);
    let set = browser.register("alice@example.com").await.expect(201).set_cookie().unwrap();
    assert_eq!(shape(&set), format!("refresh_token=; Path=/; HttpOnly; SameSite=Strict; {FORTNIGHT}"));
    let request = |path: &str| {
        let request = Request::new("POST", path).bearer(browser.access_token.as_deref().unwrap());
        request.header("Cookie", format!("refresh_token={}", set.value))
    };
    let mut connection = Connection::to(&app);
    connection.send(&request("/auth/refresh")).expect(200);
    let removed = connection.send(&request("/auth/logout")).expect(204);
    let expected =
        "refresh_token=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(removed.header("set-cookie"), expected);
}

#[actix_web::test]
async fn the_life_is_the_nearer_of_idle_and_absolute_end() {
    let app = TestApp::with(|config| {
        config.refresh_ttl(Duration::from_secs(1_000)).session_ttl(Duration::from_secs(3_000))
    })
    .await;
    let mut browser = Browser::new(&app);
    let registered = browser.register("alice@example.com").await.expect(201);
    assert_eq!(registered.set_cookie().unwrap().max_age(), Some(1_000));

    // After each step the idle life is new; the absolute one goes on.
    for (passed, expected) in [(900, 1_000..=1_000), (900, 1_000..=1_000), (900, 295..=300), (200, 95..=100)]
    {
        app.db_age_session(&browser.session(), passed);
        let max_age = browser.refresh().await.expect(200).set_cookie().unwrap().max_age().unwrap();
        assert!(expected.contains(&max_age), "{max_age} is not in {expected:?}");
    }
}

/// A cookie set with `Max-Age=0` would be one that is removed.
#[actix_web::test]
async fn a_refresh_in_the_last_second_of_a_session_does_not_remove_the_cookie() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    app.db_execute(
        "UPDATE authflow.sessions SET expires_at = clock_timestamp() + interval '900 milliseconds'",
    );
    let answer = browser.refresh().await;
    // A machine that needed longer than that has nothing to show here.
    if answer.status == 200 {
        assert_eq!(shape(&answer.set_cookie().unwrap()), secure("Max-Age=1"));
    }
}

#[actix_web::test]
async fn a_body_session_never_sees_a_cookie() {
    let app = TestApp::start().await;
    let mut phone = Browser::mobile(&app);
    for answer in [
        phone.register("alice@example.com").await.expect(201),
        phone.login("alice@example.com").await.expect(200),
        phone.refresh().await.expect(200),
        phone.logout().await.expect(204),
        phone.logout().await.expect(204),
    ] {
        assert_eq!(answer.set_cookie(), None, "{answer:?}");
    }
}

/// The answer for a dead session could wipe the cookie of a newer login, because cookies have no compare-and-delete.
#[actix_web::test]
async fn no_refusal_of_a_refresh_touches_the_cookie() {
    let app = TestApp::with(jwt::signed_by_hand).await;
    let mut connection = Connection::to(&app);
    let mut send = |access_token: Option<&str>, cookie: &str, lines: &[&str]| -> Reply {
        let request = Request::new("POST", "/auth/refresh").header("Cookie", cookie).lines(lines);
        let request = access_token.iter().fold(request, |request, token| request.bearer(token));
        connection.send(&request).without_cookie()
    };
    let cookie = |browser: &Browser| {
        format!("__Host-Http-refresh_token={}", browser.refresh_token.as_deref().unwrap())
    };
    let token = |browser: &Browser| browser.access_token.clone().unwrap();
    let live = Browser::signed_up(&app, "alice@example.com").await;
    let other = Browser::signed_up(&app, "bob@example.com").await;
    let (jwt, ours) = (token(&live), cookie(&live));

    send(Some(&jwt), "", &[]).problem(401, "unauthorized");
    send(Some(&jwt), "__Host-Http-refresh_token=", &[]).problem(401, "refresh_token_invalid");
    send(Some(&jwt), "__Host-Http-refresh_token=rt_rubbish", &[]).problem(401, "refresh_token_invalid");
    send(None, &ours, &[]).problem(401, "access_token_required");
    send(Some("a.b.c"), &ours, &[]).problem(401, "token_invalid");
    send(Some(&jwt::with_a_bad_signature(&jwt)), &ours, &[]).problem(401, "token_invalid");
    send(Some(&token(&other)), &ours, &[]).problem(401, "token_mismatch");
    send(Some(&jwt), &format!("{ours}; {ours}"), &[]).problem(400, "invalid_request");
    send(Some(&jwt), &ours, &["Authorization: Bearer a"]).problem(400, "invalid_request");
    send(Some(&jwt), &ours, &["Origin: https://evil.example"]).problem(403, "csrf_rejected");
    send(Some(&jwt), &ours, &["Content-Type: text/plain"]).problem(415, "unsupported_media_type");

    let mut ended = live.clone();
    ended.refresh().await.expect(200);
    app.db_age_session(&live.session(), 60);
    ended.refresh().await.expect(200);
    send(Some(&jwt), &ours, &[]).problem(401, "refresh_token_reused");
    send(Some(&jwt), &ours, &[]).problem(401, "session_revoked");

    app.db_execute("UPDATE authflow.sessions SET expires_at = created_at WHERE revoked_at IS NULL");
    send(Some(&token(&other)), &cookie(&other), &[]).problem(401, "refresh_token_expired");
    app.db_execute("DELETE FROM authflow.sessions");
    send(Some(&token(&other)), &cookie(&other), &[]).problem(401, "refresh_token_invalid");
}

#[actix_web::test]
async fn a_login_that_fails_touches_no_cookie() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let cookie = format!("__Host-Http-refresh_token={}", browser.refresh_token.as_deref().unwrap());
    let mut connection = Connection::to(&app);
    let wrong = json!({ "email": "alice@example.com", "password": "not the password" });
    for (path, body, status, code) in [
        ("/auth/login", wrong, 401, "invalid_credentials"),
        ("/auth/register", credentials("alice@example.com"), 409, "email_taken"),
        ("/auth/register", json!({ "email": "x", "password": PASSWORD }), 422, "invalid_email"),
    ] {
        let request = Request::post(path, body).header("Cookie", &cookie);
        connection.send(&request).problem(status, code).without_cookie();
    }
}
