//! What has happened is told once, although the connection breaks at the commit and nobody hears that it went through.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;

use super::Heard;
use crate::support::wire::{self, Moment, Proxy};
use crate::support::{Browser, TestApp, eventually};

const CUTS: [Moment; 2] = [Moment::CutBefore, Moment::CutAfter];

#[actix_web::test]
async fn an_evicted_session_is_told_of_and_dead_at_once() {
    let heard = Heard::default();
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| heard.by(config.max_sessions(1))).await;
    let mut browser = Browser::signed_up(&node, "alice@example.com").await;
    for cut in CUTS {
        heard.take();
        let evicted = browser.clone();
        browser = Browser::new(&node);
        let trap = wire.trap(wire::is_commit, cut);

        browser.login("alice@example.com").await.expect(200);

        assert!(trap.has_been_reached());
        assert_eq!(heard.lines(), ["logged_in client", "session_ended evicted client"], "{cut:?}");
        evicted.call_api().await.refused(401, "session_revoked");
    }
}

#[actix_web::test]
async fn what_housekeeping_ends_is_told_of() {
    let heard = Heard::default();
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| heard.by(config)).await;
    for cut in CUTS {
        let mut browser = Browser::new(&app);
        browser.register(&format!("{cut:?}@example.com")).await.expect(201);
        app.db_age_session(&browser.session(), 15 * 24 * 60 * 60);
        heard.take();
        let trap = wire.trap(wire::is_commit, cut);

        let pruned = node.auth.prune().await.unwrap();

        assert!(trap.has_been_reached());
        assert_eq!((pruned.sessions_ended, pruned.refresh_tokens), (1, 1), "{cut:?}");
        assert_eq!(heard.lines(), ["session_ended idle application"], "{cut:?}");
    }
}

#[actix_web::test]
async fn the_end_of_every_session_is_counted_and_known() {
    let heard = Heard::default();
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| heard.by(config)).await;
    for cut in CUTS {
        let mut browser = Browser::new(&node);
        browser.register(&format!("{cut:?}@example.com")).await.expect(201);
        heard.take();
        let trap = wire.trap(wire::is_commit, cut);

        assert_eq!(node.auth.revoke_all_sessions().await.unwrap(), 1, "{cut:?}");

        assert!(trap.has_been_reached());
        assert_eq!(heard.only()["sessions"], 1);
        browser.call_api().await.refused(401, "session_revoked");
    }
}

/// A commit takes its time where a disk or a standby does. What became of it is not judged before.
#[actix_web::test]
async fn a_commit_that_is_still_being_written_is_waited_for() {
    let heard = Heard::default();
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| heard.by(config)).await;
    let browser = Browser::signed_up(&node, "alice@example.com").await;
    app.db_connect()
        .batch_execute(
            "CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
             CREATE CONSTRAINT TRIGGER dawdle AFTER UPDATE ON authflow.sessions DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION public.dawdle()",
        )
        .unwrap();
    heard.take();
    let trap = wire.trap(wire::is_commit, Moment::CutOnceSent);

    assert_eq!(node.auth.revoke_all_sessions().await.unwrap(), 1);

    assert!(trap.has_been_reached());
    assert_eq!(heard.only()["sessions"], 1);
    browser.call_api().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn no_event_is_stored_twice() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node =
        app.node_at(wire.url(), |config| config.events_retention(Duration::from_secs(24 * 60 * 60))).await;
    // The second run fails as well: the batch is written by a third.
    let traps = CUTS.map(|_| wire.trap(|sql| sql.contains("INSERT INTO authflow.events"), Moment::CutAfter));

    Browser::signed_up(&node, "alice@example.com").await;

    let stored = |event: &str| {
        app.db_count(&format!("SELECT count(*) AS value FROM authflow.events WHERE event = '{event}'"))
    };
    eventually("both answers are lost", async || traps.iter().all(|trap| trap.has_been_reached())).await;
    Browser::new(&node).login("alice@example.com").await.expect(200);
    eventually("the next events are stored", async || stored("logged_in") >= 2).await;
    assert_eq!((stored("user_created"), stored("logged_in")), (1, 2));
}
