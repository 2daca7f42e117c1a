//! The ends of sessions, and what the application does to users.

use actix_authflow::RotateKeys;
use serde_json::{Value, json};

use super::{Heard, line, listen};
use crate::support::{Browser, PASSWORD};

/// Asserts that one session has ended and nothing else happened.
#[track_caller]
fn one_ended(heard: &Heard, browser: &Browser, reason: &str, by: &str) -> Value {
    let event = heard.only();
    assert_eq!(line(&event), format!("session_ended {reason} {by}"));
    assert_eq!(event["user_id"], browser.user());
    assert_eq!(event["session_id"], browser.session());
    event
}

#[actix_web::test]
async fn each_end_of_a_session_is_told_once_with_its_reason() {
    let (app, heard) = listen(|config| config.max_sessions(3)).await;
    let [mut first, mut second, mut third] = std::array::from_fn(|_| Browser::new(&app));
    first.register("alice@example.com").await.expect(201);
    second.login("alice@example.com").await.expect(200);
    third.login("alice@example.com").await.expect(200);
    heard.take();

    let mut fourth = Browser::new(&app);
    fourth.login("alice@example.com").await.expect(200);
    let events = heard.take();
    assert_eq!(
        events.iter().map(line).collect::<Vec<_>>(),
        ["logged_in client", "session_ended evicted client"]
    );
    assert_eq!(events[1]["session_id"], first.session());

    let before = second.clone();
    second.login("alice@example.com").await.expect(200);
    let events = heard.take();
    assert_eq!(
        events.iter().map(line).collect::<Vec<_>>(),
        ["logged_in client", "session_ended replaced client"]
    );
    assert_eq!(events[1]["session_id"], before.session());

    for _ in 0..2 {
        second.clone().delete(&format!("/auth/sessions/{}", third.session())).await.expect(204);
    }
    one_ended(&heard, &third, "revoked_by_user", "client");
    second.clone().delete("/auth/sessions?keep=current").await.expect(204);
    one_ended(&heard, &fourth, "revoked_by_user", "client");

    let gone = second.clone();
    for mut copy in [second.clone(), second.clone()] {
        copy.logout().await.expect(204);
    }
    assert_eq!(one_ended(&heard, &gone, "logged_out", "client")["address"], "127.0.0.1");
}

#[actix_web::test]
async fn housekeeping_tells_what_was_over() {
    let (app, heard) = listen(|config| config).await;
    let idle = Browser::signed_up(&app, "alice@example.com").await;
    let expired = Browser::signed_up(&app, "bob@example.com").await;
    app.db_age_session(&idle.session(), 15 * 24 * 60 * 60);
    app.db_execute(&format!(
        "UPDATE authflow.sessions SET expires_at = now() - interval '1 second' WHERE id = '{}'",
        expired.session()
    ));
    heard.take();

    app.auth.prune().await.unwrap();

    let events = heard.take();
    assert_eq!(events.len(), 2, "{events:?}");
    for (browser, reason) in [(&idle, "idle"), (&expired, "expired")] {
        let event = events.iter().find(|event| event["session_id"] == browser.session()).unwrap();
        assert_eq!(line(event), format!("session_ended {reason} application"));
        assert_eq!(event["user_id"], browser.user());
        assert_eq!(event["address"], json!(null));
    }
}

#[actix_web::test]
async fn what_the_application_does_is_told_as_its_doing() {
    let (app, heard) = listen(|config| config).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let user = browser.user().parse().unwrap();
    heard.take();

    app.auth.revoke_session(browser.session().parse().unwrap()).await.unwrap();
    one_ended(&heard, &browser, "revoked_by_host", "application");
    app.auth.revoke_session(browser.session().parse().unwrap()).await.unwrap();
    app.auth.revoke_sessions(user).await.unwrap();
    assert_eq!(heard.lines(), [""; 0], "nothing was left to be ended");

    app.auth.start_session(user, actix_authflow::Transport::Body).await.unwrap();
    app.auth.set_roles(user, vec!["admin".into()]).await.unwrap();
    app.auth.set_scopes(user, vec!["read".into()]).await.unwrap();
    app.auth.set_password(user, PASSWORD).await.unwrap();
    app.auth.disable_user(user).await.unwrap();
    app.auth.enable_user(user).await.unwrap();
    app.auth.delete_user(user).await.unwrap();
    app.auth.ensure_user("customer-4711").await.unwrap();
    app.auth.ensure_user("customer-4711").await.unwrap();

    let expected = [
        "logged_in application",
        "roles_changed application",
        "scopes_changed application",
        "password_changed application",
        "session_ended password_changed application",
        "user_disabled application",
        "user_enabled application",
        "user_deleted application",
        "user_created application",
    ];
    assert_eq!(heard.lines(), expected);
}

#[actix_web::test]
async fn a_key_is_followed_through_its_life_by_one_node() {
    let (app, heard) = listen(|config| config).await;
    let other = app.node(|config| heard.by(config)).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let first = app.auth.keys().await.unwrap()[0].kid().to_owned();
    heard.take();

    let next = app.auth.rotate_keys(RotateKeys::Announced).await.unwrap().kid().to_owned();
    let event = heard.only();
    assert_eq!(
        (line(&event).as_str(), &event["kid"]),
        ("signing_key_changed announced application", &json!(next))
    );

    let ended = app.auth.compromise_key(&first).await.unwrap();
    assert_eq!(ended, 1);
    let events = heard.take();
    let mut lines: Vec<_> = events.iter().map(line).collect();
    assert_eq!(lines.pop().unwrap(), "session_ended key_compromised application");
    assert_eq!(events.last().unwrap()["session_id"], browser.session());
    lines.sort();
    assert_eq!(
        lines,
        ["signing_key_changed compromised application", "signing_key_changed signing application"]
    );
    drop(other);
}
