//! "Why was I logged out?" The answer, the row and the event agree.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_authflow::{AuthConfig, SecurityEvent};
use reqwest::Method;
use serde_json::Value;

use super::WINDOW_OVER;
use crate::support::{Browser, PASSWORD, TestApp};

const DAY: i64 = 24 * 60 * 60;
const NEW_PASSWORD: &str = "a colour of quite another horse";

/// An application, and the ends of sessions that it tells of: which, and the reason by the name of the event.
struct World {
    app: TestApp,
    told: Arc<Mutex<Vec<(String, String)>>>,
}

impl World {
    async fn start() -> World {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let hook = move |event: &SecurityEvent| {
            let reason = match event.kind.name() {
                "session_ended" => event.kind.reason(),
                "refresh_token_reused" => Some("reuse"),
                "database_restored" => Some("database_restored"),
                _ => None,
            };
            if let (Some(reason), Some(session)) = (reason, event.session_id) {
                heard.lock().unwrap().push((session.to_string(), reason.to_owned()));
            }
        };
        let configure =
            |config: AuthConfig| config.max_sessions(2).prune_interval(Duration::ZERO).on_event(hook);
        World { app: TestApp::with(configure).await, told }
    }

    /// Ends the session of a browser in the way that leads to this reason.
    async fn end(&self, browser: &mut Browser, email: &str, reason: &str) {
        let (app, auth) = (&self.app, &self.app.auth);
        let (user, session) = (browser.user().parse().unwrap(), browser.session());
        match reason {
            "logged_out" => drop(browser.clone().logout().await.expect(204)),
            "replaced" => drop(browser.clone().login(email).await.expect(200)),
            "revoked_by_user" => {
                let mut other = Browser::new(app);
                other.login(email).await.expect(200);
                other.delete(&format!("/auth/sessions/{session}")).await.expect(204);
            }
            "revoked_by_host" => auth.revoke_session(session.parse().unwrap()).await.unwrap(),
            "password_changed" => {
                browser.clone().change_password(PASSWORD, NEW_PASSWORD).await.expect(200);
            }
            "reuse" => {
                let mut thief = browser.clone();
                browser.refresh().await.expect(200);
                app.db_age_session(&session, WINDOW_OVER);
                let found = thief.refresh().await.refused(401, "refresh_token_reused");
                assert_eq!(found.json["reason"], "reuse");
            }
            "user_disabled" => auth.disable_user(user).await.unwrap(),
            "user_deleted" => auth.delete_user(user).await.unwrap(),
            "evicted" => {
                for _ in 0..2 {
                    Browser::new(app).login(email).await.expect(200);
                }
            }
            "idle" => {
                app.db_age_session(&session, 15 * DAY);
                refused_for(browser, "refresh_token_expired", "idle").await;
                auth.prune().await.unwrap();
            }
            "expired" => {
                app.db_age_session(&session, 31 * DAY);
                app.db_execute(&format!(
                    "UPDATE authflow.refresh_tokens t SET expires_at = s.expires_at
                     FROM authflow.sessions s WHERE s.id = t.session_id AND s.id = '{session}'"
                ));
                refused_for(browser, "refresh_token_expired", "expired").await;
                auth.prune().await.unwrap();
            }
            "database_restored" => {
                browser.refresh().await.expect(200);
                app.db_execute(&format!(
                    "DELETE FROM authflow.refresh_tokens WHERE session_id = '{session}' AND generation = 1"
                ));
                refused_for(browser, "session_revoked", "database_restored").await;
            }
            other => panic!("no way to end a session with the reason {other}"),
        }
    }
}

/// Refreshes, and asserts that the refusal says why.
async fn refused_for(browser: &Browser, code: &str, reason: &str) -> Value {
    let answer = browser.clone().refresh().await.refused(401, code);
    assert_eq!(answer.json["reason"], reason, "{answer:?}");
    answer.json
}

#[actix_web::test]
async fn the_answer_the_row_and_the_event_give_the_same_reason() {
    let world = World::start().await;
    for (reason, code) in [
        ("logged_out", "session_revoked"),
        ("replaced", "session_revoked"),
        ("revoked_by_user", "session_revoked"),
        ("revoked_by_host", "session_revoked"),
        ("password_changed", "session_revoked"),
        ("reuse", "session_revoked"),
        ("user_disabled", "session_revoked"),
        ("user_deleted", "session_revoked"),
        ("evicted", "session_revoked"),
        ("idle", "refresh_token_expired"),
        ("expired", "refresh_token_expired"),
        ("database_restored", "session_revoked"),
    ] {
        let email = format!("{reason}@example.com");
        let mut browser = Browser::signed_up(&world.app, &email).await;
        world.end(&mut browser, &email, reason).await;
        let session = browser.session();

        refused_for(&browser, code, reason).await;
        assert_eq!(world.app.db_session_reason(&session).as_deref(), Some(reason));
        let told = world.told.lock().unwrap().clone();
        let told: Vec<_> = told.into_iter().filter(|(ended, _)| *ended == session).collect();
        assert_eq!(told, [(session, reason.to_owned())]);
        // Housekeeping leaves it to the nodes to find out within a second.
        if !["idle", "expired"].contains(&reason) {
            let guarded = browser.call_api().await.refused(401, "session_revoked");
            assert_eq!(guarded.json["reason"], Value::Null, "a guard knows that, not why");
        }
    }
}

#[actix_web::test]
async fn a_user_who_is_disabled_behind_the_nodes_backs_is_told_so() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    app.db_execute("UPDATE authflow.users SET disabled_at = now()");
    refused_for(&browser, "session_revoked", "user_disabled").await;
}

#[actix_web::test]
async fn the_session_of_a_compromised_key_has_no_good_jwt_left_to_ask_with() {
    let app = TestApp::with(|config| config.refresh_requires_access_token(false)).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let kid = app.auth.keys().await.unwrap()[0].kid().to_owned();
    assert_eq!(app.auth.compromise_key(&kid).await.unwrap(), 1);

    assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("key_compromised"));
    browser.call_api().await.refused(401, "token_invalid");
    browser.clone().refresh().await.refused(401, "token_invalid");
    let request = browser.request(Method::POST, "/auth/refresh").header("Origin", app.url(""));
    let answer = browser.clone().send(request).await.refused(401, "session_revoked");
    assert_eq!(answer.json["reason"], "key_compromised");
}

#[actix_web::test]
async fn whoever_has_no_genuine_token_is_told_no_reason() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = browser.clone();
    browser.logout().await.expect(204);

    let forged = before.refresh_token.as_deref().unwrap().replace("rt_A", "rt_B");
    let answer = before.with_refresh_token(forged).refresh().await.refused(401, "refresh_token_invalid");
    assert_eq!(answer.json["reason"], Value::Null);
    let answer = before.by_the_other_transport().refresh().await.refused(401, "refresh_token_invalid");
    assert_eq!(answer.json["reason"], Value::Null);
}
