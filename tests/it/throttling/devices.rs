//! A device that has logged in before has a budget of its own.

use actix_authflow::UserId;
use reqwest::Method;
use serde_json::json;

use super::{WRONG, behind_a_proxy, from, guess, guess_from, throttled};
use crate::support::{Browser, PASSWORD, TestApp};

/// An account whose strangers have used up everything: from the owner's address, from everywhere, and the address itself.
async fn besieged() -> (TestApp, Browser) {
    let app = TestApp::start().await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    app.db_add_attempts("account", 99, 60 * 60);
    app.db_add_attempts("address", 99, 6);
    for _ in 0..2 {
        throttled(Browser::new(&app).login("alice@example.com").await);
    }
    (app, alice)
}

#[actix_web::test]
async fn the_owner_logs_in_on_a_known_device_while_strangers_are_shut_out() {
    let (app, mut alice) = besieged().await;
    alice.logout().await.expect(204);
    for _ in 0..12 {
        alice.login_with("alice@example.com", WRONG).await.refused(401, "invalid_credentials");
        alice.login("alice@example.com").await.expect(200);
    }
    // That opens nothing for the others.
    assert_eq!(app.db_attempts("account"), 100);
    throttled(guess(&app, "alice@example.com").await);
    throttled(Browser::new(&app).login("alice@example.com").await);
}

#[actix_web::test]
async fn strangers_who_go_on_do_not_wear_a_known_device_out() {
    let app = behind_a_proxy(|config| config.login_ceiling(10)).await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    for n in 0..30 {
        let guessed = guess_from(&app, &format!("192.0.{n}.1"), "alice@example.com").await;
        assert_eq!(guessed.status, if n < 10 { 401 } else { 429 });
    }
    // From an address that the strangers use as well.
    from("192.0.1.1", alice, "alice@example.com", PASSWORD).await.expect(200);
}

#[actix_web::test]
async fn what_is_no_token_of_this_account_is_as_none() {
    let (app, alice) = besieged().await;
    let genuine = alice.device_token.clone().unwrap();
    let bob = Browser::signed_up(&app, "bob@example.com").await.device_token.unwrap();
    let mut forged = genuine.clone().into_bytes();
    forged[10] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    for token in [bob, forged, genuine.replacen("dt_", "", 1), "dt_".into(), "rubbish".into(), String::new()]
    {
        let mut client = Browser::new(&app);
        client.device_token = Some(token.clone());
        let answer = client.login("alice@example.com").await;
        assert_eq!(answer.code(), "too_many_attempts", "{token}");
    }
    // Which of two is meant cannot be known.
    let mut client = Browser::new(&app);
    let body = json!({ "email": "alice@example.com", "password": PASSWORD });
    let cookie = format!("__Host-Http-device={genuine}");
    let twice = client.request(Method::POST, "/auth/login").header("Cookie", format!("{cookie}; {cookie}"));
    throttled(client.send(twice.json(&body)).await);
    let once = client.request(Method::POST, "/auth/login").header("Cookie", cookie);
    client.send(once.json(&body)).await.expect(200);
}

#[actix_web::test]
async fn a_known_device_waits_from_its_tenth_failure_on_and_alone() {
    let app = TestApp::start().await;
    let mut alice = Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..10 {
        alice.login_with("alice@example.com", WRONG).await.refused(401, "invalid_credentials");
    }
    let wait = throttled(alice.login("alice@example.com").await);
    assert!(wait <= 15, "{wait}");
    // A copy of the cookie is the same device.
    throttled(alice.clone().login_with("alice@example.com", WRONG).await);
    alice.on_another_device().login("alice@example.com").await.expect(200);

    app.db_age_attempts(wait);
    alice.login("alice@example.com").await.expect(200);
    assert_eq!(app.db_attempts("device"), 0);
}

#[actix_web::test]
async fn a_new_password_makes_devices_unknown_but_for_the_one_it_was_set_on() {
    let app = TestApp::start().await;
    let mut laptop = Browser::signed_up(&app, "alice@example.com").await;
    let mut phone = Browser::mobile(&app);
    phone.login("alice@example.com").await.expect(200);
    let mut thief = laptop.clone();
    const NEW: &str = "another horse altogether";
    assert!(laptop.change_password(PASSWORD, NEW).await.expect(200).device_token().is_some());
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    throttled(phone.login_with("alice@example.com", NEW).await);
    throttled(thief.login_with("alice@example.com", NEW).await);
    laptop.login_with("alice@example.com", NEW).await.expect(200);
}

