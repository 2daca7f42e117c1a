//! The service as the role that docs/OPERATIONS.md makes for it, with the rights that stand there and no others.

use std::time::Duration;

use actix_authflow::testing::TestCluster;
use actix_authflow::{KeyState, RotateKeys, Transport, UserDraft};
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use reqwest::Method;

use crate::support::{Answer, Browser, PASSWORD, PEM, TestApp, eventually};

const NEW_PASSWORD: &str = "quite another horse by now";

/// A migrated database whose administrator has done what the manual says, and the URL of the role.
fn as_in_the_manual() -> (TestCluster, String) {
    let manual = std::fs::read_to_string("docs/OPERATIONS.md").unwrap();
    let grants = manual.split("Grant the rights").nth(1).and_then(|step| step.split("```").nth(1)).unwrap();
    let cluster = TestCluster::new();
    let mut administrator = cluster.connect();
    administrator.batch_execute("CREATE ROLE authflow_app LOGIN").unwrap();
    administrator.batch_execute(grants.strip_prefix("sql").unwrap()).unwrap();
    let url = cluster.url().replacen("postgres@", "authflow_app@", 1);
    assert_ne!(url, cluster.url());
    (cluster, url)
}

async fn send(browser: &mut Browser, method: Method, path: &str) -> Answer {
    let request = browser.bearer(browser.request(method, path));
    browser.send(request).await
}

#[actix_web::test]
async fn the_rights_in_the_manual_are_enough_for_everything() {
    let (cluster, url) = as_in_the_manual();
    let mut administrator = cluster.connect();
    let mut let_pass = |span: &str| {
        let sql = format!(
            "UPDATE authflow.refresh_tokens SET issued_at = issued_at - interval '{span}';
             UPDATE authflow.sessions SET revoked_at = revoked_at - interval '{span}';
             UPDATE authflow.events SET occurred_at = occurred_at - interval '{span}';
             UPDATE authflow.attempts SET open_at = open_at - interval '{span}',
                 forgotten_at = forgotten_at - interval '{span}'"
        );
        administrator.batch_execute(&sql).unwrap();
    };
    let day = Duration::from_hours(24);
    let app = TestApp::at(&url, |config| config.max_sessions(3).events_retention(day)).await;

    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let user = browser.user().parse().unwrap();
    let stolen = browser.clone();
    browser.refresh().await.expect(200);
    stolen.clone().refresh().await.expect(200);
    let_pass("31 seconds");
    stolen.clone().refresh().await.refused(401, "refresh_token_reused");
    for _ in 0..4 {
        browser.without_refresh_token().login("alice@example.com").await.expect(200);
    }
    browser.login("alice@example.com").await.expect(200);
    browser.me().await.expect(200);
    let listed = send(&mut browser, Method::GET, "/auth/sessions").await.expect(200);
    assert_eq!(listed.json["sessions"].as_array().unwrap().len(), 3);
    let other = listed.json["sessions"][1]["id"].as_str().unwrap();
    send(&mut browser, Method::DELETE, &format!("/auth/sessions/{other}")).await.expect(204);
    send(&mut browser, Method::DELETE, "/auth/sessions?keep=current").await.expect(204);
    browser.change_password(PASSWORD, NEW_PASSWORD).await.expect(200);

    // The same generation again, with a JWT of another key: its row takes a note of that.
    browser.refresh().await.expect(200);
    let own_key = app.node_at(&url, |config| config.signing_key_pem(PEM)).await;
    browser.at(&own_key).refresh().await.expect(200);
    let_pass("10 minutes");
    browser.refresh().await.expect(200);
    let pruned = app.auth.prune().await.unwrap();
    assert_eq!(pruned.refresh_tokens, 1, "{pruned:?}");

    let signing =
        app.auth.keys().await.unwrap().into_iter().find(|key| key.state() == KeyState::Signing).unwrap();
    assert!(app.auth.compromise_key(signing.kid()).await.unwrap() <= 1);
    app.auth.rotate_keys(RotateKeys::Announced).await.unwrap();
    app.auth.rotate_keys(RotateKeys::Now).await.unwrap();
    let mut browser = Browser::new(&app);
    browser.login_with("alice@example.com", NEW_PASSWORD).await.expect(200);
    browser.logout().await.expect(204);

    app.auth.set_roles(user, vec!["admin".into()]).await.unwrap();
    app.auth.set_scopes(user, vec!["read".into()]).await.unwrap();
    app.auth.set_password(user, PASSWORD).await.unwrap();
    app.auth.disable_user(user).await.unwrap();
    app.auth.enable_user(user).await.unwrap();
    let made = app.auth.create_user(UserDraft::new().email("bob@example.com")).await.unwrap();
    let found = app.auth.ensure_user("customer-4711").await.unwrap();
    let session = app.auth.start_session(found.id, Transport::Body).await.unwrap();
    app.auth.revoke_session(session.session_id()).await.unwrap();
    app.auth.start_session(made.id, Transport::Cookie).await.unwrap();
    assert_eq!(app.auth.revoke_sessions(made.id).await.unwrap(), 1);
    app.auth.delete_user(made.id).await.unwrap();
    let guess = Browser::new(&app).login_with("alice@example.com", "not the password of anybody").await;
    guess.refused(401, "invalid_credentials");
    eventually("what happened is stored", async || {
        app.db_count("SELECT count(*) AS value FROM authflow.events WHERE event = 'login_failed'") == 1
    })
    .await;
    let_pass("2 days");
    let pruned = app.auth.prune().await.unwrap();
    assert!(pruned.sessions > 0 && pruned.users == 1, "{pruned:?}");
    assert!(pruned.events > 0 && pruned.attempts > 0, "{pruned:?}");
    let over = "UPDATE authflow.signing_keys SET expires_at = now() WHERE state = 'retired'";
    eventually("retired keys go", async || {
        // The key that was in use may retire a moment later than this is asked.
        administrator.batch_execute(over).unwrap();
        app.auth.keys().await.unwrap().iter().all(|key| key.state() != KeyState::Retired)
    })
    .await;
}

#[actix_web::test]
async fn the_rights_in_the_manual_are_no_more_than_that() {
    let (_cluster, url) = as_in_the_manual();
    let mut service = PgConnection::establish(&url).unwrap();
    for forbidden in [
        "UPDATE authflow.refresh_tokens SET digest = sha256('planted')",
        "UPDATE authflow.refresh_tokens SET expires_at = now() + interval '1 year'",
        "UPDATE authflow.sessions SET user_id = NULL",
        "UPDATE authflow.sessions SET expires_at = now() + interval '1 year'",
        "DELETE FROM authflow.__diesel_schema_migrations",
        "TRUNCATE authflow.sessions CASCADE",
        "ALTER TABLE authflow.users DISABLE TRIGGER ALL",
        "CREATE TABLE authflow.more ()",
        "DROP TABLE authflow.refresh_tokens",
    ] {
        let refused = service.batch_execute(forbidden).map_err(|error| error.to_string());
        let denied = |error: &str| error.contains("permission denied") || error.contains("must be owner");
        assert!(refused.as_ref().is_err_and(|error| denied(error)), "{forbidden}: {refused:?}");
    }
    service.batch_execute("SELECT FROM authflow.users, authflow.sessions, authflow.refresh_tokens").unwrap();
}
