//! Connections that break around a statement: before it, or after its commit and before its answer.

use std::time::Duration;

use actix_authflow::AuthConfig;
use serde_json::json;

use crate::support::wire::{self, Moment, Proxy};
use crate::support::{Browser, PASSWORD, TestApp};

const CUTS: [Moment; 2] = [Moment::CutBefore, Moment::CutAfter];

/// A node over a wire, and one with the same configuration that needs none.
async fn wired(configure: fn(AuthConfig) -> AuthConfig) -> (Proxy, TestApp, TestApp) {
    let direct = TestApp::with(configure).await;
    let wire = Proxy::to(direct.database_url());
    let node = direct.node_at(wire.url(), configure).await;
    (wire, node, direct)
}

#[actix_web::test]
async fn a_rotation_whose_connection_breaks_rotates_once() {
    for cut in [Moment::CutBefore, Moment::CutOnceSent, Moment::CutAfter] {
        let (wire, node, app) = wired(|config| config).await;
        let mut browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
        for generation in 1..=3 {
            let before = browser.clone();
            let trap = wire.trap(wire::is_rotation, cut);

            let answer = browser.refresh().await.expect(200);

            assert!(trap.has_been_reached());
            assert_eq!(app.db_generations(&browser.session()).last(), Some(&generation));
            // Whoever asks again gets the same, at any node.
            assert_eq!(before.at(&app).refresh().await.expect(200).refresh_token(), answer.refresh_token());
            app.db_age_session(&browser.session(), 31);
        }
        assert_eq!(app.db_generations(&browser.session()), [0, 1, 2, 3]);
    }
}

/// The request knows its own commit by the nonce it drew, where a window would call it reuse.
#[actix_web::test]
async fn without_a_window_a_lost_answer_is_no_reuse() {
    for cut in CUTS {
        let (wire, node, app) = wired(|config| config.refresh_grace(Duration::ZERO)).await;
        let mut browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
        for _ in 0..2 {
            let trap = wire.trap(wire::is_rotation, cut);
            browser.refresh().await.expect(200);
            assert!(trap.has_been_reached());
        }
        assert_eq!(app.db_generations(&browser.session()), [0, 1, 2]);
        browser.refresh().await.expect(200);
        assert_eq!(app.db_session_reason(&browser.session()), None);
    }
}

