//! Work that outlives the patience of whoever asked for it.

use actix_authflow::AuthConfig;

use crate::support::wire::{self, Moment, Proxy};
use crate::support::{Browser, TestApp};

/// A node loses sight of the database in the middle of a refresh. The client is answered, asks another node, and goes on there
/// for longer than the window; then the first node comes to.
#[actix_web::test]
async fn a_refresh_that_goes_on_after_its_client_was_answered_ends_no_session() {
    goes_on(|config| config).await;
    // Where the host is asked for claims, each refresh goes by itself.
    goes_on(|config| config.claims(|_| Ok(serde_json::json!({})))).await;
}

async fn goes_on(configure: fn(AuthConfig) -> AuthConfig) {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    // With one connection, so that whoever comes next comes after what is under way.
    let stuck = app.node_at(wire.url(), |config| configure(config).database_pool(1)).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let trap = wire.trap(wire::is_rotation, Moment::HoldBefore);

    browser.at(&stuck).refresh().await.refused(503, "storage_unavailable");
    assert!(trap.has_been_reached());
    browser.refresh().await.expect(200);
    app.db_age_session(&browser.session(), 31);
    browser.refresh().await.expect(200);
    trap.release();

    browser.at(&stuck).refresh().await.expect(200);
    assert_eq!(app.db_session_reason(&browser.session()), None);
    assert_eq!(app.db_generations(&browser.session()), [0, 1, 2]);
}
