//! How long a chain lives: unused, and at most.

use super::{refused_without_a_trace, rotate};
use crate::support::{Browser, TestApp};

const DAY: i64 = 24 * 60 * 60;

fn expiry(app: &TestApp) -> Option<String> {
    let rows = app.db_texts(
        "SELECT extract(epoch FROM expires_at - created_at)::bigint::text AS value FROM authflow.sessions",
    );
    rows.into_iter().next().flatten()
}

#[actix_web::test]
async fn an_unused_session_dies_of_idleness() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;

    app.db_age_session(&browser.session(), 14 * DAY - 10);
    browser.refresh().await.expect(200);
    app.db_age_session(&browser.session(), 14 * DAY);

    refused_without_a_trace(&app, &browser, "refresh_token_expired").await;
    assert_eq!(app.db_session_reason(&browser.session()), None);
}

#[actix_web::test]
async fn every_rotation_starts_the_idle_life_anew_but_not_the_absolute_one() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let near = |seconds: Option<i64>, expected: i64| {
        let seconds = seconds.unwrap();
        assert!((expected - 20..=expected).contains(&seconds), "{seconds} instead of {expected}");
    };

    // 14 days unused at most, 30 days in all: the nearer of the two ends counts.
    for (age, left) in [(13, 14), (13, 4), (3, 1)] {
        app.db_age_session(&browser.session(), age * DAY);
        let rotation = browser.refresh().await.expect(200);
        near(rotation.set_cookie().unwrap().max_age(), left * DAY);
        let itself_again = browser.refresh().await.expect(200);
        near(itself_again.set_cookie().unwrap().max_age(), left * DAY);
        assert_eq!(expiry(&app), Some((30 * DAY).to_string()));
    }
    assert_eq!(app.db_generations(&browser.session()), [0, 1, 2, 3]);

    app.db_age_session(&browser.session(), DAY);
    refused_without_a_trace(&app, &browser, "refresh_token_expired").await;
}

/// Neither the window nor a retry is a way around the absolute end.
#[actix_web::test]
async fn nothing_outlives_the_absolute_end() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..2 {
        app.db_age_session(&browser.session(), 13 * DAY);
        browser.refresh().await.expect(200);
    }
    app.db_age_session(&browser.session(), 4 * DAY - 10);
    let before = browser.clone();
    browser.refresh().await.expect(200);

    app.db_age_session(&browser.session(), 10);

    refused_without_a_trace(&app, &browser, "refresh_token_expired").await;
    refused_without_a_trace(&app, &before, "refresh_token_expired").await;
}

#[actix_web::test]
async fn an_end_that_was_moved_forward_holds() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;

    app.db_execute("UPDATE authflow.sessions SET expires_at = now() + interval '1 hour'");
    let cookie = browser.refresh().await.expect(200).set_cookie().unwrap();
    assert!(cookie.max_age().is_some_and(|seconds| seconds <= 60 * 60), "{cookie:?}");

    rotate(&app, &mut browser).await;
    app.db_execute("UPDATE authflow.sessions SET expires_at = now()");
    refused_without_a_trace(&app, &browser, "refresh_token_expired").await;
    app.db_age_session(&browser.session(), 31);
    refused_without_a_trace(&app, &browser, "refresh_token_expired").await;
}

#[actix_web::test]
async fn a_phone_is_told_the_nearer_end_too() {
    let app = TestApp::start().await;
    let mut phone = Browser::mobile_signed_up(&app, "alice@example.com").await;
    for _ in 0..2 {
        app.db_age_session(&phone.session(), 13 * DAY);
        phone.refresh().await.expect(200);
    }
    let life = phone.refresh().await.expect(200).json["refresh_expires_in"].as_i64().unwrap();
    assert!((4 * DAY - 20..=4 * DAY).contains(&life), "{life}");
}

#[actix_web::test]
async fn who_is_logged_out_and_expired_is_told_of_the_logout() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    browser.clone().logout().await.expect(204);

    app.db_age_session(&browser.session(), 31 * DAY);

    refused_without_a_trace(&app, &browser, "session_revoked").await;
}

#[actix_web::test]
async fn a_shorter_life_holds_for_new_generations_only() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let hour = std::time::Duration::from_secs(60 * 60);
    let shorter = app.node(|config| config.refresh_ttl(hour).session_ttl(2 * hour)).await;
    let mut browser_there = browser.at(&shorter);

    app.db_age_session(&browser.session(), DAY);
    let rotation = browser_there.refresh().await.expect(200);

    assert!(rotation.set_cookie().unwrap().max_age().is_some_and(|seconds| seconds <= 60 * 60));
    browser.refresh_token = browser_there.refresh_token.clone();
    rotate(&app, &mut browser).await;
}
