//! What tokens say of a user, and what guards make of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_authflow::{ClaimsRefused, UserId};
use reqwest::Method;

use crate::support::{Answer, Browser, TestApp, jwt};

async fn get(browser: &Browser, path: &str) -> Answer {
    browser.clone().send(browser.bearer(browser.request(Method::GET, path))).await
}

fn user(browser: &Browser) -> UserId {
    browser.user().parse().unwrap()
}

#[actix_web::test]
async fn roles_and_scopes_reach_tokens_at_the_next_refresh() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    for path in ["/admin", "/orders", "/both"] {
        get(&browser, path).await.refused(403, "forbidden");
    }

    app.auth.set_roles(user(&browser), vec!["admin".into()]).await.unwrap();
    get(&browser, "/admin").await.refused(403, "forbidden");
    browser.refresh().await.expect(200);
    get(&browser, "/admin").await.expect(200);
    get(&browser, "/both").await.refused(403, "forbidden");

    app.auth.set_scopes(user(&browser), vec!["orders:read".into(), "orders:write".into()]).await.unwrap();
    app.db_age_session(&browser.session(), 60);
    browser.refresh().await.expect(200);
    get(&browser, "/both").await.expect(200);
    let claims = jwt::claims(browser.access_token.as_deref().unwrap());
    assert_eq!(claims["scope"], "orders:read orders:write");
}

#[actix_web::test]
async fn a_role_that_is_taken_away_is_gone_at_once_with_the_sessions() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    app.auth.set_roles(user(&browser), vec!["admin".into()]).await.unwrap();
    browser.refresh().await.expect(200);
    get(&browser, "/admin").await.expect(200);

    app.auth.set_roles(user(&browser), Vec::new()).await.unwrap();
    app.auth.revoke_sessions(user(&browser)).await.unwrap();

    get(&browser, "/admin").await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn a_refusal_says_what_would_be_sufficient() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;

    let scope = get(&browser, "/orders").await.refused(403, "forbidden");
    assert_eq!(
        scope.header("WWW-Authenticate"),
        "Bearer error=\"insufficient_scope\", scope=\"orders:write\""
    );
    assert_eq!(get(&browser, "/admin").await.refused(403, "forbidden").header("WWW-Authenticate"), "");

    get(&browser, "/fresh").await.expect(200);
    app.db_execute("UPDATE authflow.sessions SET authenticated_at = authenticated_at - interval '1 hour'");
    browser.refresh().await.expect(200);
    let stale = get(&browser, "/fresh").await.refused(403, "forbidden");
    assert_eq!(
        stale.header("WWW-Authenticate"),
        "Bearer error=\"insufficient_user_authentication\", max_age=\"300\""
    );
    browser.login("alice@example.com").await.expect(200);
    get(&browser, "/fresh").await.expect(200);
}

#[actix_web::test]
async fn an_unusable_role_or_scope_is_refused() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    for scope in ["", "two words", "a\"b", "a\\b", "\u{e9}"] {
        assert!(app.auth.set_scopes(user(&browser), vec![scope.into()]).await.is_err(), "{scope:?}");
    }
    assert!(app.auth.set_roles(user(&browser), vec!["a\nb".into()]).await.is_err());
}

#[actix_web::test]
async fn the_hosts_own_claims_are_written_and_read_as_a_type() {
    let app = TestApp::with(|config| {
        config.claims(|subject| {
            let email = subject.user.email.as_deref().ok_or(ClaimsRefused)?;
            let (_, tenant) = email.rsplit_once('@').ok_or(ClaimsRefused)?;
            Ok(serde_json::json!({ "tenant": tenant }))
        })
    })
    .await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    assert_eq!(get(&browser, "/tenant").await.expect(200).text, "example.com");

    browser.refresh().await.expect(200);
    assert_eq!(get(&browser, "/tenant").await.expect(200).text, "example.com");
    browser.login("alice@example.com").await.expect(200);
    assert_eq!(get(&browser, "/tenant").await.expect(200).text, "example.com");
}

#[actix_web::test]
async fn a_token_without_the_hosts_claims_is_to_be_refreshed() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    get(&browser, "/tenant").await.refused(401, "token_invalid");
}

#[actix_web::test]
async fn what_the_host_refuses_leaves_nothing_behind() {
    let refuses = Arc::new(AtomicBool::new(true));
    let hook = Arc::clone(&refuses);
    let app = TestApp::with(move |config| {
        config.claims(move |_| {
            if hook.load(Ordering::SeqCst) { Err(ClaimsRefused) } else { Ok(serde_json::json!({})) }
        })
    })
    .await;
    let mut browser = Browser::new(&app);
    let before = app.db_snapshot();
    browser.register("alice@example.com").await.refused(403, "forbidden");
    assert_eq!(app.db_snapshot(), before);

    refuses.store(false, Ordering::SeqCst);
    browser.register("alice@example.com").await.expect(201);
    refuses.store(true, Ordering::SeqCst);
    let before = app.db_snapshot();
    browser.refresh().await.refused(403, "forbidden");
    Browser::new(&app).login("alice@example.com").await.refused(403, "forbidden");
    assert_eq!(app.db_snapshot(), before, "a refusal consumed something");

    refuses.store(false, Ordering::SeqCst);
    browser.refresh().await.expect(200);
}

#[actix_web::test]
async fn a_hook_that_takes_a_reserved_name_gets_no_token_issued() {
    let app =
        TestApp::with(|config| config.claims(|_| Ok(serde_json::json!({ "sub": "somebody else" })))).await;
    let before = app.db_snapshot();
    Browser::new(&app).register("alice@example.com").await.refused(503, "storage_unavailable");
    assert_eq!(app.db_snapshot(), before);
}
