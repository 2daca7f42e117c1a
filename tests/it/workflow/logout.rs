//! Logging out.

use crate::support::{Browser, TestApp, eventually, jwt};

#[actix_web::test]
async fn logout_ends_the_session_on_every_node() {
    let app = TestApp::start().await;
    let other = app.second_node().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = browser.clone();
    let elsewhere = browser.at(&other);
    elsewhere.call_api().await.expect(200);

    let answer = browser.logout().await.expect(204);

    assert_eq!(answer.text, "");
    assert_eq!(browser.refresh_token, None);
    before.call_api().await.refused(401, "session_revoked");
    before.clone().refresh().await.refused(401, "session_revoked");
    assert_eq!(app.db_generations(&before.session()), [0; 0]);
    assert_eq!(app.db_session_reason(&before.session()).as_deref(), Some("logged_out"));
    eventually("the other node hears of it", async || elsewhere.call_api().await.status != 200).await;
    elsewhere.call_api().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn logout_expires_the_cookie_with_the_attributes_it_was_set_with() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    let set = browser.register("alice@example.com").await.expect(201).set_cookie().unwrap();

    let cleared = browser.logout().await.expect(204).set_cookie().unwrap();

    assert_eq!(cleared.name, set.name);
    assert_eq!(cleared.value, "");
    assert_eq!(cleared.max_age(), Some(0));
    assert!(cleared.attribute("Expires").is_some_and(|date| date.ends_with(" GMT")), "{cleared:?}");
    for attribute in ["Path", "Secure", "HttpOnly", "SameSite"] {
        assert_eq!(cleared.attribute(attribute), set.attribute(attribute), "{attribute}");
    }
}

#[actix_web::test]
async fn logout_may_be_repeated() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;

    for _ in 0..3 {
        browser.clone().logout().await.expect(204);
    }
    assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("logged_out"));
}

#[actix_web::test]
async fn logout_ends_one_session_and_no_other() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut second = Browser::new(&app);
    second.login("alice@example.com").await.expect(200);

    browser.logout().await.expect(204);

    second.call_api().await.expect(200);
    second.refresh().await.expect(200);
    assert_eq!(app.db_live_sessions(), [second.session()]);
}

#[actix_web::test]
async fn logout_works_with_an_expired_jwt_and_with_either_token_alone() {
    let app = TestApp::with(jwt::signed_by_hand).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let expired = jwt::aged(browser.access_token.as_deref().unwrap(), 90_000);
    let both = browser.with_access_token(&expired);

    let cookie_alone = async {
        let mut browser = Browser::new(&app);
        browser.login("alice@example.com").await.expect(200);
        browser.without_access_token()
    };
    let jwt_alone = async {
        let mut browser = Browser::new(&app);
        browser.login("alice@example.com").await.expect(200);
        let expired = jwt::aged(browser.access_token.as_deref().unwrap(), 90_000);
        browser.with_access_token(expired).without_refresh_token()
    };
    for mut browser in [both, cookie_alone.await, jwt_alone.await] {
        let live = app.db_live_sessions().len();
        browser.logout().await.expect(204);
        assert_eq!(app.db_live_sessions().len(), live - 1);
    }
    assert_eq!(app.db_live_sessions().len(), 0);
}

#[actix_web::test]
async fn any_genuine_generation_logs_out() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let session = browser.session();
    let oldest = browser.refresh_token.clone().unwrap();
    for _ in 0..3 {
        app.db_age_session(&session, 60);
        browser.refresh().await.expect(200);
    }

    browser.with_refresh_token(oldest).without_access_token().logout().await.expect(204);

    browser.call_api().await.refused(401, "session_revoked");
    assert_eq!(app.db_session_reason(&session).as_deref(), Some("logged_out"));
    assert_eq!(app.db_generations(&session), [0; 0]);
}

#[actix_web::test]
async fn a_jwt_of_another_session_beside_a_refresh_token_is_ignored() {
    let app = TestApp::start().await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    let bob = Browser::signed_up(&app, "bob@example.com").await;

    alice.with_access_token(bob.access_token.clone().unwrap()).logout().await.expect(204);

    bob.call_api().await.expect(200);
    alice.call_api().await.refused(401, "session_revoked");
    assert_eq!(app.db_live_sessions(), [bob.session()]);
}

#[actix_web::test]
async fn nothing_genuine_logs_nobody_out() {
    let app = TestApp::start().await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();
    let nothing = Browser::new(&app);
    let mut forged = alice.refresh_token.clone().unwrap();
    forged.replace_range(30..34, "AAAA");
    let bad_jwt = jwt::with_a_bad_signature(alice.access_token.as_deref().unwrap());

    nothing.clone().logout().await.refused(401, "unauthorized");
    nothing.with_refresh_token(forged).logout().await.refused(401, "refresh_token_invalid");
    nothing.with_access_token(bad_jwt).logout().await.refused(401, "token_invalid");

    app.db_unchanged_since(&before);
    alice.call_api().await.expect(200);
}

#[actix_web::test]
async fn after_logging_out_one_can_log_in_again() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let ended = browser.session();

    browser.logout().await.expect(204);
    browser.login("alice@example.com").await.expect(200);

    assert_ne!(browser.session(), ended);
    browser.call_api().await.expect(200);
    browser.refresh().await.expect(200);
}

#[actix_web::test]
async fn a_node_that_starts_later_knows_who_has_logged_out() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    browser.clone().logout().await.expect(204);

    let app = app.restart().await;

    browser.at(&app).call_api().await.refused(401, "session_revoked");
}
