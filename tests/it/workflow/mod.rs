//! The workflow: register or log in, call, refresh, log out.

mod hooks;
mod hosts;
mod logout;
mod transports;

use std::time::Duration;

use actix_authflow::Registration;
use serde_json::json;

use crate::support::{Browser, PASSWORD, TestApp, eventually, jwt};

#[actix_web::test]
async fn whoever_registers_can_call_at_once() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);

    let answer = browser.register("alice@example.com").await.expect(201);

    let user = answer.json["user"].clone();
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!(answer.json["expires_in"], 30 * 60);
    assert_eq!(user["email"], "alice@example.com");
    let called = browser.call_api().await.expect(200);
    assert_eq!(called.json["user_id"], user["id"]);
    assert_eq!(called.json["session_id"], answer.session_id().as_str());
    assert_eq!(browser.me().await.expect(200).json, user);
}

#[actix_web::test]
async fn whoever_logs_in_gets_a_session_of_its_own() {
    let app = TestApp::start().await;
    let first = Browser::signed_up(&app, "alice@example.com").await;

    let mut second = Browser::new(&app);
    second.login("Alice@Example.com").await.expect(200);

    assert_eq!(second.user(), first.user());
    assert_ne!(second.session(), first.session());
    assert_eq!(app.db_live_sessions(), [first.session(), second.session()]);
    first.call_api().await.expect(200);
    second.call_api().await.expect(200);
}

#[actix_web::test]
async fn a_wrong_password_and_an_unknown_user_are_answered_alike() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();
    let mut browser = Browser::new(&app);

    let wrong = browser.login_with("alice@example.com", "another horse entirely").await;
    let unknown = browser.login("bob@example.com").await;
    let impossible = browser.login("no address at all").await;

    for answer in [&wrong, &unknown, &impossible] {
        answer.clone().refused(401, "invalid_credentials");
        assert_eq!(answer.text, wrong.text);
        assert!(answer.set_cookie().is_none());
    }
    app.db_unchanged_since(&before);
}

#[actix_web::test]
async fn an_expired_jwt_is_refreshed_and_the_call_repeated() {
    let app = TestApp::with(jwt::signed_by_hand).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let session = browser.session();
    let expired = jwt::aged(browser.access_token.as_deref().unwrap(), 60 * 60);
    browser.access_token = Some(expired.clone());
    app.db_age_session(&session, 60 * 60);

    browser.call_api().await.refused(401, "token_expired");
    browser.me().await.refused(401, "token_expired");
    let answer = browser.refresh().await.expect(200);

    assert_eq!(answer.session_id(), session);
    assert_ne!(answer.access_token(), Some(expired));
    browser.call_api().await.expect(200);
    assert_eq!(app.db_generations(&session), [0, 1]);
}

#[actix_web::test]
async fn a_jwt_is_refused_when_the_leeway_is_over() {
    for (leeway, age_beyond_exp, status) in [(0, 2, 401), (30, 10, 200)] {
        let app =
            TestApp::with(|config| jwt::signed_by_hand(config).leeway(Duration::from_secs(leeway))).await;
        let mut browser = Browser::signed_up(&app, "alice@example.com").await;
        let token = jwt::aged(browser.access_token.as_deref().unwrap(), 1_800 + age_beyond_exp);
        browser.access_token = Some(token);
        browser.call_api().await.expect(status);
    }
}

#[actix_web::test]
async fn a_jwt_dies_of_age_and_a_refresh_replaces_it() {
    let app = TestApp::with(|config| config.access_ttl(Duration::from_secs(1))).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    browser.call_api().await.expect(200);

    // One second, and the five that clocks may differ.
    eventually("the token dies", async || browser.call_api().await.status != 200).await;

    browser.call_api().await.refused(401, "token_expired");
    browser.refresh().await.expect(200);
    browser.call_api().await.expect(200);
}

#[actix_web::test]
async fn a_session_goes_on_for_as_long_as_it_is_refreshed() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let session = browser.session();

    for generation in 1..=5 {
        let (access, refresh) = (browser.access_token.clone(), browser.refresh_token.clone());
        app.db_age_session(&session, 60);
        browser.refresh().await.expect(200);

        assert_ne!(browser.access_token, access);
        assert_ne!(browser.refresh_token, refresh);
        assert_eq!(app.db_generations(&session).last(), Some(&generation));
        browser.call_api().await.expect(200);
    }
    assert_eq!(app.db_live_sessions(), [session]);
}

#[actix_web::test]
async fn an_address_is_registered_once_however_it_is_written() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();

    for again in ["alice@example.com", "ALICE@EXAMPLE.COM", "Alice@Example.com"] {
        let answer = Browser::new(&app).register(again).await.refused(409, "email_taken");
        assert!(answer.set_cookie().is_none());
    }
    app.db_unchanged_since(&before);
}

#[actix_web::test]
async fn bad_addresses_and_passwords_are_not_registered() {
    let app = TestApp::start().await;
    let before = app.db_snapshot();
    let mut browser = Browser::new(&app);

    for email in ["alice", "alice@", "a b@example.com", "alice@example.com\u{7}"] {
        browser.register(email).await.refused(422, "invalid_email");
    }
    for password in ["short", "password1", "alice@example.com"] {
        let body = json!({ "email": "alice@example.com", "password": password });
        browser.post("/auth/register", &body).await.refused(422, "weak_password");
    }
    app.db_unchanged_since(&before);
}

#[actix_web::test]
async fn closed_registration_is_not_there() {
    let app = TestApp::with(|config| config.registration(Registration::Closed)).await;
    let before = app.db_snapshot();
    let mut browser = Browser::new(&app);

    browser.register("alice@example.com").await.refused(404, "not_found");
    browser.post("/auth/register", &json!(["anything"])).await.refused(404, "not_found");
    app.db_unchanged_since(&before);

    let draft = actix_authflow::UserDraft::new().email("alice@example.com").password(PASSWORD);
    app.auth.create_user(draft).await.unwrap();
    browser.login("alice@example.com").await.expect(200);
}
