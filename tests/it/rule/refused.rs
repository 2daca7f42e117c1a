//! Genuine tokens that are refused.

use super::{refused_without_a_trace, rotate};
use crate::support::{Browser, TestApp, jwt, wire};

#[actix_web::test]
async fn a_session_that_was_purged_is_not_known() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    app.db_execute("DELETE FROM authflow.sessions");

    refused_without_a_trace(&app, &browser, "refresh_token_invalid").await;
}

#[actix_web::test]
async fn a_revoked_session_is_refused_whatever_the_reason() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    for reason in ["logged_out", "revoked_by_user", "password_changed", "evicted", "reuse"] {
        app.db_execute(&format!(
            "UPDATE authflow.sessions SET revoked_at = now(), revoked_reason = '{reason}'"
        ));
        refused_without_a_trace(&app, &browser, "session_revoked").await;
    }
}

#[actix_web::test]
async fn a_disabled_user_is_refused_and_the_session_waits() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    app.db_execute("UPDATE authflow.users SET disabled_at = now()");

    refused_without_a_trace(&app, &browser, "session_revoked").await;

    app.db_execute("UPDATE authflow.users SET disabled_at = NULL");
    browser.refresh().await.expect(200);
}

#[actix_web::test]
async fn a_token_is_good_by_its_own_transport_only() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut phone = Browser::mobile_signed_up(&app, "bob@example.com").await;

    for client in [&browser, &phone] {
        refused_without_a_trace(&app, &client.by_the_other_transport(), "refresh_token_invalid").await;
    }

    // Not even an old generation, which by its own transport is reuse.
    let old = [browser.clone(), phone.clone()];
    rotate(&app, &mut browser).await;
    app.db_age_session(&phone.session(), 31);
    phone.refresh().await.expect(200);
    for client in old {
        app.db_age_session(&client.session(), 31);
        refused_without_a_trace(&app, &client.by_the_other_transport(), "refresh_token_invalid").await;
    }
    browser.refresh().await.expect(200);
    phone.refresh().await.expect(200);
}

#[actix_web::test]
async fn a_token_by_both_transports_at_once_is_ambiguous() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = app.db_snapshot();
    let token = browser.refresh_token.clone().unwrap();

    for path in ["/auth/refresh", "/auth/logout"] {
        let request = browser.bearer(browser.request(reqwest::Method::POST, path));
        let request = request.json(&serde_json::json!({ "refresh_token": token }));
        browser.clone().send(request).await.refused(400, "invalid_request");
    }
    app.db_unchanged_since(&before);
}

#[actix_web::test]
async fn the_jwt_of_another_session_is_a_mismatch_that_the_database_never_hears_of() {
    let app = TestApp::start().await;
    let wire = wire::Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config.database_pool(1)).await;
    let alice = Browser::signed_up(&app, "alice@example.com").await.at(&node);
    let bob = Browser::signed_up(&app, "bob@example.com").await.at(&node);
    let mut alice_again = Browser::new(&app);
    alice_again.login("alice@example.com").await.expect(200);
    wire.forget();

    for other in [&bob, &alice_again] {
        let mixed = alice.with_access_token(other.access_token.clone().unwrap());
        refused_without_a_trace(&app, &mixed, "token_mismatch").await;
    }

    assert_eq!(wire.log(), []);
    alice.clone().refresh().await.expect(200);
    bob.clone().refresh().await.expect(200);
    assert_ne!(wire.log(), []);
}

#[actix_web::test]
async fn a_jwt_of_the_session_but_of_another_user_is_a_mismatch() {
    let app = TestApp::with(jwt::signed_by_hand).await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    let bob = Browser::signed_up(&app, "bob@example.com").await;
    let token = alice.access_token.clone().unwrap();
    let mut claims = jwt::claims(&token);
    claims["sub"] = bob.user().into();
    let mixed = alice.with_access_token(jwt::sign(&jwt::header(&token), &claims));

    refused_without_a_trace(&app, &mixed, "token_mismatch").await;
    // The same where there is nothing left to rotate.
    alice.clone().refresh().await.expect(200);
    refused_without_a_trace(&app, &mixed, "token_mismatch").await;
}

#[actix_web::test]
async fn no_refresh_is_had_with_a_jwt_that_is_wrong_in_more_than_its_age() {
    let app = TestApp::with(jwt::signed_by_hand).await;
    let wire = wire::Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), jwt::signed_by_hand).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
    let expired = jwt::aged(browser.access_token.as_deref().unwrap(), 60 * 60);
    let (header, claims) = (jwt::header(&expired), jwt::claims(&expired));
    let with = |name: &str, value: serde_json::Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        jwt::sign(&header, &changed)
    };
    let mut not_access = header.clone();
    not_access["typ"] = "rt+jwt".into();
    wire.forget();

    for bad in [
        jwt::with_a_bad_signature(&expired),
        with("iss", "somebody else".into()),
        with("aud", "something else".into()),
        with("exp", "soon".into()),
        with("sid", serde_json::Value::Null),
        jwt::sign(&not_access, &claims),
    ] {
        refused_without_a_trace(&app, &browser.with_access_token(bad), "token_invalid").await;
    }

    assert!(wire.executed().is_empty(), "{:?}", wire.executed());
    browser.with_access_token(expired).refresh().await.expect(200);
}

#[actix_web::test]
async fn what_is_missing_is_named() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let nothing = Browser::new(&app);

    refused_without_a_trace(&app, &nothing, "unauthorized").await;
    refused_without_a_trace(&app, &browser.without_refresh_token(), "unauthorized").await;
    refused_without_a_trace(&app, &browser.without_access_token(), "access_token_required").await;
    // What is there is not looked at before everything is.
    let rubbish = browser.without_access_token().with_refresh_token("rubbish");
    refused_without_a_trace(&app, &rubbish, "access_token_required").await;
}
