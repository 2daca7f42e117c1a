//! The change of a password: what it asks for, what it ends, and that nothing survives it.

use actix_web::rt::spawn;
use reqwest::Method;
use serde_json::json;

use crate::support::wire::{Moment, Proxy, is_rotation, is_start_of_session};
use crate::support::{Browser, PASSWORD, TestApp, eventually};

const NEW: &str = "quite another horse of a colour";

#[actix_web::test]
async fn a_change_ends_every_session_and_starts_a_new_one() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let (mut other, mut stranger) = (Browser::mobile(&app), Browser::new(&app));
    other.login("alice@example.com").await.expect(200);
    stranger.register("mallory@example.com").await.expect(201);
    let before = browser.clone();

    let answer = browser.change_password(PASSWORD, NEW).await.expect(200);

    assert_ne!(answer.session_id(), before.session());
    assert_eq!(answer.json["user"]["email"], "alice@example.com");
    assert_eq!(answer.json["refresh_token"].as_str(), None);
    assert_eq!(app.db_generations(&browser.session()), [0]);
    assert_eq!(app.db_live_sessions(), [stranger.session(), browser.session()]);
    for dead in [&before, &other] {
        dead.call_api().await.refused(401, "session_revoked");
        dead.clone().refresh().await.refused(401, "session_revoked");
        assert_eq!(app.db_session_reason(&dead.session()).as_deref(), Some("password_changed"));
    }
    browser.call_api().await.expect(200);
    browser.refresh().await.expect(200);
    other.login("alice@example.com").await.refused(401, "invalid_credentials");
    other.login_with("alice@example.com", NEW).await.expect(200);
}

#[actix_web::test]
async fn the_new_session_lives_like_the_old_one() {
    let app = TestApp::start().await;
    let mut phone = Browser::mobile(&app);
    phone.register("alice@example.com").await.expect(201);
    let answer = phone.change_password(PASSWORD, NEW).await.expect(200);
    assert_eq!(answer.set_cookie(), None);
    assert!(answer.refresh_token().is_some());
    phone.refresh().await.expect(200);

    let mut browser = Browser::new(&app);
    let body = json!({
        "email": "alice@example.com", "password": NEW, "remember": false, "device_name": "office",
    });
    browser.post("/auth/login", &body).await.expect(200);
    let old = browser.session();
    let request = browser.bearer(browser.request(Method::POST, "/auth/password"));
    let passwords = json!({ "current_password": NEW, "new_password": PASSWORD });
    let answer = browser.send(request.header("User-Agent", "after an update").json(&passwords)).await;
    let cookie = answer.expect(200).set_cookie().unwrap();
    assert_eq!(cookie.max_age(), None, "a browser that was not to be remembered");
    let of = |what: &str, id: &str| {
        app.db_texts(&format!("SELECT {what} AS value FROM authflow.sessions WHERE id = '{id}'"))
    };
    let same = "transport || persistent || device_name || ip";
    assert_eq!(of(same, &old), of(same, &browser.session()));
    assert_eq!(of("user_agent", &browser.session()), [Some("after an update".to_owned())]);
    assert_eq!(
        app.db_count(&format!(
            "SELECT count(*) AS value FROM authflow.sessions
             WHERE id = '{}' AND authenticated_at > now() - interval '1 minute'",
            browser.session()
        )),
        1
    );
}

#[actix_web::test]
async fn what_is_refused_changes_nothing() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let before = app.db_snapshot();

    browser.change_password("not the password", NEW).await.refused(403, "wrong_password");
    browser.change_password(&"x".repeat(5_000), NEW).await.refused(403, "wrong_password");
    browser.change_password(PASSWORD, "short").await.refused(422, "weak_password");
    browser.change_password(PASSWORD, "alice@example.com").await.refused(422, "weak_password");
    browser.change_password("not the password", "short").await.refused(422, "weak_password");
    Browser::new(&app).change_password(PASSWORD, NEW).await.refused(401, "unauthorized");
    let foreign = browser.bearer(browser.request(Method::POST, "/auth/password"));
    let foreign = foreign.header("Origin", "https://evil.example").body("x");
    browser.send(foreign).await.refused(403, "csrf_rejected");
    let half = browser.bearer(browser.request(Method::POST, "/auth/password"));
    browser.send(half.json(&json!({ "new_password": NEW }))).await.refused(400, "invalid_request");
    let get = browser.bearer(browser.request(Method::GET, "/auth/password"));
    assert_eq!(browser.send(get).await.refused(405, "method_not_allowed").header("allow"), "POST");

    assert_eq!(app.db_snapshot(), before);
    browser.call_api().await.expect(200);
}

#[actix_web::test]
async fn a_user_without_password_has_a_wrong_one() {
    let app = TestApp::start().await;
    let user = app.auth.ensure_user("customer-4711").await.unwrap();
    let mut browser = Browser::new(&app);
    browser.post(&format!("/host/login/{}/cookie", user.id), &json!({})).await.expect(200);

    browser.change_password("", NEW).await.refused(403, "wrong_password");
    browser.change_password(PASSWORD, NEW).await.refused(403, "wrong_password");
    browser.call_api().await.expect(200);
}

