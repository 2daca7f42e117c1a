//! A change of the master secret, rolled out node by node: (old), (old, new), (new, old), (new).

use actix_authflow::{Auth, AuthConfig};

use super::{WINDOW_OVER, refused_without_a_trace, token_of};
use crate::support::{Browser, PEM, SECRET, TestApp, secret};

const NEW: &str = "Yt6pZ1cVn8RkW3mQe5HxUj7LbS0gAo2D";

/// A node on the same database with this secret and, where there is one, a second accepted one.
async fn node(app: &TestApp, current: &str, previous: Option<&str>) -> TestApp {
    let config = AuthConfig::new(app.database_url(), secret(current)).database_pool(4);
    let config = previous.iter().fold(config, |config, previous| config.secret_previous(secret(previous)));
    app.node(|_| config).await
}

/// Everything that one node began the other takes up: calls, rotations, and retries of them.
async fn work_together(one: &TestApp, other: &TestApp, old_timer: &mut Browser) {
    let email = old_timer.me().await.expect(200).json["email"].as_str().unwrap().to_owned();
    for (here, there) in [(one, other), (other, one)] {
        let mut newcomer = Browser::new(here);
        newcomer.login(&email).await.expect(200);
        newcomer.at(there).call_api().await.expect(200);
        for browser in [&mut newcomer, old_timer] {
            browser.at(there).call_api().await.expect(200);
            one.db_age_session(&browser.session(), WINDOW_OVER);
            let before = browser.clone();

            let mut rotating = browser.at(here);
            let successor = token_of(rotating.refresh().await);

            rotating.at(there).call_api().await.expect(200);
            assert_eq!(token_of(before.at(there).refresh().await), successor);
            assert_eq!(token_of(rotating.at(there).refresh().await), successor);
            *browser = rotating;
        }
        one.db_age_session(&newcomer.session(), WINDOW_OVER);
        newcomer.at(there).refresh().await.expect(200);
    }
}

#[actix_web::test]
async fn a_change_of_the_secret_logs_nobody_out() {
    let old = TestApp::start().await;
    let old_new = node(&old, SECRET, Some(NEW)).await;
    let mut browser = Browser::signed_up(&old, "alice@example.com").await;
    let session = browser.session();

    work_together(&old, &old_new, &mut browser).await;
    drop(old);
    let new_old = node(&old_new, NEW, Some(SECRET)).await;
    work_together(&old_new, &new_old, &mut browser).await;
    drop(old_new);
    // One rotation under the new secret on either side of the retry, as after some minutes of use.
    new_old.db_age_session(&session, WINDOW_OVER);
    browser = browser.at(&new_old);
    browser.refresh().await.expect(200);
    let new = node(&new_old, NEW, None).await;
    work_together(&new_old, &new, &mut browser).await;

    assert_eq!(browser.session(), session);
    assert_eq!(new.db_session_reason(&session), None);
}

/// The order of the roll-out matters: a node must know a secret before another signs with it. Where it does not, the
/// token is refused without a trace and good again at the next node.
#[actix_web::test]
async fn a_node_that_does_not_know_the_secret_harms_no_session() {
    let old = TestApp::start().await;
    let new_old = node(&old, NEW, Some(SECRET)).await;
    let mut browser = Browser::signed_up(&old, "alice@example.com").await;
    let before = browser.clone();

    let successor = token_of(browser.at(&new_old).refresh().await);

    browser = before.clone();
    refused_without_a_trace(&old, &browser, "refresh_token_invalid").await;
    assert_eq!(token_of(browser.at(&new_old).refresh().await), successor);
    refused_without_a_trace(&old, &browser.with_refresh_token(successor), "refresh_token_invalid").await;
}

#[actix_web::test]
async fn a_secret_that_was_dropped_opens_nothing() {
    let old = TestApp::start().await;
    let config = AuthConfig::new(old.database_url(), secret(NEW)).database_pool(4);
    let refused = Auth::connect(config.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("AUTHFLOW_SECRET_PREVIOUS"), "{refused}");
    let new = old.node(|_| config.signing_key_pem(PEM)).await;
    let browser = Browser::signed_up(&old, "alice@example.com").await.at(&new);

    browser.call_api().await.refused(401, "token_invalid");
    refused_without_a_trace(&new, &browser, "refresh_token_invalid").await;
    assert_eq!(new.db_live_sessions(), [browser.session()]);
}
