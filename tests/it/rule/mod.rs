//! The rule of rotation, row by row, over HTTP.

mod chain;
mod forged;
mod lifetimes;
mod reasons;
mod refused;
mod secrets;
mod window;
mod without_jwt;

use crate::support::{Answer, Browser, TestApp};

/// A little longer than the grace window.
const WINDOW_OVER: i64 = 31;

/// Lets the window pass and rotates.
async fn rotate(app: &TestApp, browser: &mut Browser) {
    let before = browser.refresh_token.clone();
    app.db_age_session(&browser.session(), WINDOW_OVER);
    browser.refresh().await.expect(200);
    assert_ne!(browser.refresh_token, before);
}

/// Refreshes, and asserts that the answer is this error, that it says nothing about the cookie, and that nothing in the
/// database has changed.
async fn refused_without_a_trace(app: &TestApp, browser: &Browser, code: &str) -> Answer {
    let before = app.db_snapshot();
    let answer = browser.clone().refresh().await.refused(401, code);
    assert!(answer.set_cookie().is_none(), "{answer:?}");
    app.db_unchanged_since(&before);
    answer
}

/// Refreshes, and asserts that the answer is this error and that the session has ended for this reason, on this node at once.
async fn refused_and_revoked(app: &TestApp, browser: &Browser, code: &str, reason: &str) {
    let answer = browser.clone().refresh().await.refused(401, code);
    assert!(answer.set_cookie().is_none(), "{answer:?}");
    assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some(reason));
    browser.call_api().await.refused(401, "session_revoked");
    refused_without_a_trace(app, browser, "session_revoked").await;
}

/// The token of a successful refresh. It is set as the cookie every time, rotated or not.
#[track_caller]
fn token_of(answer: Answer) -> String {
    let answer = answer.expect(200);
    let cookie = answer.set_cookie().expect("a cookie with every success");
    assert!(cookie.max_age().is_some_and(|seconds| seconds > 0), "{cookie:?}");
    assert!(answer.access_token().is_some());
    cookie.value
}
