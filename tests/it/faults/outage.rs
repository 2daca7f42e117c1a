//! The database goes away and comes back.

use std::ops::Range;
use std::time::Duration;

use actix_authflow::testing::TestCluster;
use actix_authflow::{AuthConfig, Error};
use secrecy::SecretString;

use crate::support::{Browser, TestApp, eventually, together};

/// Whatever needs the database is answered with this while there is none.
async fn everything_is_unavailable(client: &Browser) {
    are_unavailable(client, 0..5).await;
}

/// Whatever changes something is answered with this while nothing can be changed.
async fn every_change_is_unavailable(client: &Browser) {
    are_unavailable(client, 0..4).await;
}

async fn are_unavailable(client: &Browser, requests: Range<u32>) {
    let requests = requests.map(|request| {
        let mut client = client.clone();
        async move {
            match request {
                0 => client.refresh().await,
                1 => client.login("alice@example.com").await,
                2 => client.register("carol@example.com").await,
                3 => client.logout().await,
                _ => client.me().await,
            }
        }
    });
    for answer in together(requests).await {
        let answer = answer.refused(503, "storage_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(answer.set_cookie().is_none(), "{answer:?}");
    }
}

#[actix_web::test]
async fn an_outage_costs_nobody_a_session() {
    let mut cluster = TestCluster::new();
    let app = TestApp::at(cluster.url(), |config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut phone = Browser::mobile_signed_up(&app, "bob@example.com").await;
    browser.refresh().await.expect(200);
    app.db_age_session(&browser.session(), 31);

    for crash in [false, true] {
        let before = app.db_snapshot();
        if crash {
            cluster.kill()
        } else {
            cluster.stop()
        }
        everything_is_unavailable(&browser).await;
        everything_is_unavailable(&phone).await;
        cluster.start();
        app.db_unchanged_since(&before);

        for client in [&mut browser, &mut phone] {
            let token = client.refresh_token.clone();
            eventually("the application finds the database", async || {
                let status = client.refresh().await.status;
                assert!(status == 200 || status == 503, "{status}");
                status == 200
            })
            .await;
            assert_ne!(client.refresh_token, token);
            app.db_age_session(&client.session(), 31);
        }
    }
    assert_eq!(app.db_generations(&browser.session()), [0, 1, 2, 3]);
    assert_eq!(app.db_generations(&phone.session()), [0, 1, 2]);
}

#[actix_web::test]
async fn guarded_calls_go_on_without_the_database() {
    let mut cluster = TestCluster::new();
    let app = TestApp::at(cluster.url(), |config| config).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let ended = Browser::signed_up(&app, "bob@example.com").await;
    ended.clone().logout().await.expect(204);

    cluster.stop();
    // Longer than the distance between two questions about revocations.
    for _ in 0..15 {
        browser.call_api().await.expect(200);
        ended.call_api().await.refused(401, "session_revoked");
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }

    cluster.start();
    eventually("the application finds the database", async || app.auth.ready().await.is_ok()).await;
    browser.call_api().await.expect(200);
}

/// What ended elsewhere during the outage is known soon after it.
#[actix_web::test]
async fn revocations_arrive_after_an_outage() {
    let mut cluster = TestCluster::new();
    let app = TestApp::at(cluster.url(), |config| config).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    cluster.kill();
    app.auth.ready().await.unwrap_err();
    cluster.start();

    app.db_execute("UPDATE authflow.sessions SET revoked_at = now(), revoked_reason = 'revoked_by_host'");

    eventually("the node hears of it", async || browser.call_api().await.status == 401).await;
    browser.call_api().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn a_chain_survives_the_restart_of_database_and_application() {
    let mut cluster = TestCluster::new();
    let app = TestApp::at(cluster.url(), |config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let retired = browser.clone();
    browser.refresh().await.expect(200);
    drop(app);
    cluster.kill();
    cluster.start();
    let app = TestApp::at(cluster.url(), |config| config).await;

    // What was used up stays used up: the retry gets its successor, and the window ends when it ends.
    let retry = retired.at(&app).refresh().await.expect(200);
    assert_eq!(retry.refresh_token(), browser.refresh_token);
    browser = browser.at(&app);
    browser.call_api().await.expect(200);
    app.db_age_session(&browser.session(), 31);
    browser.refresh().await.expect(200);
    retired.at(&app).refresh().await.refused(401, "refresh_token_reused");
    browser.refresh().await.refused(401, "session_revoked");
}

/// All but the test's own.
fn end_connections(app: &TestApp) {
    app.db_execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
}

#[actix_web::test]
async fn connections_that_an_administrator_ends_are_replaced() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    for generation in 1..=3 {
        // More than one of the pool.
        let calls = (0..4).map(|_| {
            let browser = browser.clone();
            async move { browser.me().await.expect(200) }
        });
        together(calls).await;
        end_connections(&app);

        browser.refresh().await.expect(200);

        assert_eq!(app.db_generations(&browser.session()).last(), Some(&generation));
        app.db_age_session(&browser.session(), 31);
    }
}

/// As after a failover, before the connections follow.
#[actix_web::test]
async fn a_database_that_takes_no_writes_consumes_nothing() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let database = app.db_texts("SELECT current_database()::text AS value").remove(0).unwrap();
    let setting = format!("ALTER DATABASE {database} SET default_transaction_read_only");
    let before = app.db_snapshot();
    app.db_execute(&format!("{setting} = on"));
    end_connections(&app);

    every_change_is_unavailable(&browser).await;
    app.db_unchanged_since(&before);

    // The test's own connection is older than the setting.
    app.db_execute(&format!("{setting} = off"));
    end_connections(&app);
    browser.refresh().await.expect(200);
    assert_eq!(app.db_generations(&browser.session()), [0, 1]);
}

#[actix_web::test]
async fn a_host_is_told_that_there_is_no_database() {
    let mut cluster = TestCluster::new();
    let app = TestApp::at(cluster.url(), |config| config).await;
    let user = app.auth.ensure_user("customer-4711").await.unwrap();
    cluster.stop();

    let new = || SecretString::from("quite another horse by now");
    let calls = (0..4).map(|call| {
        let (auth, user, password) = (app.auth.clone(), user.id, new());
        async move {
            match call {
                0 => auth.set_password(user, password).await,
                1 => auth.disable_user(user).await,
                2 => auth.revoke_sessions(user).await.map(drop),
                _ => auth.ready().await,
            }
        }
    });
    for refused in together(calls).await {
        assert!(matches!(refused, Err(Error::Database(_))), "{refused:?}");
    }
}

/// A request that was answered is over. One that had its turn only when nobody waited any more would rotate behind the
/// client's back, and without a window that is the end of the session.
#[actix_web::test]
async fn what_was_answered_with_503_is_not_done_later() {
    let mut cluster = TestCluster::new();
    let strict = |config: AuthConfig| config.refresh_grace(Duration::ZERO).database_pool(1);
    let app = TestApp::at(cluster.url(), strict).await;
    let browsers = [
        Browser::signed_up(&app, "alice@example.com").await,
        Browser::signed_up(&app, "bob@example.com").await,
        Browser::signed_up(&app, "carol@example.com").await,
    ];
    let before = app.db_snapshot();
    cluster.stop();

    let refreshes = browsers.clone().map(|mut browser| async move { browser.refresh().await });
    for answer in together(refreshes).await {
        answer.refused(503, "storage_unavailable");
    }
    cluster.start();

    // Jobs have their turns in order, so this one comes after all that were left.
    eventually("the application finds the database", async || app.auth.ready().await.is_ok()).await;
    app.db_unchanged_since(&before);
    for mut browser in browsers {
        browser.refresh().await.expect(200);
    }
}
