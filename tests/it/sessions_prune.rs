//! Housekeeping: what nobody needs goes, what somebody needs stays, and nobody waits for it.

use std::time::Duration;

use actix_web::rt::spawn;
use diesel::connection::SimpleConnection as _;

use crate::support::wire::{Moment, Proxy};
use crate::support::{Browser, TestApp, eventually, together};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

async fn start() -> TestApp {
    TestApp::with(|config| config.prune_interval(Duration::ZERO)).await
}

/// A chain of so many generations, each older than the window but for the last.
async fn chain(app: &TestApp, browser: &mut Browser, length: i32) {
    browser.register("alice@example.com").await.expect(201);
    for _ in 1..length {
        app.db_age_session(&browser.session(), 120);
        browser.refresh().await.expect(200);
    }
}

#[actix_web::test]
async fn superseded_generations_go_and_the_window_stays_whole() {
    let app = start().await;
    let mut browser = Browser::new(&app);
    chain(&app, &mut browser, 4).await;
    let session = browser.session();
    app.db_age_session(&session, 120);
    let mut first_tab = browser.clone();
    let mut second_tab = browser.clone();
    first_tab.refresh().await.expect(200);

    let done = app.auth.prune().await.unwrap();

    assert_eq!(done.refresh_tokens, 3);
    assert_eq!((done.sessions_ended, done.sessions, done.users), (0, 0, 0));
    assert_eq!(app.db_generations(&session), [3, 4], "the predecessor within the window stays");
    second_tab.refresh().await.expect(200);
    assert_eq!(second_tab.refresh_token, first_tab.refresh_token);

    app.db_age_session(&session, 89);
    assert_eq!(app.auth.prune().await.unwrap().refresh_tokens, 0, "a margin beyond the window of 30 s");
    app.db_age_session(&session, 2);
    assert_eq!(app.auth.prune().await.unwrap().refresh_tokens, 1);
    assert_eq!(app.db_generations(&session), [4], "the head stays");
    assert_eq!(app.auth.prune().await.unwrap(), actix_authflow::Pruned::default());
    first_tab.refresh().await.expect(200);
}

/// The row of a generation is what keeps a slow rotation from adding it a second time.
#[actix_web::test]
async fn generations_that_were_replaced_a_moment_ago_stay() {
    let app =
        TestApp::with(|config| config.prune_interval(Duration::ZERO).refresh_grace(Duration::ZERO)).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..3 {
        browser.refresh().await.expect(200);
    }

    assert_eq!(app.auth.prune().await.unwrap().refresh_tokens, 0);
    assert_eq!(app.db_generations(&browser.session()), [0, 1, 2, 3]);

    app.db_age_session(&browser.session(), 61);
    assert_eq!(app.auth.prune().await.unwrap().refresh_tokens, 3);
    assert_eq!(app.db_generations(&browser.session()), [3]);
}

#[actix_web::test]
async fn a_pruned_generation_is_still_reuse() {
    let app = start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let mut thief = browser.clone();
    let session = browser.session();
    for _ in 0..3 {
        app.db_age_session(&session, 120);
        browser.refresh().await.expect(200);
    }
    app.db_age_session(&session, 120);
    app.auth.prune().await.unwrap();
    assert_eq!(app.db_generations(&session), [3]);

    thief.refresh().await.refused(401, "refresh_token_reused");

    browser.refresh().await.refused(401, "session_revoked");
    assert_eq!(app.db_session_reason(&session).as_deref(), Some("reuse"));
    assert_eq!(app.auth.prune().await.unwrap().refresh_tokens, 1, "of an ended session nothing is needed");
    browser.refresh().await.refused(401, "session_revoked");
}

/// While it goes on, and not only when it is over.
#[actix_web::test]
async fn rows_stay_bounded_under_constant_refreshing() {
    const REFRESHES: i32 = 400;
    let app = TestApp::with(|config| {
        config.prune_interval(Duration::from_millis(50)).refresh_grace(Duration::ZERO)
    })
    .await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let session = browser.session();
    let mut most = 0;
    for _ in 0..REFRESHES {
        browser.refresh().await.expect(200);
        app.db_age_session(&session, 61);
        most = most.max(app.db_generations(&session).len());
    }
    // Some forty on a busy machine; all of them if nothing goes before the end.
    assert!(most <= 200, "{most} rows at a time");
    eventually("the background task prunes", async || app.db_generations(&session) == [REFRESHES]).await;
    browser.refresh().await.expect(200);
}

