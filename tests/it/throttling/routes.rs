//! Registrations and changes of passwords are counted as well.

use reqwest::Method;
use serde_json::json;

use super::{WRONG, behind_a_proxy, guess, throttled};
use crate::support::{Answer, Browser, PASSWORD, TestApp, eventually};

const NEW: &str = "a horse that nobody has seen before";

/// It costs no hash, so nothing else would hold it back.
#[actix_web::test]
async fn a_password_that_nobody_can_have_is_counted_like_any_other() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    for email in ["alice@example.com", "nobody@example.com"] {
        let guess = async || Browser::new(&app).login_with(email, &"x".repeat(1_025)).await;
        for _ in 0..5 {
            guess().await.refused(401, "invalid_credentials");
        }
        throttled(guess().await);
    }
    assert_eq!(app.db_attempts("address"), 10);
}

async fn register_from(app: &TestApp, address: &str, email: &str) -> Answer {
    let mut client = Browser::new(app);
    let request = client.request(Method::POST, "/auth/register").header("X-Forwarded-For", address);
    client.send(request.json(&json!({ "email": email, "password": PASSWORD }))).await
}

#[actix_web::test]
async fn a_wrong_current_password_is_counted_for_the_user() {
    let app = TestApp::start().await;
    let mut alice = Browser::signed_up(&app, "alice@example.com").await;
    let mut bob = Browser::signed_up(&app, "bob@example.com").await;
    // What is refused for the new password tries nothing.
    for _ in 0..6 {
        alice.change_password(WRONG, "short").await.refused(422, "weak_password");
    }
    // It is given back in the background.
    eventually("nothing is counted", async || app.db_attempts("password_change") == 0).await;
    for _ in 0..5 {
        alice.change_password(WRONG, NEW).await.refused(403, "wrong_password");
    }
    let wait = throttled(alice.change_password(PASSWORD, NEW).await);
    assert!(wait <= 15, "{wait}");
    alice.refresh().await.expect(200);
    bob.change_password(PASSWORD, NEW).await.expect(200);

    app.db_age_attempts(wait);
    alice.change_password(PASSWORD, NEW).await.expect(200);
    assert_eq!(app.db_attempts("password_change"), 0);
}

#[actix_web::test]
async fn a_wrong_current_password_is_counted_for_the_address() {
    let app = TestApp::start().await;
    let mut alice = Browser::signed_up(&app, "alice@example.com").await;
    alice.change_password(WRONG, NEW).await.refused(403, "wrong_password");
    app.db_add_attempts("address", 99, 6);
    assert!(throttled(alice.change_password(PASSWORD, NEW).await) <= 6);
    throttled(guess(&app, "nobody@example.com").await);
}

#[actix_web::test]
async fn registrations_are_counted_by_address_whether_the_account_is_taken_or_not() {
    let app = behind_a_proxy(|config| config).await;
    register_from(&app, "192.0.2.1", "alice@example.com").await.expect(201);
    app.db_add_attempts("registrations", 97, 30);
    register_from(&app, "192.0.2.1", "alice@example.com").await.refused(409, "email_taken");
    register_from(&app, "192.0.2.1", "bob@example.com").await.expect(201);
    for email in ["carol@example.com", "alice@example.com"] {
        assert!(throttled(register_from(&app, "192.0.2.1", email).await) <= 30);
    }
    register_from(&app, "192.0.2.2", "carol@example.com").await.expect(201);
    app.db_age_attempts(30);
    register_from(&app, "192.0.2.1", "dave@example.com").await.expect(201);
}

#[actix_web::test]
async fn a_registration_with_a_weak_password_is_not_counted() {
    let app = TestApp::start().await;
    let weak = json!({ "email": "alice@example.com", "password": "password" });
    Browser::new(&app).post("/auth/register", &weak).await.refused(422, "weak_password");
    crate::support::eventually("it is given back", async || app.db_attempts("registrations") == 0).await;
}
