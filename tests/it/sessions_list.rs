//! One's own sessions: seen and ended by their user, and by nobody else.

use actix_authflow::TrustedProxies;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Browser, PASSWORD, TestApp, raw};

const NOBODYS: &str = "0190aaaa-0000-7000-8000-000000000000";

async fn list(browser: &Browser) -> Vec<Value> {
    let request = browser.bearer(browser.request(Method::GET, "/auth/sessions"));
    let answer = browser.clone().send(request).await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json["sessions"].as_array().unwrap().clone()
}

fn ids(sessions: &[Value]) -> Vec<&str> {
    sessions.iter().map(|session| session["id"].as_str().unwrap()).collect()
}

/// Two browsers and a phone of one user, and somebody else's browser.
async fn household(app: &TestApp) -> (Browser, Browser, Browser, Browser) {
    let (mut laptop, mut office) = (Browser::new(app), Browser::new(app));
    let (mut phone, mut stranger) = (Browser::mobile(app), Browser::new(app));
    laptop.register("alice@example.com").await.expect(201);
    office.login("alice@example.com").await.expect(200);
    phone.login("alice@example.com").await.expect(200);
    stranger.register("mallory@example.com").await.expect(201);
    (laptop, office, phone, stranger)
}

#[actix_web::test]
async fn the_list_has_the_live_sessions_of_the_user_alone_newest_first() {
    let app = TestApp::start().await;
    let (laptop, office, phone, stranger) = household(&app).await;

    let sessions = list(&laptop).await;

    assert_eq!(ids(&sessions), [phone.session(), office.session(), laptop.session()]);
    assert_eq!(ids(&list(&stranger).await), [stranger.session()]);
    let current: Vec<bool> = sessions.iter().map(|session| session["current"].as_bool().unwrap()).collect();
    assert_eq!(current, [false, false, true]);
    assert_eq!(sessions[0]["transport"], "body");
    assert_eq!(sessions[2]["transport"], "cookie");
    assert_eq!(sessions[2]["ip"], "127.0.0.1");
    let mut members: Vec<&String> = sessions[0].as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members.len(), 9, "{members:?}");
}

#[actix_web::test]
async fn last_seen_is_the_newest_generation_and_the_end_is_the_nearer_one() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let session = browser.session();
    app.db_age_session(&session, 7 * 86_400);
    browser.refresh().await.expect(200);

    let listed = list(&browser).await.remove(0);
    let text = |sql: &str| app.db_texts(sql).remove(0).unwrap();
    let rfc3339 =
        |column: &str| format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    let newest = text(&format!(
        "SELECT {} AS value FROM authflow.refresh_tokens ORDER BY generation DESC LIMIT 1",
        rfc3339("issued_at")
    ));
    let parse = |value: &str| chrono::DateTime::parse_from_rfc3339(value).unwrap();
    let at = |name: &str| parse(listed[name].as_str().unwrap());

    assert_eq!(at("last_seen_at"), parse(&newest));
    assert_eq!((at("last_seen_at") - at("created_at")).num_days(), 7);
    assert_eq!((at("expires_at") - at("last_seen_at")).num_days(), 14);
    app.db_age_session(&session, 10 * 86_400);
    browser.refresh().await.expect(200);
    let listed = list(&browser).await.remove(0);
    let at = |name: &str| parse(listed[name].as_str().unwrap());
    assert_eq!((at("expires_at") - at("created_at")).num_days(), 30, "the absolute end is the nearer one");
}

#[actix_web::test]
async fn a_device_is_listed_by_one_line_of_bounded_length_and_the_address_that_the_proxy_saw() {
    let proxies = TrustedProxies::parse("127.0.0.1").unwrap();
    let app = TestApp::with(|config| config.trusted_proxies(proxies)).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    for (name, agent, expected) in [
        ("my\n\u{1b}[2Jphone\u{202e}", "Agent\u{9b}2J/1.0", (json!("my[2Jphone"), json!("Agent2J/1.0"))),
        (&"é".repeat(400), &"x".repeat(4_000), (json!("é".repeat(128)), json!("x".repeat(512)))),
        ("\t \u{2028}", "", (Value::Null, Value::Null)),
    ] {
        let body = json!({ "email": "alice@example.com", "password": PASSWORD, "device_name": name });
        let request = browser.request(Method::POST, "/auth/login").json(&body);
        let request = request.header("X-Forwarded-For", "198.51.100.1, 192.0.2.7");
        let agent = reqwest::header::HeaderValue::from_bytes(agent.as_bytes()).unwrap();
        browser.send(request.header("User-Agent", agent)).await.expect(200);

        let session = list(&browser).await.remove(0);
        assert_eq!((&session["device_name"], &session["user_agent"]), (&expected.0, &expected.1));
        assert_eq!(session["ip"], "192.0.2.7");
    }
}

#[actix_web::test]
async fn ended_idle_and_expired_sessions_are_not_listed() {
    let app = TestApp::start().await;
    let (laptop, mut office, phone, _) = household(&app).await;

    office.logout().await.expect(204);
    app.db_age_session(&phone.session(), 15 * 86_400);

    assert_eq!(ids(&list(&laptop).await), [laptop.session()]);
}