#[actix_web::test]
async fn more_than_one_statement_deletes_go_too_oldest_first() {
    let app = start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let session = browser.session();
    let more = |from: i32, to: i32| {
        format!(
            "INSERT INTO authflow.refresh_tokens
             SELECT session_id, n, digest, nonce, issued_at - interval '1 day', expires_at
             FROM authflow.refresh_tokens, generate_series({from}, {to}) n
             WHERE session_id = '{session}' AND generation = 0"
        )
    };
    app.db_execute(&more(1, 3_500));
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config.prune_interval(Duration::ZERO)).await;
    let trap = wire.trap(|sql| sql == "COMMIT", Moment::HoldBefore);
    let auth = node.auth.clone();
    wire.forget();
    let pruning = spawn(async move { auth.prune().await.unwrap() });
    trap.reached().await;
    trap.release();
    assert_eq!(pruning.await.unwrap().refresh_tokens, 3_500);
    let deletions =
        wire.executed().iter().filter(|sql| sql.contains("superseded AS (\n        SELECT")).count();
    assert_eq!(deletions, 4, "a thousand at a time");
    assert_eq!(app.db_generations(&session), [3_500]);
}

#[actix_web::test]
async fn idle_and_expired_sessions_are_marked_and_answered_alike() {
    let app = start().await;
    let mut idle = Browser::new(&app);
    let mut expired = Browser::new(&app);
    idle.register("alice@example.com").await.expect(201);
    expired.login("alice@example.com").await.expect(200);
    app.db_age_session(&idle.session(), 14 * DAY + HOUR);
    for _ in 0..3 {
        app.db_age_session(&expired.session(), 10 * DAY);
        if expired.refresh().await.status == 401 {
            break;
        }
    }
    for browser in [&mut idle, &mut expired] {
        browser.refresh().await.refused(401, "refresh_token_expired");
    }

    let done = app.auth.prune().await.unwrap();

    assert_eq!((done.sessions_ended, done.sessions), (2, 0));
    assert_eq!(app.db_session_reason(&idle.session()).as_deref(), Some("idle"));
    assert_eq!(app.db_session_reason(&expired.session()).as_deref(), Some("expired"));
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.refresh_tokens"), 0);
    for browser in [&mut idle, &mut expired] {
        browser.refresh().await.refused(401, "refresh_token_expired");
    }
    idle.login("alice@example.com").await.expect(200);
}

#[actix_web::test]
async fn an_ended_session_stays_for_a_day_and_goes_then() {
    let app = start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let session = browser.session();
    browser.clone().logout().await.expect(204);

    app.db_age_session(&session, 24 * HOUR + 60);
    assert_eq!(app.auth.prune().await.unwrap().sessions, 0, "the nodes still read it back");
    browser.refresh().await.refused(401, "session_revoked");
    app.db_age_session(&session, 5 * 60);
    assert_eq!(app.auth.prune().await.unwrap().sessions, 1);
    browser.refresh().await.refused(401, "refresh_token_invalid");
}

#[actix_web::test]
async fn a_deleted_user_goes_with_the_last_session() {
    let app = start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let held = app.auth.ensure_user("customer-1").await.unwrap().id;
    let bare = app.auth.ensure_user("customer-2").await.unwrap().id;
    let id: uuid::Uuid = browser.user().parse().unwrap();
    app.db_execute("CREATE TABLE public.orders (customer uuid REFERENCES authflow.users (id))");
    app.db_execute(&format!("INSERT INTO public.orders VALUES ('{held}')"));
    app.auth.disable_user(bare).await.unwrap();
    app.auth.delete_user(held).await.unwrap();
    app.auth.delete_user(id.into()).await.unwrap();
    assert!(app.auth.enable_user(id.into()).await.is_err(), "a deleted user does not come back");

    assert_eq!(app.auth.prune().await.unwrap().users, 0, "one is held by a session, one by the host");
    app.db_age_session(&browser.session(), 25 * HOUR);
    let done = app.auth.prune().await.unwrap();

    assert_eq!((done.sessions, done.users), (1, 1));
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.users"), 2, "disabled is not deleted");
    app.db_execute("DELETE FROM public.orders");
    assert_eq!(app.auth.prune().await.unwrap().users, 1);
}

#[actix_web::test]
async fn nobody_waits_for_a_batch_and_two_nodes_take_turns() {
    let app = start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config.prune_interval(Duration::ZERO)).await;
    let mut browser = Browser::new(&app);
    chain(&app, &mut browser, 4).await;
    let mut idle = Browser::new(&app);
    idle.login("alice@example.com").await.expect(200);
    app.db_age_session(&idle.session(), 15 * DAY);
    let session = browser.session();
    app.db_age_session(&session, 120);
    let trap = wire.trap(|sql| sql == "COMMIT", Moment::HoldBefore);
    let auth = node.auth.clone();
    let pruning = spawn(async move { auth.prune().await.unwrap() });
    trap.reached().await;

    // The batch has deleted rows of this chain and marked a session, and is not committed.
    browser.refresh().await.expect(200);
    browser.call_api().await.expect(200);
    let mut other = Browser::new(&app);
    other.login("alice@example.com").await.expect(200);
    let mut late = Browser::new(&app);
    late.login("alice@example.com").await.expect(200);
    late.refresh().await.expect(200);
    other.logout().await.expect(204);
    assert_eq!(app.db_waiting_for_locks(), 0);
    app.db_age_session(&late.session(), 120);
    let second = app.auth.prune().await.unwrap();
    assert_eq!(second, actix_authflow::Pruned::default(), "it is the other node's turn");
    trap.release();

    let first = pruning.await.unwrap();
    // The next batch of the same pass finds what has come up meanwhile.
    assert_eq!((first.refresh_tokens, first.sessions_ended), (3 + 1 + 1, 1));
    assert_eq!(app.db_generations(&session), [3, 4]);
    browser.refresh().await.expect(200);
}

