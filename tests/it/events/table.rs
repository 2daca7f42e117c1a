//! Events as rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_authflow::{Auth, AuthConfig, UserDraft};
use diesel::connection::SimpleConnection as _;

use super::Heard;
use crate::support::{Browser, SECRET, TestApp, eventually, secret};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Event, reason, on whose behalf, and what else there is.
fn rows(app: &TestApp) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', event, reason, actor, address, details) AS value FROM authflow.events
               WHERE event <> 'signing_key_changed' ORDER BY id";
    app.db_texts(sql).into_iter().flatten().collect()
}

async fn stored(retention: Duration) -> TestApp {
    TestApp::with(|config| config.events_retention(retention).prune_interval(Duration::ZERO)).await
}

#[actix_web::test]
async fn what_happens_is_stored_in_order_with_all_that_is_known() {
    let app = stored(90 * DAY).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let bob = Browser::signed_up(&app, "bob@example.com").await;
    browser.refresh().await.expect(200);
    browser.refresh().await.expect(200);
    let mixed = bob.with_refresh_token(browser.refresh_token.clone().unwrap());
    mixed.clone().refresh().await.refused(401, "token_mismatch");
    let session = browser.session();
    browser.logout().await.expect(204);
    app.auth.disable_user(bob.user().parse().unwrap()).await.unwrap();

    let expected = [
        "user_created client 127.0.0.1".to_owned(),
        "logged_in client 127.0.0.1".to_owned(),
        "user_created client 127.0.0.1".to_owned(),
        "logged_in client 127.0.0.1".to_owned(),
        "refresh_retried same_token client 127.0.0.1".to_owned(),
        format!("token_mismatch client 127.0.0.1 {{\"refresh_session_id\": \"{session}\"}}"),
        "session_ended logged_out client 127.0.0.1".to_owned(),
        "user_disabled application".to_owned(),
        "session_ended user_disabled application".to_owned(),
    ];
    eventually("everything is stored", async || rows(&app).len() >= expected.len()).await;
    assert_eq!(rows(&app), expected);
    assert_eq!(
        app.db_count(&format!(
            "SELECT count(*) AS value FROM authflow.events WHERE user_id = '{}' AND session_id = '{session}'
               AND occurred_at BETWEEN now() - interval '1 minute' AND now() + interval '1 second'",
            browser.user()
        )),
        3
    );
    let keys = "SELECT count(*) AS value FROM authflow.events WHERE details ? 'kid' AND reason = 'signing'";
    assert_eq!(app.db_count(keys), 1);
}

#[actix_web::test]
async fn by_default_nothing_is_stored() {
    let heard = Heard::default();
    let app = TestApp::with(|config| heard.by(config)).await;
    Browser::signed_up(&app, "alice@example.com").await.logout().await.expect(204);
    assert_eq!(heard.take().len(), 4);
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.events"), 0);
}

#[actix_web::test]
async fn housekeeping_deletes_what_is_older_than_wanted() {
    let app = stored(7 * DAY).await;
    Browser::signed_up(&app, "alice@example.com").await;
    eventually("everything is stored", async || rows(&app).len() == 2).await;
    app.db_execute(
        "INSERT INTO authflow.events (occurred_at, event, actor)
         SELECT now() - interval '7 days 1 minute', 'logged_in', 'client' FROM generate_series(1, 2500)
         UNION ALL SELECT now() - interval '6 days 23 hours', 'logged_in', 'client'",
    );

    assert_eq!(app.auth.prune().await.unwrap().events, 2_500);

    assert_eq!(rows(&app).len(), 3);
    assert_eq!(app.auth.prune().await.unwrap().events, 0);
}

#[actix_web::test]
async fn a_table_that_cannot_be_written_holds_up_no_request_and_gets_its_rows_later() {
    let app = stored(90 * DAY).await;
    app.db_execute("ALTER TABLE authflow.events RENAME TO elsewhere");
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    browser.logout().await.expect(204);
    app.db_execute("ALTER TABLE authflow.elsewhere RENAME TO events");

    eventually("the rows come", async || rows(&app).len() == 3).await;
    assert_eq!(rows(&app)[2], "session_ended logged_out client 127.0.0.1");
}

#[actix_web::test]
async fn the_end_of_a_node_waits_until_the_rest_is_written() {
    let app = stored(90 * DAY).await;
    // A handle of its own: those of a server go with its threads, which nobody waits for.
    let config =
        AuthConfig::new(app.database_url(), secret(SECRET)).database_pool(4).events_retention(90 * DAY);
    let ending = Auth::connect(config).await.unwrap();
    let mut lock = app.db_connect();
    lock.batch_execute("BEGIN; LOCK TABLE authflow.events IN ACCESS EXCLUSIVE MODE").unwrap();
    ending.create_user(UserDraft::new().email("alice@example.com")).await.unwrap();

    let unlocked = Arc::new(AtomicBool::new(false));
    let unlocking = std::thread::spawn({
        let unlocked = Arc::clone(&unlocked);
        move || {
            std::thread::sleep(Duration::from_millis(50));
            unlocked.store(true, Ordering::SeqCst);
            lock.batch_execute("COMMIT").unwrap();
        }
    });
    drop(ending);

    assert!(unlocked.load(Ordering::SeqCst), "the node has gone before it could write");
    unlocking.join().unwrap();
    assert_eq!(rows(&app), ["user_created application"]);
}