#[actix_web::test]
async fn a_session_that_ended_while_passwords_were_hashed_changes_nothing() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let held_node = app.node_at(wire.url(), |config| config).await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let trap = wire.trap(|sql| sql.contains("changed AS"), Moment::HoldBefore);
    let mut elsewhere = browser.at(&held_node);
    let changing = spawn(async move { elsewhere.change_password(PASSWORD, NEW).await });
    trap.reached().await;

    browser.clone().logout().await.expect(204);
    let before = app.db_snapshot();
    trap.release();

    changing.await.unwrap().refused(401, "session_revoked");
    assert_eq!(app.db_snapshot(), before);
    browser.login("alice@example.com").await.expect(200);
}

#[actix_web::test]
async fn a_change_goes_on_whatever_becomes_of_the_other_sessions() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let held_node = app.node_at(wire.url(), |config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let trap = wire.trap(|sql| sql.contains("changed AS"), Moment::HoldBefore);
    let mut elsewhere = browser.at(&held_node);
    let changing = spawn(async move { elsewhere.change_password(PASSWORD, NEW).await });
    trap.reached().await;

    let request = browser.bearer(browser.request(Method::DELETE, "/auth/sessions?keep=current"));
    browser.send(request).await.expect(204);
    trap.release();

    changing.await.unwrap().expect(200);
    browser.login_with("alice@example.com", NEW).await.expect(200);
}

#[actix_web::test]
async fn a_login_whose_password_was_checked_before_starts_no_session() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let held_node = app.node_at(wire.url(), |config| config).await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    for ends_all in [true, false] {
        let trap = wire.trap(is_start_of_session, Moment::HoldBefore);
        let mut late = Browser::new(&held_node);
        let login = spawn(async move { late.login("alice@example.com").await });
        trap.reached().await;

        if ends_all {
            let request = browser.bearer(browser.request(Method::DELETE, "/auth/sessions"));
            browser.send(request).await.expect(204);
        } else {
            browser.change_password(PASSWORD, NEW).await.expect(200);
        }
        let live = app.db_live_sessions();
        trap.release();

        login.await.unwrap().refused(401, "invalid_credentials");
        assert_eq!(app.db_live_sessions(), live);
        browser.login_with("alice@example.com", if ends_all { PASSWORD } else { NEW }).await.expect(200);
    }
}

#[actix_web::test]
async fn a_login_that_is_starting_its_session_is_waited_for_and_ended() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let held_node = app.node_at(wire.url(), |config| config).await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    for ends_all in [false, true] {
        let trap = wire.trap(is_start_of_session, Moment::HoldBeforeCommit);
        let mut late = Browser::new(&held_node);
        let login = spawn(async move { (late.login("alice@example.com").await, late) });
        trap.reached().await;

        let mut own = browser.clone();
        let ending = spawn(async move {
            if ends_all {
                let request = own.bearer(own.request(Method::DELETE, "/auth/sessions"));
                own.send(request).await.expect(204)
            } else {
                own.change_password(PASSWORD, NEW).await.expect(200)
            }
        });
        eventually("the one waits for the other", async || {
            app.db_waiting_for_locks() > 0 || ending.is_finished()
        })
        .await;
        trap.release();

        let ended = ending.await.unwrap();
        let (answer, mut late) = login.await.unwrap();
        answer.expect(200);
        let survivors = app.db_live_sessions();
        assert!(!survivors.contains(&late.session()), "{survivors:?}");
        late.refresh().await.refused(401, "session_revoked");
        let current = if ends_all { PASSWORD } else { NEW };
        assert_eq!(survivors.len(), usize::from(!ends_all), "{ended:?}");
        browser.login_with("alice@example.com", current).await.expect(200);
        if !ends_all {
            browser.change_password(NEW, PASSWORD).await.expect(200);
        }
    }
}

#[actix_web::test]
async fn a_refresh_under_way_leaves_no_token() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let held_node = app.node_at(wire.url(), |config| config).await;
    let mut browser = Browser::new(&app);
    browser.register("alice@example.com").await.expect(201);
    let mut other = Browser::new(&held_node);
    other.login("alice@example.com").await.expect(200);
    let trap = wire.trap(is_rotation, Moment::HoldBeforeCommit);
    let refreshing = spawn(async move { (other.refresh().await, other) });
    trap.reached().await;

    let mut own = browser.clone();
    let changing = spawn(async move { own.change_password(PASSWORD, NEW).await });
    eventually("the one waits for the other", async || {
        app.db_waiting_for_locks() > 0 || changing.is_finished()
    })
    .await;
    trap.release();

    let answer = changing.await.unwrap().expect(200);
    let (refreshed, mut other) = refreshing.await.unwrap();
    refreshed.expect(200);
    assert_eq!(app.db_live_sessions(), [answer.session_id()]);
    assert_eq!(app.db_generations(&other.session()), [] as [i32; 0]);
    other.refresh().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn a_change_whose_answer_from_the_database_was_lost_is_known_as_done() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config).await;
    let mut browser = Browser::new(&node);
    browser.register("alice@example.com").await.expect(201);
    let _trap = wire.trap(|sql| sql == "COMMIT", Moment::CutAfter);

    browser.change_password(PASSWORD, NEW).await.expect(200);

    assert_eq!(app.db_live_sessions(), [browser.session()]);
    browser.refresh().await.expect(200);
    browser.login_with("alice@example.com", NEW).await.expect(200);
}