/// Twice on the way that is taken together with others, and twice on its own, is more than one request bears; but the client
/// may ask again.
#[actix_web::test]
async fn a_client_whose_request_failed_repeats_it_within_the_window() {
    let (wire, node, app) = wired(|config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
    let first = browser.refresh_token.clone();
    let mut traps = vec![wire.trap(wire::is_rotation, Moment::CutAfter)];
    traps.push(wire.trap(wire::is_rotation, Moment::CutBefore));
    traps.extend(CUTS.map(|cut| wire.trap(wire::is_second_look, cut)));

    let answer = browser.refresh().await.refused(503, "storage_unavailable");

    assert!(traps.iter().all(|trap| trap.has_been_reached()));
    assert!(answer.set_cookie().is_none());
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(app.db_generations(&browser.session()), [0, 1]);
    browser.refresh().await.expect(200);
    assert_ne!(browser.refresh_token, first);
    assert_eq!(app.db_generations(&browser.session()), [0, 1]);
}

/// Every statement of the operation is cut in turn.
#[actix_web::test]
async fn a_login_whose_connection_breaks_starts_one_session() {
    let (wire, node, app) = wired(|config| config).await;
    Browser::signed_up(&app, "alice@example.com").await.logout().await.expect(204);
    for cut in CUTS {
        let trap = wire.trap(wire::is_start_of_session, cut);
        let mut browser = Browser::new(&node);

        browser.login("alice@example.com").await.expect(200);

        assert!(trap.has_been_reached());
        assert_eq!(app.db_live_sessions(), [browser.session()]);
        assert_eq!(app.db_generations(&browser.session()), [0]);
        browser.refresh().await.expect(200);
        browser.logout().await.expect(204);
    }
}

#[actix_web::test]
async fn a_login_that_replaces_a_session_does_so_once() {
    let (wire, node, app) = wired(|config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
    for statement in [wire::is_start_of_session, wire::is_end_of_sessions, wire::is_commit] {
        for cut in CUTS {
            let replaced = browser.session();
            let trap = wire.trap(statement, cut);

            browser.login("alice@example.com").await.expect(200);

            assert!(trap.has_been_reached());
            assert_eq!(app.db_live_sessions(), [browser.session()]);
            assert_eq!(app.db_session_reason(&replaced).as_deref(), Some("replaced"));
            browser.refresh().await.expect(200);
        }
    }
}

#[actix_web::test]
async fn a_registration_whose_connection_breaks_makes_one_user() {
    let (wire, node, app) = wired(|config| config).await;
    let mut users = 0;
    for statement in [wire::is_new_user, wire::is_start_of_session, wire::is_commit] {
        for cut in CUTS {
            let trap = wire.trap(statement, cut);
            let mut browser = Browser::new(&node);

            browser.register(&format!("alice{users}@example.com")).await.expect(201);

            users += 1;
            assert!(trap.has_been_reached());
            assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.users"), users);
            assert_eq!(app.db_live_sessions().len(), usize::try_from(users).unwrap());
            browser.refresh().await.expect(200);
        }
    }
}

#[actix_web::test]
async fn a_logout_whose_connection_breaks_logs_out() {
    let (wire, node, app) = wired(|config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
    for statement in [wire::is_end_of_sessions, wire::is_commit] {
        for cut in CUTS {
            browser.login("alice@example.com").await.expect(200);
            let before = browser.clone();
            let trap = wire.trap(statement, cut);

            browser.logout().await.expect(204);

            assert!(trap.has_been_reached());
            before.call_api().await.refused(401, "session_revoked");
            assert_eq!(app.db_generations(&before.session()), [0; 0]);
            assert_eq!(app.db_session_reason(&before.session()).as_deref(), Some("logged_out"));
        }
    }
}

/// What ended is dead on this node at once, although the run that ended it never heard so.
#[actix_web::test]
async fn whoever_ends_all_sessions_is_told_of_each_although_a_connection_breaks() {
    let (wire, node, app) = wired(|config| config).await;
    for statement in [wire::is_end_of_sessions, wire::is_commit] {
        for cut in CUTS {
            let user = node.auth.ensure_user("customer-4711").await.unwrap().id;
            let mut browsers = vec![Browser::new(&node), Browser::new(&node)];
            for browser in &mut browsers {
                browser.post(&format!("/host/login/{user}/cookie"), &json!({})).await.expect(200);
            }
            let trap = wire.trap(statement, cut);

            assert_eq!(node.auth.revoke_sessions(user).await.unwrap(), 2);

            assert!(trap.has_been_reached());
            for browser in browsers {
                browser.call_api().await.refused(401, "session_revoked");
            }
            assert_eq!(app.db_live_sessions(), [""; 0]);
        }
    }
}

#[actix_web::test]
async fn a_new_password_ends_every_session_although_a_connection_breaks() {
    let (wire, node, app) = wired(|config| config).await;
    for (index, statement) in [wire::is_end_of_sessions, wire::is_commit].into_iter().enumerate() {
        for cut in CUTS {
            for own_change in [true, false] {
                let email = format!("{cut:?}{index}{own_change}@example.com");
                let mut browser = Browser::signed_up(&app, &email).await.at(&node);
                let mut phone = Browser::mobile(&node);
                phone.login(&email).await.expect(200);
                let before = browser.clone();
                let trap = wire.trap(statement, cut);

                change_password(&node, &mut browser, own_change).await;

                assert!(trap.has_been_reached());
                for ended in [before, phone] {
                    ended.call_api().await.refused(401, "session_revoked");
                }
                assert_eq!(app.db_live_sessions(), [""; 0]);
            }
        }
    }
}

/// By the user, who gets a new session and logs out of it, or by the host.
async fn change_password(node: &TestApp, browser: &mut Browser, own_change: bool) {
    let new = "quite another horse by now";
    if own_change {
        browser.change_password(PASSWORD, new).await.expect(200);
        browser.call_api().await.expect(200);
        browser.logout().await.expect(204);
    } else {
        let user = browser.user().parse().unwrap();
        node.auth.set_password(user, new).await.unwrap();
    }
}

#[actix_web::test]
async fn reuse_is_called_reuse_although_a_connection_breaks() {
    for statement in [wire::is_rotation, wire::is_end_of_sessions] {
        for cut in CUTS {
            let (wire, node, app) = wired(|config| config).await;
            let mut browser = Browser::signed_up(&app, "alice@example.com").await.at(&node);
            let stolen = browser.clone();
            browser.refresh().await.expect(200);
            app.db_age_session(&browser.session(), 31);
            let trap = wire.trap(statement, cut);

            stolen.clone().refresh().await.refused(401, "refresh_token_reused");

            assert!(trap.has_been_reached());
            browser.call_api().await.refused(401, "session_revoked");
            assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("reuse"));
            browser.refresh().await.refused(401, "session_revoked");
        }
    }
}
