//! How nodes hear of sessions that end on another one.

mod cut_off;
mod everybody;
mod hints;
mod late;

use std::time::Duration;

use actix_authflow::AuthConfig;
use actix_authflow::testing::internals::poll_every;

use crate::support::{Browser, TestApp, eventually};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A node that is told of revocations or hears nothing of them.
fn never_polls(config: AuthConfig) -> AuthConfig {
    poll_every(config, NEVER)
}

/// A node that hears of revocations by asking, and tells nobody.
fn polls_only(config: AuthConfig) -> AuthConfig {
    config.listen_url("")
}

/// Until the tokens of this session are refused at a node, for this reason and no other.
async fn is_refused(browser: &Browser, node: &TestApp) {
    let browser = browser.at(node);
    eventually("the node hears of it", async || browser.call_api().await.status != 200).await;
    browser.call_api().await.refused(401, "session_revoked");
}

/// Ends a session behind everybody's back, and tells nobody.
fn end_silently(app: &TestApp, browser: &Browser) {
    let ended = app.db_execute(&format!(
        "UPDATE authflow.sessions SET revoked_at = clock_timestamp(), revoked_reason = 'revoked_by_host' \
         WHERE id = '{}'",
        browser.session()
    ));
    assert_eq!(ended, 1);
}