#[actix_web::test]
async fn a_password_that_the_application_sets_makes_every_device_unknown() {
    let app = TestApp::start().await;
    let mut alice = Browser::signed_up(&app, "alice@example.com").await;
    app.auth.set_password(alice.user().parse().unwrap(), PASSWORD).await.unwrap();
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    throttled(alice.login("alice@example.com").await);
}

#[actix_web::test]
async fn whatever_ends_sessions_leaves_the_device_known_and_the_failures_of_strangers_counted() {
    let (app, mut alice) = besieged().await;
    let user: UserId = alice.user().parse().unwrap();
    for end in ["others", "one", "all", "host", "disabled"] {
        let end_by = |path: String| {
            let browser = alice.clone();
            let request = browser.bearer(browser.request(Method::DELETE, &path));
            async move { browser.clone().send(request).await.expect(204) }
        };
        match end {
            "others" => drop(end_by("/auth/sessions?keep=current".into()).await),
            "one" => drop(end_by(format!("/auth/sessions/{}", alice.session())).await),
            "all" => drop(end_by("/auth/sessions".into()).await),
            "host" => drop(app.auth.revoke_sessions(user).await.unwrap()),
            _ => {
                app.auth.disable_user(user).await.unwrap();
                app.auth.enable_user(user).await.unwrap();
            }
        }
        throttled(Browser::new(&app).login("alice@example.com").await);
        assert_eq!(alice.login("alice@example.com").await.status, 200, "{end}");
    }
}

/// As a link in a mail would: the application has heard of the attack, and knows its user by other means.
#[actix_web::test]
async fn a_session_that_the_application_starts_makes_the_device_known() {
    let (app, alice) = besieged().await;
    let mut laptop = Browser::new(&app);
    let link = format!("/host/login/{}/cookie", alice.user());
    laptop.post(&link, &json!({})).await.expect(200);
    laptop.logout().await.expect(204);
    laptop.login("alice@example.com").await.expect(200);
    throttled(Browser::new(&app).login("alice@example.com").await);
}

#[actix_web::test]
async fn a_browser_keeps_its_token_in_a_cookie_like_the_other_one() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    for answer in [
        browser.register("alice@example.com").await.expect(201),
        browser.login("alice@example.com").await.expect(200),
    ] {
        assert_eq!(answer.json["device_token"], json!(null));
        let (refresh, device) = (answer.set_cookie().unwrap(), answer.device_cookie().unwrap());
        assert_eq!(device.name, "__Host-Http-device");
        assert!(device.value.starts_with("dt_"), "{device:?}");
        assert_eq!(device.max_age(), Some(180 * 24 * 60 * 60));
        let without_life = |attributes: &[String]| -> Vec<String> {
            attributes.iter().filter(|attribute| !attribute.starts_with("Max-Age")).cloned().collect()
        };
        assert_eq!(without_life(&device.attributes), without_life(&refresh.attributes));
    }
    // It is of no concern to anything but a login.
    assert_eq!(browser.refresh().await.expect(200).device_token(), None);
    assert_eq!(browser.logout().await.expect(204).device_token(), None);

    let shared = json!({ "email": "alice@example.com", "password": PASSWORD, "remember": false });
    let device = browser.post("/auth/login", &shared).await.expect(200).device_cookie().unwrap();
    assert_eq!(device.max_age(), None);
}

#[actix_web::test]
async fn the_cookie_has_a_name_that_follows_the_configured_one() {
    let app = TestApp::with(|config| config.cookie_name("shop")).await;
    let answer = Browser::new(&app).register("alice@example.com").await.expect(201);
    assert_eq!(answer.device_cookie().unwrap().name, "__Host-Http-shop_device");
}

#[actix_web::test]
async fn a_phone_keeps_its_token_by_itself() {
    let (app, _) = besieged().await;
    let mut phone = Browser::mobile_signed_up(&app, "bob@example.com").await;
    let token = phone.device_token.clone().unwrap();
    assert!(token.starts_with("dt_"), "{token}");
    let answer = phone.login("bob@example.com").await.expect(200);
    assert_eq!(answer.device_cookie(), None);
    assert_ne!(answer.device_token(), Some(token));
    // The address of everybody has used up its attempts: without the token there is no way in.
    throttled(phone.on_another_device().login("bob@example.com").await);
}
