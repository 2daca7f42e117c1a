//! Databases whose owners have set other defaults.

use super::races::Nodes;
use super::storms::one_generation_for_all;
use crate::support::wire::{self, Moment};
use crate::support::{Browser, TestApp, eventually, together};

/// A node whose database has this setting. It holds for new connections only, and so not for the node that made it.
async fn with_default(setting: &str) -> (TestApp, TestApp) {
    let first = TestApp::with(|config| config.database_pool(1)).await;
    let database = first.db_texts("SELECT current_database()::text AS value").remove(0).unwrap();
    first.db_execute(&format!("ALTER DATABASE {database} SET {setting}"));
    let node = first.node(|config| config.database_pool(16)).await;
    (first, node)
}

const ISOLATION: [&str; 2] =
    ["default_transaction_isolation = 'serializable'", "default_transaction_isolation = 'repeatable read'"];

#[actix_web::test]
async fn a_storm_adds_one_generation_under_any_isolation() {
    for setting in ISOLATION {
        let (_first, app) = with_default(setting).await;
        for clients in [2, 10, 100] {
            let mut browser = Browser::signed_up(&app, &format!("alice{clients}@example.com")).await;
            one_generation_for_all(&[&app], &mut browser, clients).await;
            app.db_age_session(&browser.session(), 31);
            one_generation_for_all(&[&app], &mut browser, clients).await;
        }
    }
}

#[actix_web::test]
async fn a_logout_leaves_no_survivor_under_any_isolation() {
    for setting in ISOLATION {
        let (_first, app) = with_default(setting).await;
        let nodes = Nodes::beside(app, |config| config).await;
        for (index, moment) in [Moment::HoldBefore, Moment::HoldBeforeCommit].into_iter().enumerate() {
            let mut browser = Browser::signed_up(&nodes.direct, &format!("alice{index}@example.com")).await;
            let mut refreshing = browser.at(&nodes.wired);
            let session = browser.session();
            let trap = nodes.wire.trap(wire::is_rotation, moment);

            let (refreshed, ended) = nodes
                .meet(trap, async move { refreshing.refresh().await }, async move { browser.logout().await })
                .await;

            ended.expect(204);
            assert!(refreshed.status == 200 || refreshed.code() == "session_revoked", "{refreshed:?}");
            assert_eq!(nodes.direct.db_session_reason(&session).as_deref(), Some("logged_out"));
            assert_eq!(nodes.direct.db_generations(&session), [0; 0]);
        }
    }
}

#[actix_web::test]
async fn the_workflow_goes_through_under_any_isolation() {
    for setting in ISOLATION {
        let (_first, app) = with_default(setting).await;
        let mut browser = Browser::signed_up(&app, "alice@example.com").await;
        let stolen = browser.clone();
        browser.login("alice@example.com").await.expect(200);
        browser.refresh().await.expect(200);
        stolen.clone().refresh().await.refused(401, "session_revoked");
        let user = browser.user().parse().unwrap();
        app.auth.set_password(user, "quite another horse by now").await.unwrap();
        browser.refresh().await.refused(401, "session_revoked");
        browser.login_with("alice@example.com", "quite another horse by now").await.expect(200);
        browser.logout().await.expect(204);
        app.auth.delete_user(user).await.unwrap();
    }
}

/// A statement that the database gives up on is no verdict on the token.
#[actix_web::test]
async fn a_statement_that_times_out_consumes_nothing() {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;

    for setting in ["statement_timeout = '300ms'", "lock_timeout = '300ms'"] {
        let (_first, app) = with_default(setting).await;
        let mut browser = Browser::signed_up(&app, "alice@example.com").await;
        let mut other = Browser::signed_up(&app, "bob@example.com").await;
        other.refresh().await.expect(200);
        app.db_age_session(&other.session(), 600);
        other.refresh().await.expect(200);
        app.db_age_session(&other.session(), 600);
        let before = app.db_snapshot();
        let mut blocker = app.db_connect();
        blocker.begin_test_transaction().unwrap();
        let session = browser.session();
        blocker
            .batch_execute(&format!("SELECT FROM authflow.sessions WHERE id = '{session}' FOR UPDATE"))
            .unwrap();

        let answer = browser.refresh().await.refused(503, "storage_unavailable");

        assert_eq!(answer.header("retry-after"), "1");
        assert!(answer.set_cookie().is_none());
        // The client would be answered alike by a node that waits on. It does not: the database has given up.
        let given_up = async || app.db_waiting_for_locks() == 0;
        eventually(&format!("nobody waits for what is still locked, {setting}"), given_up).await;
        app.db_unchanged_since(&before);
        let pruned = app.auth.prune().await.unwrap();
        assert!(pruned.refresh_tokens > 0, "{setting}: housekeeping waits for nobody: {pruned:?}");
        drop(blocker);
        browser.refresh().await.expect(200);
        assert_eq!(app.db_generations(&browser.session()), [0, 1]);
    }
}

/// Who leaves a transaction open is cut off by the database, and what waited for it goes on.
#[actix_web::test]
async fn an_abandoned_transaction_holds_up_a_refresh_for_as_long_as_the_database_allows() {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection as _;

    let (_first, app) = with_default("idle_in_transaction_session_timeout = '500ms'").await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut abandoned = app.db_connect();
    abandoned.begin_test_transaction().unwrap();
    abandoned.batch_execute("SELECT FROM authflow.sessions FOR UPDATE").unwrap();

    eventually("the refresh goes on", async || {
        let status = browser.refresh().await.status;
        assert!([200, 503].contains(&status), "{status}");
        status == 200
    })
    .await;

    assert_eq!(app.db_generations(&browser.session()), [0, 1]);
    assert!(abandoned.batch_execute("SELECT 1").is_err(), "the transaction is over");
}

#[actix_web::test]
async fn guesses_at_once_have_one_budget_under_any_isolation() {
    for setting in ISOLATION {
        let (_first, app) = with_default(setting).await;
        Browser::signed_up(&app, "alice@example.com").await;
        for email in ["alice@example.com", "nobody@example.com"] {
            // Each has a place in the queue for hashing, also on one core.
            let guesses = (0..60).map(|_| {
                let mut stranger = Browser::new(&app);
                async move { stranger.login_with(email, "not the password of anybody").await.status }
            });
            let mut answers = together(guesses).await;
            answers.sort_unstable();
            assert_eq!(answers, [[401; 5].as_slice(), &[429; 55]].concat(), "{setting}, {email}");
        }
    }
}
