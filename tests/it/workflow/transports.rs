//! How the refresh token travels, and what becomes of the one that a login brings along.

use serde_json::json;

use crate::support::{Browser, PASSWORD, TestApp};

#[actix_web::test]
async fn a_browser_gets_its_refresh_token_in_the_cookie_alone() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    let days = 24 * 60 * 60;

    let registered = browser.register("alice@example.com").await.expect(201);
    let cookie = registered.set_cookie().unwrap();

    assert_eq!(cookie.name, "__Host-Http-refresh_token");
    assert!(cookie.value.starts_with("rt_"));
    assert_eq!(cookie.attribute("Path"), Some("/"));
    assert_eq!(cookie.attribute("SameSite"), Some("Strict"));
    assert!(cookie.attribute("Secure").is_some() && cookie.attribute("HttpOnly").is_some());
    assert_eq!(cookie.attribute("Domain"), None);
    assert!((14 * days - 5..=14 * days).contains(&cookie.max_age().unwrap()), "{cookie:?}");
    for answer in [registered, browser.refresh().await.expect(200)] {
        assert!(answer.json.get("refresh_token").is_none());
        assert!(!answer.text.contains("rt_"));
    }
}

#[actix_web::test]
async fn a_phone_gets_its_refresh_token_in_the_body_alone() {
    let app = TestApp::start().await;
    let mut phone = Browser::mobile(&app);
    let days = 24 * 60 * 60;

    let registered = phone.register("alice@example.com").await.expect(201);
    let session = phone.session();
    let first = phone.refresh_token.clone();
    let refreshed = phone.refresh().await.expect(200);

    for answer in [registered, refreshed] {
        assert!(answer.set_cookie().is_none());
        assert_eq!(answer.json["expires_in"], 5 * 60);
        let life = answer.json["refresh_expires_in"].as_i64().unwrap();
        assert!((14 * days - 5..=14 * days).contains(&life), "{life}");
    }
    assert_ne!(phone.refresh_token, first);
    phone.call_api().await.expect(200);
    phone.logout().await.expect(204);
    phone.call_api().await.refused(401, "session_revoked");
    assert_eq!(app.db_generations(&session), [0; 0]);
}

#[actix_web::test]
async fn who_is_not_to_be_remembered_is_forgotten_with_the_browser() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let body = json!({ "email": "alice@example.com", "password": PASSWORD, "remember": false });

    let login = browser.post("/auth/login", &body).await.expect(200);
    let rotation = browser.refresh().await.expect(200);
    let itself_again = browser.refresh().await.expect(200);

    for answer in [login, rotation, itself_again] {
        let cookie = answer.set_cookie().unwrap();
        assert_eq!((cookie.max_age(), cookie.attribute("Expires")), (None, None), "{cookie:?}");
    }
}

#[actix_web::test]
async fn a_login_ends_the_session_whose_cookie_comes_along() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let replaced = browser.clone();

    browser.login("alice@example.com").await.expect(200);

    assert_ne!(browser.session(), replaced.session());
    assert_eq!(app.db_live_sessions(), [browser.session()]);
    assert_eq!(app.db_session_reason(&replaced.session()).as_deref(), Some("replaced"));
    assert_eq!(app.db_generations(&replaced.session()), [0; 0]);
    replaced.call_api().await.refused(401, "session_revoked");
    replaced.clone().refresh().await.refused(401, "session_revoked");
    browser.refresh().await.expect(200);
}

#[actix_web::test]
async fn a_registration_ends_the_session_whose_cookie_comes_along() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let replaced = browser.clone();

    browser.register("bob@example.com").await.expect(201);

    assert_ne!(browser.user(), replaced.user());
    assert_eq!(app.db_live_sessions(), [browser.session()]);
    replaced.call_api().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn a_login_that_fails_ends_no_session() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();

    let wrong = browser.clone().login_with("alice@example.com", "another horse entirely").await;
    let taken = browser.clone().register("alice@example.com").await;

    wrong.refused(401, "invalid_credentials");
    taken.refused(409, "email_taken");
    app.db_unchanged_since(&before);
    browser.call_api().await.expect(200);
}

#[actix_web::test]
async fn a_forged_cookie_beside_a_login_ends_no_session() {
    let app = TestApp::start().await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    let mut forged = alice.refresh_token.clone().unwrap();
    forged.replace_range(60..64, "AAAA");

    alice.with_refresh_token(forged).login("alice@example.com").await.expect(200);
    alice.with_refresh_token("rubbish").login("alice@example.com").await.expect(200);

    assert_eq!(app.db_live_sessions().len(), 3);
    alice.call_api().await.expect(200);
}
