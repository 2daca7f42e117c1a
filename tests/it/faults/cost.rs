//! What the database is asked for.

use actix_authflow::testing::internals::FullQueue;

use crate::support::wire::{self, Event, Proxy};
use crate::support::{Answer, Browser, PASSWORD, TestApp, eventually};

/// A node with a single connection, over a wire.
pub(super) async fn wired() -> (Proxy, TestApp, TestApp) {
    let direct = TestApp::start().await;
    let wire = Proxy::to(direct.database_url());
    let node = direct.node_at(wire.url(), |config| config.database_pool(1)).await;
    (wire, node, direct)
}

#[actix_web::test]
async fn a_thousand_guarded_calls_ask_the_database_for_nothing() {
    let (wire, node, _app) = wired().await;
    let browser = Browser::signed_up(&node, "alice@example.com").await;
    wire.forget();

    for _ in 0..1_000 {
        browser.call_api().await.expect(200);
    }

    assert_eq!(wire.log(), []);
    browser.me().await.expect(200);
    assert_ne!(wire.log(), []);
}

#[actix_web::test]
async fn bad_jwts_ask_the_database_for_nothing() {
    let (wire, node, _app) = wired().await;
    let browser = Browser::signed_up(&node, "alice@example.com").await;
    let ended = browser.clone();
    ended.clone().logout().await.expect(204);
    wire.forget();

    for bad in ["", "a.b.c", &browser.access_token.clone().unwrap()[1..]] {
        assert!(matches!(browser.with_access_token(bad).call_api().await.status, 400 | 401));
    }
    ended.call_api().await.refused(401, "session_revoked");

    assert_eq!(wire.log(), []);
}

#[actix_web::test]
async fn a_rotation_takes_two_round_trips_at_first_and_then_one() {
    let (wire, node, app) = wired().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
    let mut rotation = async || {
        wire.forget();
        browser.refresh().await.expect(200);
        app.db_age_session(&browser.session(), 31);
        let log = wire.log();
        let count = |wanted: fn(&Event) -> bool| log.iter().filter(|event| wanted(event)).count();
        let parsed = count(|event| matches!(event, Event::Parsed { .. }));
        let executed = count(|event| matches!(event, Event::Executed(sql) if wire::is_rotation(sql)));
        assert_eq!(wire.executed().len(), executed, "{log:?}");
        (parsed, executed, count(|event| *event == Event::RoundTrip))
    };

    assert_eq!(rotation().await, (1, 1, 2));
    for _ in 0..3 {
        assert_eq!(rotation().await, (0, 1, 1));
    }
}

/// Whoever comes, and whichever account it is: the database is not even asked whether there is one.
#[actix_web::test]
async fn what_is_refused_for_a_full_queue_asks_the_database_for_nothing() {
    let (wire, node, app) = wired().await;
    let mut alice = Browser::signed_up(&node, "alice@example.com").await;
    let rows = || {
        let tables = ["users", "sessions", "refresh_tokens", "attempts"];
        tables.map(|table| app.db_count(&format!("SELECT count(*) AS value FROM authflow.{table}")))
    };
    let before = rows();
    let full = FullQueue::of(&node.auth);
    wire.forget();

    let mut answers = Vec::new();
    for known_or_not in ["alice@example.com", "nobody@example.com", "not an address"] {
        answers.push(Browser::new(&node).login(known_or_not).await);
    }
    answers.push(Browser::new(&node).register("bob@example.com").await);
    answers.push(new_password(&mut alice).await);
    for answer in answers {
        let answer = answer.refused(503, "overloaded");
        assert!(["1", "2", "3", "4"].contains(&answer.header("retry-after")));
    }

    assert_eq!(wire.log(), []);
    assert_eq!(rows(), before);
    alice.refresh().await.expect(200);
    drop(full);
    alice.login("alice@example.com").await.expect(200);
    Browser::new(&node).register("bob@example.com").await.expect(201);
    new_password(&mut alice).await.expect(200);
}

pub(super) async fn new_password(browser: &mut Browser) -> Answer {
    browser.change_password(PASSWORD, "a horse that nobody has seen").await
}

/// What bounds the transaction comes with its beginning, and the other nodes are told by somebody else.
#[actix_web::test]
async fn a_logout_takes_four_round_trips_and_waits_for_no_notification() {
    let (wire, node, app) = wired().await;
    let browsers = [
        Browser::signed_up(&app, "alice@example.com").await.at(&node),
        Browser::signed_up(&app, "bob@example.com").await.at(&node),
    ];
    for mut browser in browsers {
        wire.forget();
        browser.logout().await.expect(204);
    }

    let trips = wire.log().into_iter().filter(|event| *event == Event::RoundTrip).count();
    let executed = wire.executed();
    assert_eq!((trips, executed.len()), (4, 4), "{executed:?}");
    assert!(executed[0].starts_with("BEGIN") && executed[0].contains("SET LOCAL"), "{executed:?}");
    assert!(wire::is_end_of_sessions(&executed[1]), "{executed:?}");
    assert_eq!(executed[3], "COMMIT");
    eventually("the others are told", async || wire.count_in_background(wire::is_notification) > 1).await;
}

/// As many prepared statements as kinds of them, however often they run.
#[actix_web::test]
async fn statements_are_prepared_once() {
    let (wire, node, app) = wired().await;
    let mut browser = Browser::signed_up(&node, "alice@example.com").await;
    let mut round = async || {
        browser.login("alice@example.com").await.expect(200);
        browser.refresh().await.expect(200);
        browser.refresh().await.expect(200);
        app.db_age_session(&browser.session(), 31);
        browser.refresh().await.expect(200);
        browser.me().await.expect(200);
        browser.clone().logout().await.expect(204);
        browser.refresh().await.refused(401, "session_revoked");
    };
    round().await;
    wire.forget();

    round().await;

    let parsed: Vec<_> =
        wire.log().into_iter().filter(|event| matches!(event, Event::Parsed { .. })).collect();
    assert_eq!(parsed, []);
    assert!(wire.executed().len() > 10);
}

/// Behind poolers that keep no prepared statements.
#[actix_web::test]
async fn without_prepared_statements_none_is_left_behind() {
    let direct = TestApp::start().await;
    let wire = Proxy::to(direct.database_url());
    let unprepared = |config: actix_authflow::AuthConfig| config.database_pool(1).prepared_statements(false);
    let node = direct.node_at(wire.url(), unprepared).await;
    let mut browser = Browser::signed_up(&node, "alice@example.com").await;

    browser.refresh().await.expect(200);
    browser.me().await.expect(200);
    browser.logout().await.expect(204);

    assert_eq!(wire.prepared(), [""; 0]);
}
