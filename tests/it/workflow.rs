//! The workflow: register or log in, call, refresh, log out.

use crate::support::{Browser, TestApp, jwt};

#[actix_web::test]
async fn whoever_registers_can_call_at_once() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);

    let answer = browser.register("alice@example.com").await.expect(201);

    let user = answer.json["user"].clone();
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!(answer.json["expires_in"], 30 * 60);
    assert_eq!(user["email"], "alice@example.com");
    assert_eq!(answer.json["refresh_token"].as_str(), None);
    let called = browser.call_api().await.expect(200);
    assert_eq!(called.json["user_id"], user["id"]);
    assert_eq!(called.json["session_id"], answer.session_id().as_str());
    assert_eq!(browser.me().await.expect(200).json, user);
}

#[actix_web::test]
async fn an_expired_jwt_is_refreshed_and_the_call_repeated() {
    let app = TestApp::with(jwt::signed_by_hand).await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let session = browser.session();
    let expired = jwt::aged(browser.access_token.as_deref().unwrap(), 60 * 60);
    browser.access_token = Some(expired.clone());
    app.db_age_session(&session, 60 * 60);

    browser.call_api().await.refused(401, "token_expired");
    let answer = browser.refresh().await.expect(200);

    assert_eq!(answer.session_id(), session);
    assert_ne!(answer.access_token(), Some(expired));
    browser.call_api().await.expect(200);
    assert_eq!(app.db_generations(&session), [0, 1]);
}