#[actix_web::test]
async fn one_session_is_ended_at_once_and_its_owner_alone_can_do_it() {
    let app = TestApp::start().await;
    let (mut laptop, mut office, phone, mut stranger) = household(&app).await;
    let path = format!("/auth/sessions/{}", office.session());

    let before = app.db_snapshot();
    stranger.delete(&path).await.refused(404, "not_found");
    stranger.delete(&format!("/auth/sessions/{NOBODYS}")).await.refused(404, "not_found");
    assert_eq!(app.db_snapshot(), before);
    office.call_api().await.expect(200);

    let answer = laptop.delete(&path).await.expect(204);

    assert_eq!(answer.set_cookie(), None, "another session's cookie is elsewhere");
    office.call_api().await.refused(401, "session_revoked");
    assert_eq!(app.db_session_reason(&office.session()).as_deref(), Some("revoked_by_user"));
    assert_eq!(app.db_generations(&office.session()), [] as [i32; 0]);
    office.refresh().await.refused(401, "session_revoked");
    phone.call_api().await.expect(200);
    let after = app.db_snapshot();
    laptop.delete(&path).await.expect(204);
    assert_eq!(app.db_snapshot(), after, "ending it again changes nothing");
}

#[actix_web::test]
async fn ending_the_own_session_expires_its_cookie_and_no_other() {
    let app = TestApp::start().await;
    let (mut laptop, office, mut phone, _) = household(&app).await;

    // The browser has logged in anew in another tab meanwhile.
    let mut stale_tab = laptop.with_refresh_token(office.refresh_token.clone().unwrap());
    let own = format!("/auth/sessions/{}", laptop.session());
    assert_eq!(stale_tab.delete(&own).await.expect(204).set_cookie(), None);

    laptop.login("alice@example.com").await.expect(200);
    let own = format!("/auth/sessions/{}", laptop.session());
    let cookie = laptop.delete(&own).await.expect(204).set_cookie().unwrap();
    assert_eq!((cookie.value.as_str(), cookie.max_age()), ("", Some(0)));
    laptop.call_api().await.refused(401, "session_revoked");

    let own = format!("/auth/sessions/{}", phone.session());
    assert_eq!(phone.delete(&own).await.expect(204).set_cookie(), None, "a phone has no cookie");
}

#[actix_web::test]
async fn all_others_are_ended_or_all() {
    let app = TestApp::start().await;
    let (mut laptop, office, phone, stranger) = household(&app).await;

    let answer = laptop.delete("/auth/sessions?keep=current").await.expect(204);
    assert_eq!(answer.set_cookie(), None);
    laptop.call_api().await.expect(200);
    laptop.refresh().await.expect(200);
    office.call_api().await.refused(401, "session_revoked");
    phone.call_api().await.refused(401, "session_revoked");

    laptop.clone().login("alice@example.com").await.expect(200);
    let mut laptop = Browser::new(&app);
    laptop.login("alice@example.com").await.expect(200);
    let answer = laptop.delete("/auth/sessions").await.expect(204);
    assert_eq!(answer.set_cookie().unwrap().max_age(), Some(0));
    laptop.call_api().await.refused(401, "session_revoked");
    assert_eq!(app.db_live_sessions(), [stranger.session()]);
    laptop.login("alice@example.com").await.expect(200);
}

#[actix_web::test]
async fn an_unknown_query_ends_nothing() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let before = app.db_snapshot();
    for query in ["keep=all", "keep=", "kep=current", "keep=current&keep=current", "keep=Current"] {
        browser.delete(&format!("/auth/sessions?{query}")).await.refused(400, "invalid_request");
    }
    assert_eq!(app.db_snapshot(), before);
}

#[actix_web::test]
async fn the_checks_come_in_the_promised_order() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let one = format!("/auth/sessions/{}", browser.session());
    let before = app.db_snapshot();
    let nobody = Browser::new(&app);

    for method in [Method::GET, Method::DELETE, Method::POST] {
        let request = nobody.request(method, "/auth/sessions/17").header("Origin", "https://evil.example");
        nobody.clone().send(request).await.refused(404, "not_found");
    }
    for (method, path, allow) in [
        (Method::POST, "/auth/sessions", "GET, DELETE"),
        (Method::PUT, "/auth/sessions", "GET, DELETE"),
        (Method::GET, one.as_str(), "DELETE"),
    ] {
        let request = nobody.request(method, path).header("Origin", "https://evil.example");
        let answer = nobody.clone().send(request).await.refused(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow);
    }
    let large = "x".repeat(17 * 1024);
    for path in ["/auth/sessions?keep=all", "/auth/sessions", one.as_str()] {
        let request = || nobody.request(Method::DELETE, path);
        for (request, status, code) in [
            (request().header("Origin", "https://evil.example").body(large.clone()), 403, "csrf_rejected"),
            (request().body(large.clone()), 415, "unsupported_media_type"),
            (request().header("Content-Type", "text/plain").body("x"), 415, "unsupported_media_type"),
            (
                request().header("Content-Type", "application/json").body(large.clone()),
                413,
                "payload_too_large",
            ),
            (request().header("Content-Type", "application/json").body("[]"), 400, "invalid_request"),
        ] {
            nobody.clone().send(request).await.refused(status, code);
        }
    }
    let unauthorized = nobody.request(Method::DELETE, &one).json(&serde_json::json!({}));
    nobody.clone().send(unauthorized).await.refused(401, "unauthorized");
    assert_eq!(app.db_snapshot(), before);
    let answer = raw(
        &app,
        format!(
            "DELETE {one} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
            browser.access_token.as_deref().unwrap()
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}