#[actix_web::test]
async fn a_part_of_a_pass_that_fails_does_not_keep_the_others_from_being_done() {
    let app = start().await;
    let counts = "SELECT count(*) AS value FROM authflow.attempts";
    Browser::new(&app).register("alice@example.com").await.expect(201);
    app.db_age_attempts(24 * 60 * 60);
    assert_eq!(app.db_count(counts), 1);
    app.db_execute("ALTER TABLE authflow.refresh_tokens RENAME TO away");

    app.auth.prune().await.unwrap_err();

    assert_eq!(app.db_count(counts), 0);
    app.db_execute("ALTER TABLE authflow.away RENAME TO refresh_tokens");
    app.auth.prune().await.unwrap();
}

#[actix_web::test]
async fn a_session_that_is_refreshed_in_its_last_moment_is_not_ended() {
    let app = start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config.prune_interval(Duration::ZERO)).await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let session = browser.session();
    app.db_age_session(&session, 15 * DAY);
    // Between the first look and the lock, the head is replaced.
    let trap = wire
        .trap(|sql| sql.contains("SKIP LOCKED") && sql.contains("revoked_at IS NULL"), Moment::HoldBefore);
    let auth = node.auth.clone();
    let pruning = spawn(async move { auth.prune().await.unwrap() });
    trap.reached().await;
    app.db_execute(&format!(
        "UPDATE authflow.refresh_tokens SET expires_at = now() + interval '1 day' WHERE session_id = '{session}'"
    ));
    trap.release();

    assert_eq!(pruning.await.unwrap().sessions_ended, 0);
    assert_eq!(app.db_session_reason(&session), None);
    browser.refresh().await.expect(200);
}

#[actix_web::test]
async fn refreshes_and_prunes_at_once_lose_no_chain() {
    let app =
        TestApp::with(|config| config.refresh_grace(Duration::ZERO).prune_interval(Duration::ZERO)).await;
    let mut browsers = Vec::new();
    for number in 0..4 {
        let mut browser = Browser::new(&app);
        browser.register(&format!("user{number}@example.com")).await.expect(201);
        browsers.push(browser);
    }
    let pruning = spawn({
        let auth = app.auth.clone();
        async move {
            for _ in 0..40 {
                auth.prune().await.unwrap();
            }
        }
    });
    let rounds = browsers.into_iter().map(|mut browser| async move {
        for _ in 0..50 {
            browser.refresh().await.expect(200);
        }
        browser
    });
    let browsers = together(rounds).await;
    pruning.await.unwrap();
    for browser in &browsers {
        app.db_age_session(&browser.session(), 120);
    }
    app.auth.prune().await.unwrap();
    for mut browser in browsers {
        assert_eq!(app.db_generations(&browser.session()), [50]);
        browser.refresh().await.expect(200);
    }
}

/// Another node takes the turn after each first batch of a pass.
#[actix_web::test]
async fn a_large_table_is_done_although_no_pass_gets_to_its_end() {
    let app = start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    app.db_execute(&format!(
        "INSERT INTO authflow.sessions (id, user_id, transport, persistent, authenticated_at, created_at, expires_at)
         SELECT gen_random_uuid(), '{}', 'body', true, t, t, t FROM generate_series(1, 1600),
             LATERAL (SELECT now() - interval '1 minute' AS t) past",
        browser.user()
    ));
    let wire = Proxy::to(app.database_url());
    let _node = app.node_at(wire.url(), |config| config.prune_interval(Duration::from_millis(50))).await;
    let mut other_node = app.db_connect();
    let next_survey = || wire.trap(|sql| sql.contains("looked_at AS"), Moment::HoldBefore);
    let ended =
        || app.db_count("SELECT count(*) AS value FROM authflow.sessions WHERE revoked_at IS NOT NULL");

    let mut first = next_survey();
    for pass in 1..=3 {
        first.reached().await;
        let second = next_survey();
        first.release();
        second.reached().await;
        other_node.batch_execute("BEGIN; SELECT pg_advisory_xact_lock(x'61662d7072756e65'::bigint)").unwrap();
        first = next_survey();
        second.release();
        // That ended the pass, and this is the next one.
        first.reached().await;
        other_node.batch_execute("COMMIT").unwrap();
        // 500 sessions at a time, of which one lives.
        assert!(ended() >= pass * 500 - 1, "{} after pass {pass}", ended());
    }
    first.release();
    eventually("all are done", async || ended() == 1_600).await;
}
