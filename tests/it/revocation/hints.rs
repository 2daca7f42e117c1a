//! `NOTIFY`: told at once, and no harm done where it is lost, late or forged.

use std::time::{Duration, Instant};

use actix_authflow::UserId;
use diesel::RunQueryDsl as _;
use secrecy::SecretString;
use serde_json::json;

use super::{end_silently, is_refused, never_polls, polls_only};
use crate::support::wire::{self, Proxy};
use crate::support::{Browser, PASSWORD, TestApp, eventually, together};

/// Another name for the same database, so that the connection that listens can be found among the others.
fn listens_as(app: &TestApp, name: &str) -> String {
    let url = app.database_url();
    format!("{url}{}application_name={name}", if url.contains('?') { '&' } else { '?' })
}

/// Every way to end a session.
#[derive(Debug, Clone, Copy)]
enum End {
    Logout,
    EndedByUser,
    AllEndedByUser,
    NewPassword,
    Reuse,
    Replaced,
    Evicted,
    PasswordSetByHost,
    RevokedByHost,
    AllRevokedByHost,
    Disabled,
}

const ENDS: [End; 11] = [
    End::Logout,
    End::EndedByUser,
    End::AllEndedByUser,
    End::NewPassword,
    End::Reuse,
    End::Replaced,
    End::Evicted,
    End::PasswordSetByHost,
    End::RevokedByHost,
    End::AllRevokedByHost,
    End::Disabled,
];

async fn end(how: End, browser: &Browser, address: &str, app: &TestApp) {
    let user: UserId = browser.user().parse().unwrap();
    match how {
        End::Logout => drop(browser.clone().logout().await.expect(204)),
        End::EndedByUser => {
            browser.clone().delete(&format!("/auth/sessions/{}", browser.session())).await.expect(204);
        }
        End::AllEndedByUser => drop(browser.clone().delete("/auth/sessions").await.expect(204)),
        End::NewPassword => {
            browser.clone().change_password(PASSWORD, "quite another horse by now").await.expect(200);
        }
        End::Reuse => {
            let mut owner = browser.clone();
            for _ in 0..2 {
                owner.refresh().await.expect(200);
                app.db_age_session(&browser.session(), 31);
            }
            browser.clone().refresh().await.refused(401, "refresh_token_reused");
        }
        End::Replaced => drop(browser.clone().login(address).await.expect(200)),
        End::Evicted => {
            for _ in 0..2 {
                Browser::new(app).login(address).await.expect(200);
            }
        }
        End::PasswordSetByHost => {
            let password = SecretString::from("quite another horse by now");
            app.auth.set_password(user, password).await.unwrap();
        }
        End::RevokedByHost => {
            app.auth.revoke_session(browser.session().parse().unwrap()).await.unwrap();
        }
        End::AllRevokedByHost => drop(app.auth.revoke_sessions(user).await.unwrap()),
        End::Disabled => app.auth.disable_user(user).await.unwrap(),
    }
}

#[actix_web::test]
async fn whatever_ends_a_session_tells_the_other_nodes() {
    let app = TestApp::with(|config| config.max_sessions(2)).await;
    let other = app.node(never_polls).await;
    for how in ENDS {
        let address = format!("{how:?}@example.com");
        let browser = Browser::signed_up(&app, &address).await;
        browser.at(&other).call_api().await.expect(200);

        end(how, &browser, &address, &app).await;

        is_refused(&browser, &other).await;
    }
}

#[actix_web::test]
async fn a_compromised_key_tells_the_other_nodes_of_its_sessions() {
    let app = TestApp::start().await;
    let other = app.node(never_polls).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let kid = app.auth.keys().await.unwrap().remove(0).kid().to_owned();

    app.auth.compromise_key(&kid).await.unwrap();

    // The other node knows the key as good, until it polls.
    is_refused(&browser, &other).await;
}

#[actix_web::test]
async fn a_listener_that_was_cut_comes_back_and_reads_what_it_missed() {
    let app = TestApp::start().await;
    let url = listens_as(&app, "cut");
    let other = app.node(|config| never_polls(config).listen_url(url)).await;
    assert!(other.auth.revocation_status().listening);
    let browsers = [
        Browser::signed_up(&app, "alice@example.com").await,
        Browser::signed_up(&app, "bob@example.com").await,
    ];
    end_silently(&app, &browsers[0]);
    browsers[0].at(&other).call_api().await.expect(200);

    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut'";
    assert_eq!(app.db_execute(cut), 1);

    is_refused(&browsers[0], &other).await;
    eventually("it listens again", async || other.auth.revocation_status().listening).await;
    browsers[1].clone().logout().await.expect(204);
    is_refused(&browsers[1], &other).await;
}

