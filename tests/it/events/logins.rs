//! Whoever comes in, and whoever does not.

use actix_authflow::{ClaimsRefused, RegistrationError, TrustedProxies, UserDraft};
use actix_web::rt::spawn;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;

use super::{is_about, line, listen};
use crate::support::wire::{Moment, Proxy, is_start_of_session};
use crate::support::{Browser, PASSWORD};

const NEW: &str = "a colour of quite another horse";

async fn change(browser: &mut Browser, current: &str) -> u16 {
    browser.change_password(current, NEW).await.status
}

#[actix_web::test]
async fn a_registration_and_a_login_name_user_session_address_and_time() {
    let (app, heard) = listen(|config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;

    let [created, started] = heard.take().try_into().unwrap();
    assert_eq!(line(&created), "user_created client");
    assert_eq!((&created["user_id"], &created["session_id"]), (&json!(browser.user()), &json!(null)));
    assert_eq!(line(&started), "logged_in client");
    is_about(&started, &browser);

    browser.refresh_token = None;
    browser.login("alice@example.com").await.expect(200);
    let event = heard.only();
    assert_eq!(line(&event), "logged_in client");
    is_about(&event, &browser);
    let time: DateTime<Utc> = event["time"].as_str().unwrap().parse().unwrap();
    assert!((Utc::now() - time).abs() < TimeDelta::seconds(60), "{time}");
}

#[actix_web::test]
async fn a_refused_login_says_why_and_never_who_was_guessed_at() {
    let (app, heard) = listen(|config| config).await;
    let draft = |name: &str| UserDraft::new().email(format!("{name}@example.com"));
    let mut users = Vec::new();
    for draft in [draft("alice").password(PASSWORD), draft("bob"), draft("carol").password_hash("rubbish")] {
        users.push(app.auth.create_user(draft).await.unwrap().id.to_string());
    }
    let disabled = app.auth.create_user(draft("dave").password(PASSWORD)).await.unwrap();
    app.auth.disable_user(disabled.id).await.unwrap();
    heard.take();

    let long = "x".repeat(5_000);
    for (name, password, user, expected) in [
        ("alice", NEW, Some(&users[0]), "wrong_password"),
        ("alice", &long, Some(&users[0]), "wrong_password"),
        ("bob", PASSWORD, Some(&users[1]), "no_password"),
        ("carol", PASSWORD, Some(&users[2]), "unusable_hash"),
        ("dave", PASSWORD, None, "no_account"),
        ("nobody", PASSWORD, None, "no_account"),
        ("no address at all", PASSWORD, None, "no_account"),
    ] {
        let email = format!("{name}@example.com");
        Browser::new(&app).login_with(&email, password).await.refused(401, "invalid_credentials");
        let event = heard.only();
        assert_eq!(line(&event), format!("login_failed {expected} client"), "{name}");
        assert_eq!(event["user_id"].as_str(), user.map(String::as_str), "{name}");
        assert_eq!(event["address"], "127.0.0.1");
        assert!(!event.to_string().contains(name), "{event}");
    }
}

#[actix_web::test]
async fn an_account_that_changes_while_the_password_is_checked_is_a_refused_login() {
    let (app, heard) = listen(|config| config).await;
    let wire = Proxy::to(app.database_url());
    let held = app.node_at(wire.url(), |config| heard.by(config)).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    let trap = wire.trap(is_start_of_session, Moment::HoldBefore);
    let mut late = Browser::new(&held);
    let login = spawn(async move { late.login("alice@example.com").await });
    trap.reached().await;
    app.auth.disable_user(browser.user().parse().unwrap()).await.unwrap();
    heard.take();
    trap.release();

    login.await.unwrap().refused(401, "invalid_credentials");

    assert_eq!(heard.lines(), ["login_failed changed_meanwhile client"]);
}

#[actix_web::test]
async fn what_a_hook_refuses_is_a_refused_login_and_no_user() {
    let (app, heard) = listen(|config| {
        config
            .claims(|subject| match subject.user.email.as_deref() {
                Some("eve@example.com") => Err(ClaimsRefused),
                _ => Ok(json!({})),
            })
            .on_registration(|_, user| match user.email.as_deref() {
                Some("mallory@example.com") => Err(RegistrationError::Refused),
                _ => Ok(()),
            })
    })
    .await;
    app.auth.create_user(UserDraft::new().email("eve@example.com").password(PASSWORD)).await.unwrap();
    heard.take();

    Browser::new(&app).login("eve@example.com").await.refused(403, "forbidden");
    assert_eq!(heard.lines(), ["login_failed host_refused client"]);
    Browser::new(&app).register("mallory@example.com").await.refused(403, "forbidden");
    Browser::new(&app).register("eve@example.com").await.refused(409, "email_taken");
    assert_eq!(heard.lines(), [""; 0]);
}

#[actix_web::test]
async fn a_change_of_the_password_is_told_with_all_it_ends() {
    let (app, heard) = listen(|config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut other = Browser::new(&app);
    other.login("alice@example.com").await.expect(200);
    heard.take();

    assert_eq!(change(&mut browser, NEW).await, 403);
    let event = heard.only();
    assert_eq!(line(&event), "password_change_failed wrong_password client");
    is_about(&event, &browser);

    let before = browser.clone();
    assert_eq!(change(&mut browser, PASSWORD).await, 200);
    let events = heard.take();
    let lines: Vec<_> = events.iter().map(line).collect();
    let ended = "session_ended password_changed client";
    assert_eq!(lines, ["password_changed client", ended, ended, "logged_in client"]);
    is_about(&events[0], &before);
    is_about(&events[3], &browser);
    let mut sessions = [events[1]["session_id"].clone(), events[2]["session_id"].clone()];
    sessions.sort_by_key(ToString::to_string);
    let mut expected = [json!(before.session()), json!(other.session())];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(sessions, expected);
}

#[actix_web::test]
async fn behind_a_trusted_proxy_the_address_is_the_clients() {
    let proxies = TrustedProxies::parse("127.0.0.1").unwrap();
    let (app, heard) = listen(|config| config.trusted_proxies(proxies)).await;
    let mut browser = Browser::new(&app);
    let body = json!({ "email": "alice@example.com", "password": PASSWORD });
    let login = browser.request(Method::POST, "/auth/login").json(&body);
    let forwarded = login.header("X-Forwarded-For", "198.51.100.1, evil&, 192.0.2.7");

    browser.send(forwarded).await.refused(401, "invalid_credentials");

    assert_eq!(heard.only()["address"], "192.0.2.7");
}
