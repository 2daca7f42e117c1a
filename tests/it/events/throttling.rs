//! What is heard of attempts that are refused.

use actix_authflow::AuthConfig;
use serde_json::{Value, json};

use super::listen;
use crate::support::{Browser, TestApp};

const WRONG: &str = "not the password of anybody";

async fn guess(app: &TestApp, email: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(Browser::new(app).login_with(email, WRONG).await.status);
    }
    statuses
}

fn of_kind(heard: Vec<Value>, kind: &str) -> Vec<Value> {
    heard.into_iter().filter(|event| event["event"] == kind).collect()
}

#[actix_web::test]
async fn a_refusal_is_told_with_its_count_and_its_wait() {
    let (app, heard) = listen(|config| config).await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    for (email, user) in [("alice@example.com", json!(alice.user())), ("nobody@example.com", json!(null))] {
        assert_eq!(guess(&app, email, 6).await, [401, 401, 401, 401, 401, 429]);
        let events = of_kind(heard.take(), "throttled");
        assert_eq!(events.len(), 1, "{events:?}");
        let event = &events[0];
        assert_eq!((&event["reason"], &event["user_id"]), (&json!("account_and_address"), &user));
        assert_eq!((&event["by"], &event["address"]), (&json!("client"), &json!("127.0.0.1")));
        assert!(event["retry_after"].as_u64().is_some_and(|seconds| (1..=15).contains(&seconds)), "{event}");
    }
}

#[actix_web::test]
async fn the_ceiling_is_told_once_with_the_user() {
    let lowest = |config: AuthConfig| config.login_ceiling(10);
    let (app, heard) = listen(lowest).await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    assert_eq!(guess(&app, "alice@example.com", 1).await, [401]);
    app.db_add_attempts("account", 8, 60 * 60);
    assert_eq!(of_kind(heard.take(), "login_ceiling_reached"), [json!(null); 0]);

    // The last attempt, and those that are refused after it.
    assert_eq!(guess(&app, "alice@example.com", 4).await, [401, 429, 429, 429]);
    let events = heard.take();
    let reached = of_kind(events.clone(), "login_ceiling_reached");
    assert_eq!(reached.len(), 1, "{reached:?}");
    assert_eq!((&reached[0]["user_id"], &reached[0]["by"]), (&json!(alice.user()), &json!("client")));
    let reasons = of_kind(events, "throttled").into_iter().map(|event| event["reason"].clone());
    assert_eq!(reasons.collect::<Vec<_>>(), ["account", "account", "account"]);
}

#[actix_web::test]
async fn a_right_password_with_the_last_attempt_reaches_no_ceiling() {
    let (app, heard) = listen(|config| config.login_ceiling(10)).await;
    Browser::signed_up(&app, "alice@example.com").await;
    assert_eq!(guess(&app, "alice@example.com", 1).await, [401]);
    app.db_add_attempts("account", 8, 60 * 60);
    Browser::new(&app).login("alice@example.com").await.expect(200);
    assert_eq!(of_kind(heard.take(), "login_ceiling_reached"), [json!(null); 0]);
}
