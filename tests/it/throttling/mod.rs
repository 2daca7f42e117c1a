//! How often a password may be tried, and by whom.

mod addresses;
mod budgets;
mod devices;
mod given_back;
mod routes;
mod storms;
mod table;

use actix_authflow::{AuthConfig, TrustedProxies};
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Browser, TestApp};

const WRONG: &str = "not the password of anybody";

/// Behind a proxy, so that requests can come from anywhere: see [`from`].
async fn behind_a_proxy(configure: impl FnOnce(AuthConfig) -> AuthConfig) -> TestApp {
    let proxies = TrustedProxies::parse("127.0.0.1").unwrap();
    TestApp::with(|config| configure(config.trusted_proxies(proxies))).await
}

/// A login as the proxy passes it on.
async fn from(address: &str, mut client: Browser, email: &str, password: &str) -> Answer {
    let request = client.request(Method::POST, "/auth/login").header("X-Forwarded-For", address);
    let body = json!({ "email": email, "password": password });
    client.send(request.json(&body)).await
}

/// A wrong password, given on a device that is not known.
async fn guess(app: &TestApp, email: &str) -> Answer {
    Browser::new(app).login_with(email, WRONG).await
}

async fn guess_from(app: &TestApp, address: &str, email: &str) -> Answer {
    from(address, Browser::new(app), email, WRONG).await
}

#[track_caller]
fn throttled(answer: Answer) -> u64 {
    let answer = answer.refused(429, "too_many_attempts");
    let seconds = answer.header("retry-after").parse().unwrap();
    assert!(seconds > 0, "{answer:?}");
    seconds
}
