//! Behind PgBouncer in transaction mode, with prepared statements lost.

use actix_authflow::testing::TestCluster;
use actix_authflow::{Auth, AuthConfig, Error};

use crate::concurrency::one_generation_for_all;
use crate::support::pooler::{Mode, Pooler};
use crate::support::{Browser, PASSWORD, SECRET, TestApp, eventually, secret};

#[actix_web::test]
async fn a_pooler_that_loses_prepared_statements_is_noticed_at_the_start() {
    let cluster = TestCluster::new();
    for size in [1, 20] {
        let Some(pooler) = Pooler::before(&cluster, Mode::Transaction(size)).await else { return };
        let config = AuthConfig::new(pooler.url(), secret(SECRET));

        for refused in [Auth::migrate(&config).await.map(drop), Auth::connect(config).await.map(drop)] {
            let Err(Error::Config(error)) = refused else { panic!("{refused:?}") };
            assert_eq!(error.variable(), "AUTHFLOW_PREPARED_STATEMENTS");
            assert!(
                error.to_string().ends_with("(for example: AUTHFLOW_PREPARED_STATEMENTS=false)"),
                "{error}"
            );
        }
    }
}

#[actix_web::test]
async fn a_pooler_that_keeps_them_is_as_good_as_none() {
    let cluster = TestCluster::new();
    let Some(pooler) = Pooler::before(&cluster, Mode::Session).await else { return };
    let app = TestApp::at(&pooler.url(), |config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    browser.refresh().await.expect(200);
}

#[actix_web::test]
async fn without_prepared_statements_everything_goes_through_any_pooler() {
    let cluster = TestCluster::new();
    // Fewer connections than the two nodes have together, so that every transaction may be on another.
    let Some(pooler) = Pooler::before(&cluster, Mode::Transaction(3)).await else { return };
    let unprepared = |config: AuthConfig| config.prepared_statements(false);
    let app = TestApp::at(&pooler.url(), unprepared).await;
    let other = app.second_node().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;

    for _ in 0..5 {
        one_generation_for_all(&[&app, &other], &mut browser, 20).await;
        app.db_age_session(&browser.session(), 31);
    }
    let key = app.auth.rotate_keys(actix_authflow::RotateKeys::Announced).await.unwrap();
    assert!(other.auth.keys().await.unwrap().iter().any(|known| known.kid() == key.kid()));
    let left = browser.clone();
    browser.change_password(PASSWORD, "quite another horse by now").await.expect(200);
    left.at(&other).refresh().await.refused(401, "session_revoked");
    browser.at(&other).login_with("alice@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    browser.clone().logout().await.expect(204);
    let elsewhere = browser.at(&other);
    eventually("the other node knows", async || elsewhere.call_api().await.status == 401).await;
    app.auth.prune().await.unwrap();
    assert_eq!(app.db_count("SELECT count(*) AS value FROM pg_locks WHERE locktype = 'advisory'"), 0);
}

#[actix_web::test]
async fn a_node_that_listens_through_a_pooler_notices_that_nothing_arrives_and_polls() {
    let cluster = TestCluster::new();
    let Some(pooler) = Pooler::before(&cluster, Mode::Transaction(3)).await else { return };
    let unprepared = |config: AuthConfig| config.prepared_statements(false);
    let deaf = TestApp::at(&pooler.url(), unprepared).await;
    let told = TestApp::at(&pooler.url(), |config| unprepared(config).listen_url(cluster.url())).await;
    assert!(!deaf.auth.revocation_status().listening);
    assert!(told.auth.revocation_status().listening);
    let browsers = [
        Browser::signed_up(&deaf, "alice@example.com").await,
        Browser::signed_up(&deaf, "bob@example.com").await,
    ];

    for (browser, here, elsewhere) in [(&browsers[0], &told, &deaf), (&browsers[1], &deaf, &told)] {
        browser.at(here).logout().await.expect(204);
        let elsewhere = browser.at(elsewhere);
        eventually("the other node knows", async || elsewhere.call_api().await.status == 401).await;
    }
}
