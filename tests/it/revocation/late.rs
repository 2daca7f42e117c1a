//! Between the timestamp of a revocation and its commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_authflow::testing::internals::{limit_transactions, poll_every};
use diesel::connection::SimpleConnection as _;

use super::{is_refused, polls_only};
use crate::support::wire::{self, Moment, Proxy};
use crate::support::{Browser, PASSWORD, TestApp, eventually};

const LIMIT: Duration = Duration::from_secs(1);

/// What is read back has to be longer than what a writer may take: the poll sees the row when its timestamp is old.
#[actix_web::test]
async fn a_revocation_that_commits_late_is_not_missed() {
    let app = TestApp::with(polls_only).await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), polls_only).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut writer = app.db_connect();
    let session = browser.session();
    let revoke = format!(
        "BEGIN; UPDATE authflow.sessions SET revoked_at = clock_timestamp(), revoked_reason = 'logged_out' \
         WHERE id = '{session}'"
    );
    writer.batch_execute(&revoke).unwrap();
    let polls = || wire.count_in_background(wire::is_revocation_poll);
    let before = polls();
    eventually("the node has polled eight times", async || polls() >= before + 8).await;
    browser.at(&node).call_api().await.expect(200);

    writer.batch_execute("COMMIT").unwrap();

    is_refused(&browser, &node).await;
}

/// As after a writer that kept to no limit: no poll sees its row, which is older than what they read back.
#[actix_web::test]
async fn a_revocation_that_no_poll_has_seen_is_found_when_everything_is_read_again() {
    let (interval, start) = (Duration::from_millis(50), Instant::now());
    let app = TestApp::with(|config| poll_every(polls_only(config), interval)).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let ended = app.db_execute(&format!(
        "UPDATE authflow.sessions SET revoked_at = now() - interval '2 minutes', revoked_reason = 'logged_out' \
         WHERE id = '{}'",
        browser.session()
    ));
    assert_eq!(ended, 1);
    is_refused(&browser, &app).await;
    assert!(start.elapsed() >= 60 * interval, "a poll has seen it");
}

/// The answer of the database to a held commit never comes: the connection has been cut, and the end begins anew.
#[actix_web::test]
async fn an_end_that_is_held_at_its_commit_is_rolled_back_and_done_again_with_a_new_timestamp() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| limit_transactions(config, LIMIT)).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let trap = wire.trap(wire::is_commit, Moment::HoldBefore);
    let mut leaving = browser.at(&node);

    let logout = actix_web::rt::spawn(async move { leaving.logout().await });
    trap.reached().await;
    app.db_execute("CREATE TABLE held AS SELECT clock_timestamp() AS since");

    logout.await.unwrap().expect(204);
    let late = "SELECT count(*) AS value FROM authflow.sessions, held WHERE revoked_at > since + interval '0.5 seconds'";
    assert_eq!(app.db_count(late), 1);
    is_refused(&browser, &app).await;
    trap.release();
}

#[actix_web::test]
async fn a_transaction_that_takes_too_long_changes_nothing() {
    let slow = Arc::new(AtomicBool::new(false));
    let hook = Arc::clone(&slow);
    let app = TestApp::with(|config| {
        limit_transactions(config, LIMIT).claims(move |_| {
            if hook.load(Ordering::SeqCst) {
                std::thread::sleep(LIMIT / 2);
            }
            Ok(serde_json::json!({}))
        })
    })
    .await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let (before, first) = (app.db_snapshot(), browser.clone());
    let mut held = app.db_connect();
    held.batch_execute(&format!(
        "BEGIN; SELECT FROM authflow.sessions WHERE id = '{}' FOR SHARE",
        browser.session()
    ))
    .unwrap();
    slow.store(true, Ordering::SeqCst);

    // Half of the time goes by with the lock, and half with the hook.
    let login = actix_web::rt::spawn(async move { (browser.login("alice@example.com").await, browser) });
    eventually("it waits", async || app.db_waiting_for_locks() > 0).await;
    actix_web::rt::time::sleep(LIMIT * 6 / 10).await;
    held.batch_execute("COMMIT").unwrap();

    let (answer, mut browser) = login.await.unwrap();
    answer.refused(503, "storage_unavailable");
    app.db_unchanged_since(&before);
    first.call_api().await.expect(200);
    slow.store(false, Ordering::SeqCst);
    browser.login_with("alice@example.com", PASSWORD).await.expect(200);
    is_refused(&first, &app).await;
}

#[actix_web::test]
async fn an_end_does_not_wait_for_ever_for_a_lock() {
    let app = TestApp::with(|config| limit_transactions(config, LIMIT)).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut held = app.db_connect();
    let lock = format!("BEGIN; SELECT FROM authflow.sessions WHERE id = '{}' FOR UPDATE", browser.session());
    held.batch_execute(&lock).unwrap();

    browser.clone().logout().await.refused(503, "storage_unavailable");

    eventually("nobody waits", async || app.db_waiting_for_locks() == 0).await;
    browser.call_api().await.expect(200);
    held.batch_execute("COMMIT").unwrap();
    browser.clone().logout().await.expect(204);
    is_refused(&browser, &app).await;
}

/// It is one statement in no transaction, which waits for the lock as long as it takes.
#[actix_web::test]
async fn an_end_by_reuse_that_waits_for_a_lock_has_the_time_after_it() {
    let app = TestApp::start().await;
    let thief = Browser::signed_up(&app, "alice@example.com").await;
    let mut owner = thief.clone();
    for _ in 0..2 {
        owner.refresh().await.expect(200);
        app.db_age_session(&thief.session(), 31);
    }
    let mut held = app.db_connect();
    let lock = format!("BEGIN; SELECT FROM authflow.sessions WHERE id = '{}' FOR SHARE", thief.session());
    held.batch_execute(&lock).unwrap();
    let mut late = thief.clone();

    let reuse = actix_web::rt::spawn(async move { late.refresh().await });
    eventually("it waits", async || app.db_waiting_for_locks() > 0).await;
    held.batch_execute("CREATE TABLE released AS SELECT clock_timestamp() AS at; COMMIT").unwrap();

    reuse.await.unwrap().refused(401, "refresh_token_reused");
    let after = "SELECT count(*) AS value FROM authflow.sessions, released WHERE revoked_at > at";
    assert_eq!(app.db_count(after), 1);
    is_refused(&thief, &app).await;
}