#[actix_web::test]
async fn a_node_without_its_listener_still_polls() {
    let app = TestApp::start().await;
    let nowhere = "postgres://127.0.0.1:1/nowhere";
    for node in [app.node(polls_only).await, app.node(|config| config.listen_url(nowhere)).await] {
        let browser = Browser::signed_up(&node, &format!("{}@example.com", node.address().port())).await;
        assert!(!node.auth.revocation_status().listening);
        node.auth.ready().await.unwrap();

        app.auth.revoke_session(browser.session().parse().unwrap()).await.unwrap();

        is_refused(&browser, &node).await;
    }
}

#[actix_web::test]
async fn a_lost_notification_is_made_up_for_by_the_poll() {
    let app = TestApp::with(polls_only).await;
    let other = app.node(|config| config).await;
    let told = app.node(never_polls).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;

    browser.clone().logout().await.expect(204);

    is_refused(&browser, &other).await;
    assert_eq!(browser.at(&told).call_api().await.status, 200, "nobody told");
}

/// Anybody who may connect to the database may notify.
#[actix_web::test]
async fn forged_notifications_end_nothing_and_cost_ten_reads_a_second_at_most() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), never_polls).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut forger = app.db_connect();
    let session = browser.session();
    let payloads = [String::new(), session, "'' OR true --".into(), "x".repeat(7_999)];
    let (before, start) = (wire.count_in_background(wire::is_revocation_poll), Instant::now());

    for payload in payloads.iter().cycle().take_while(|_| start.elapsed() < Duration::from_secs(2)) {
        let forged = diesel::sql_query("SELECT pg_notify('authflow_revocations', $1)");
        forged.bind::<diesel::sql_types::Text, _>(payload).execute(&mut forger).unwrap();
    }
    let read = || wire.count_in_background(wire::is_revocation_poll) - before;
    eventually("they are heeded", async || read() > 0).await;

    browser.at(&node).call_api().await.expect(200);
    let most = start.elapsed().as_millis() / 100 + 2;
    assert!(read() as u128 <= most, "{} reads in {:?}", read(), start.elapsed());
    browser.clone().logout().await.expect(204);
    is_refused(&browser, &node).await;
}

#[actix_web::test]
async fn many_ends_at_once_take_few_notifications_and_refreshes_take_none() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config).await;
    let other = app.node(never_polls).await;
    let mut first = Browser::signed_up(&node, "alice@example.com").await;
    let user = first.user();
    let logins = (0..60).map(|_| {
        let (mut browser, path) = (Browser::new(&node), format!("/host/login/{user}/cookie"));
        async move {
            browser.post(&path, &json!({})).await.expect(200);
            browser
        }
    });
    let browsers = together(logins).await;
    let before = wire.count_in_background(wire::is_notification);
    for _ in 0..5 {
        first.refresh().await.expect(200);
        app.db_age_session(&first.session(), 31);
    }
    assert_eq!(wire.count_in_background(wire::is_notification), before);

    let start = Instant::now();
    let logouts = browsers.clone().into_iter().map(|mut browser| async move { browser.logout().await });
    for answer in together(logouts).await {
        answer.expect(204);
    }
    for browser in &browsers {
        is_refused(browser, &other).await;
    }

    let sent = wire.count_in_background(wire::is_notification) - before;
    assert!(
        (1..=start.elapsed().as_millis() / 50 + 2).contains(&(sent as u128)),
        "{sent} in {:?}",
        start.elapsed()
    );
}

#[actix_web::test]
async fn ten_thousand_sessions_of_a_user_end_together() {
    let app = TestApp::with(|config| config.max_sessions(10_000)).await;
    let other = app.node(never_polls).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let (user, own) = (browser.user(), browser.session());
    app.db_execute(&format!(
        "INSERT INTO authflow.sessions (id, user_id, transport, persistent, authenticated_at, created_at, expires_at)
         SELECT gen_random_uuid(), user_id, transport, persistent, now(), now(), expires_at
         FROM authflow.sessions, generate_series(2, 10000) WHERE id = '{own}'"
    ));
    app.db_execute(
        "INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at, signed_by)
         SELECT s.id, 0, sha256(s.id::text::bytea), t.nonce, t.issued_at, t.expires_at, t.signed_by
         FROM authflow.refresh_tokens t, authflow.sessions s WHERE s.id <> t.session_id",
    );

    let ended = app.auth.revoke_sessions(user.parse().unwrap()).await.unwrap();

    assert_eq!(ended, 10_000);
    assert_eq!(app.db_live_sessions(), [""; 0]);
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.refresh_tokens"), 0);
    is_refused(&browser, &other).await;
}

#[actix_web::test]
async fn a_node_that_is_stopped_hangs_up() {
    let app = TestApp::start().await;
    let url = listens_as(&app, "stopped");
    let other = app.node(|config| config.listen_url(url)).await;
    let connected =
        || app.db_count("SELECT count(*) AS value FROM pg_stat_activity WHERE application_name = 'stopped'");
    // The connection that a listener tries itself out with may still be hanging up.
    eventually("one is left", async || connected() == 1).await;
    drop(other);
    eventually("the connection is gone", async || connected() == 0).await;
}
