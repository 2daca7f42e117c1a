//! A user has so many sessions at most: the oldest make room.

use actix_web::rt::spawn;
use serde_json::json;

use crate::support::wire::{Moment, Proxy, is_start_of_session};
use crate::support::{Browser, TestApp, eventually, together};

async fn capped(most: u32) -> TestApp {
    TestApp::with(move |config| config.max_sessions(most)).await
}

#[actix_web::test]
async fn a_login_beyond_the_cap_ends_the_oldest_session_at_once() {
    let app = capped(3).await;
    let mut stranger = Browser::new(&app);
    stranger.register("mallory@example.com").await.expect(201);
    let mut browsers = vec![Browser::new(&app); 5];
    browsers[0].register("alice@example.com").await.expect(201);
    for browser in &mut browsers[1..] {
        browser.login("alice@example.com").await.expect(200);
    }

    for evicted in &mut browsers[..2] {
        evicted.call_api().await.refused(401, "session_revoked");
        evicted.refresh().await.refused(401, "session_revoked");
        assert_eq!(app.db_session_reason(&evicted.session()).as_deref(), Some("evicted"));
        assert_eq!(app.db_generations(&evicted.session()), [] as [i32; 0]);
    }
    for kept in browsers[2..].iter().chain([&stranger]) {
        kept.call_api().await.expect(200);
    }
}

#[actix_web::test]
async fn by_default_a_user_has_a_hundred_sessions() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let (first, user) = (browser.session(), browser.user());
    app.db_execute(&format!(
        "INSERT INTO authflow.sessions (id, user_id, transport, persistent, authenticated_at, created_at, expires_at)
         SELECT gen_random_uuid(), '{user}', 'cookie', true, now(), now(), now() + interval '1 day'
         FROM generate_series(1, 98)"
    ));
    Browser::new(&app).login("alice@example.com").await.expect(200);
    assert_eq!((app.db_live_sessions().len(), app.db_session_reason(&first)), (100, None));
    Browser::new(&app).login("alice@example.com").await.expect(200);
    assert_eq!(app.db_live_sessions().len(), 100);
    assert_eq!(app.db_session_reason(&first).as_deref(), Some("evicted"));
}

#[actix_web::test]
async fn with_a_cap_of_one_each_login_ends_the_last() {
    let app = capped(1).await;
    let (mut first, mut second) = (Browser::new(&app), Browser::mobile(&app));
    first.register("alice@example.com").await.expect(201);
    second.login("alice@example.com").await.expect(200);
    first.call_api().await.refused(401, "session_revoked");
    second.refresh().await.expect(200);
    let user = second.user();
    second.post(&format!("/host/login/{user}/body"), &json!({})).await.expect(200);
    assert_eq!(app.db_live_sessions(), [second.session()]);
}

#[actix_web::test]
async fn far_from_the_cap_a_login_takes_no_further_round_trip() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config).await;
    let mut browser = Browser::new(&node);
    browser.register("alice@example.com").await.expect(201);
    let mut other = Browser::new(&node);
    wire.forget();
    other.login("alice@example.com").await.expect(200);
    let more = wire.executed().into_iter().filter(|sql| sql == "BEGIN" || sql.contains("FOR NO KEY UPDATE"));
    assert_eq!(more.collect::<Vec<_>>(), [] as [&str; 0]);
}

#[actix_web::test]
async fn logins_at_once_leave_exactly_as_many_as_allowed() {
    let app = capped(3).await;
    let node = app.second_node().await;
    let user = app.auth.ensure_user("customer-4711").await.unwrap().id;
    for _ in 0..5 {
        let logins = (0..12).map(|number| {
            let mut browser = Browser::new(if number % 2 == 0 { &app } else { &node });
            async move { browser.post(&format!("/host/login/{user}/cookie"), &json!({})).await.status }
        });
        assert_eq!(together(logins).await, [200; 12]);
        assert_eq!(app.db_live_sessions().len(), 3);
    }
}

#[actix_web::test]
async fn a_login_that_was_not_seen_yet_is_waited_for() {
    let app = capped(2).await;
    let wire = Proxy::to(app.database_url());
    let held_node = app.node_at(wire.url(), |config| config.max_sessions(1_000)).await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    browser.login("alice@example.com").await.expect(200);
    let trap = wire.trap(is_start_of_session, Moment::HoldBeforeCommit);
    // This node thinks itself far from its cap, so that nobody evicts after it.
    let mut held = Browser::new(&held_node);
    let holding = spawn(async move { held.login("alice@example.com").await.expect(200) });
    trap.reached().await;

    let mut last = Browser::new(&app);
    let login = spawn(async move { last.login("alice@example.com").await.expect(200) });
    eventually("the one waits for the other", async || app.db_waiting_for_locks() > 0 || login.is_finished())
        .await;
    trap.release();

    login.await.unwrap();
    holding.await.unwrap();
    assert_eq!(app.db_live_sessions().len(), 2);
}
