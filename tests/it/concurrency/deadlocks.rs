//! Deadlocks: one side is told to give way, and tries again.

use std::thread;

use actix_web::rt::spawn;
use diesel::connection::SimpleConnection as _;
use reqwest::Method;

use crate::support::wire::{Moment, Proxy};
use crate::support::{Browser, TestApp, eventually};

async fn log_out_everywhere(mut browser: Browser) {
    let request = browser.bearer(browser.request(Method::DELETE, "/auth/sessions"));
    browser.send(request).await.expect(204);
}

#[actix_web::test]
async fn who_gives_way_in_a_deadlock_tries_again() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    // Found well before the time is up that the request has.
    let database = app.db_texts("SELECT current_database()::text AS value").remove(0).unwrap();
    app.db_execute(&format!("ALTER DATABASE {database} SET deadlock_timeout = '100ms'"));
    let node = app.node_at(wire.url(), |config| config).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
    let session = browser.session();
    // Only who asks for the second lock after this one does, and without waiting long, can be the one to find the deadlock.
    let mut other = app.db_connect();
    other.batch_execute("SET deadlock_timeout = '1min'; BEGIN").unwrap();
    other.batch_execute(&format!("SELECT FROM authflow.sessions WHERE id = '{session}' FOR UPDATE")).unwrap();
    let trap = wire.trap(|sql| sql.contains("IS DISTINCT FROM input.kept"), Moment::HoldBefore);

    let ending = spawn(log_out_everywhere(browser));
    trap.reached().await;
    // The user is locked, and the sessions are next.
    let other = thread::spawn(move || {
        other.batch_execute("SELECT FROM authflow.users FOR UPDATE; COMMIT").unwrap();
    });
    eventually("the other waits for the user", async || app.db_waiting_for_locks() == 1).await;
    trap.release();

    ending.await.unwrap();
    other.join().unwrap();
    assert_eq!(app.db_session_reason(&session).as_deref(), Some("revoked_by_user"));
    // Whoever is quicker after a deadlock has the user first, and may meet the other in the next one.
    let starts = wire.executed().into_iter().filter(|sql| sql.contains("IS DISTINCT FROM input.kept"));
    assert!(starts.count() >= 2, "it tries again");
}

/// As a server says it whose messages are German.
#[actix_web::test]
async fn a_deadlock_is_known_in_any_language() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    app.db_connect()
        .batch_execute(
            "CREATE SEQUENCE public.deadlocks;
             CREATE FUNCTION public.deadlock() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('public.deadlocks') <= 3 THEN
                     RAISE 'Verklemmung entdeckt' USING ERRCODE = 'deadlock_detected',
                         DETAIL = 'Prozess 1 wartet auf ShareLock-Sperre auf Transaktion 2; blockiert von Prozess 3.',
                         HINT = 'Einzelheiten zur Anfrage finden Sie im Serverlog.';
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER deadlock BEFORE UPDATE ON authflow.users FOR EACH ROW EXECUTE FUNCTION public.deadlock()",
        )
        .unwrap();

    log_out_everywhere(browser).await;

    assert_eq!(app.db_count("SELECT last_value AS value FROM public.deadlocks"), 4);
}
