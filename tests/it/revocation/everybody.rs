//! The end of every session of everybody.

use std::sync::{Arc, Mutex};

use actix_authflow::EventKind;
use actix_web::rt::spawn;
use diesel::connection::SimpleConnection as _;

use super::is_refused;
use crate::support::{Browser, TestApp, eventually, together};

/// More sessions than are ended at once.
const MANY: i64 = 2_300;

/// Sessions of a user, as logins would have made them.
fn add_sessions(app: &TestApp, user: &str) {
    let added = app.db_execute(&format!(
        "WITH added AS (
             INSERT INTO authflow.sessions (id, user_id, transport, persistent, authenticated_at, created_at, expires_at)
             SELECT gen_random_uuid(), '{user}', 'cookie', true, now(), now(), now() + interval '1 day'
             FROM generate_series(1, {MANY}) RETURNING id
         )
         INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at, signed_by)
         SELECT id, 0, sha256(id::text::bytea), substr(sha256(id::text::bytea), 1, 16), now(), now() + interval '1 day', '{{}}'
         FROM added"
    ));
    assert_eq!(added, MANY as usize);
}

#[actix_web::test]
async fn every_session_of_everybody_ends_on_every_node() {
    let heard = Arc::<Mutex<Vec<EventKind>>>::default();
    let hook = Arc::clone(&heard);
    let app =
        TestApp::with(|config| config.on_event(move |event| hook.lock().unwrap().push(event.kind.clone())))
            .await;
    let other = app.second_node().await;
    let mut alice = Browser::signed_up(&app, "alice@example.com").await;
    let mut bob = Browser::signed_up(&other, "bob@example.com").await;
    let left = Browser::signed_up(&app, "carol@example.com").await;
    app.auth.revoke_session(left.session().parse().unwrap()).await.unwrap();
    add_sessions(&app, &alice.user());
    heard.lock().unwrap().clear();

    assert_eq!(app.auth.revoke_all_sessions().await.unwrap(), MANY as u64 + 2);

    // At once here, and soon there.
    alice.call_api().await.refused(401, "session_revoked");
    is_refused(&alice, &other).await;
    is_refused(&bob, &other).await;
    let events: Vec<_> = std::mem::take(&mut *heard.lock().unwrap());
    let [EventKind::AllSessionsEnded { sessions, .. }] = events[..] else { panic!("{events:?}") };
    assert_eq!(sessions, MANY as u64 + 2);
    for browser in [&mut alice, &mut bob] {
        assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("revoked_by_host"));
        browser.refresh().await.refused(401, "session_revoked");
    }
    assert_eq!(app.db_live_sessions(), [""; 0]);
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.refresh_tokens"), 0);
    assert_eq!(app.db_session_reason(&left.session()).as_deref(), Some("revoked_by_host"));

    assert_eq!(app.auth.revoke_all_sessions().await.unwrap(), 0);
    alice.login("alice@example.com").await.expect(200);
    alice.refresh().await.expect(200);
}

/// A session that is there before the end of the walk, but behind it.
#[actix_web::test]
async fn what_the_first_walk_has_left_behind_is_ended_by_the_second() {
    let app = TestApp::start().await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    // By its identifier the last of all.
    let last = "ffffffff-ffff-4fff-bfff-ffffffffffff";
    app.db_execute(&format!(
        "INSERT INTO authflow.sessions (id, user_id, transport, persistent, authenticated_at, created_at, expires_at)
         VALUES ('{last}', '{}', 'cookie', true, now(), now(), now() + interval '1 day')",
        alice.user()
    ));
    let mut blocker = app.db_connect();
    blocker
        .batch_execute(&format!("BEGIN; SELECT FROM authflow.sessions WHERE id = '{last}' FOR UPDATE"))
        .unwrap();
    let auth = app.auth.clone();
    let end = spawn(async move { auth.revoke_all_sessions().await.unwrap() });
    eventually("the walk has come to the last session", async || app.db_waiting_for_locks() == 1).await;
    let late = Browser::signed_up(&app, "late@example.com").await;

    blocker.batch_execute("COMMIT").unwrap();

    assert_eq!(end.await.unwrap(), 3);
    assert_eq!(app.db_session_reason(&late.session()).as_deref(), Some("revoked_by_host"));
    late.call_api().await.refused(401, "session_revoked");
}

/// A refresh under way either comes first, and its row goes with the others, or finds its session ended.
#[actix_web::test]
async fn no_refresh_under_way_survives_the_end_of_everything() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        let mut browsers = Vec::new();
        for name in 0..6 {
            browsers.push(
                Browser::signed_up(&app, &format!("{name}-{}@example.com", uuid::Uuid::new_v4())).await,
            );
        }
        let auth = app.auth.clone();
        let end = spawn(async move { auth.revoke_all_sessions().await.unwrap() });
        let refreshed = browsers.into_iter().map(|mut browser| async move {
            while browser.refresh().await.status == 200 {}
            browser
        });
        for mut browser in together(refreshed).await {
            browser.refresh().await.refused(401, "session_revoked");
        }
        assert_eq!(end.await.unwrap(), 6);
        assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.refresh_tokens"), 0);
    }
}
