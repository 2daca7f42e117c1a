//! Windows of other lengths.

use std::time::Duration;

use super::{refused_and_revoked, token_of};
use crate::support::{Browser, TestApp};

async fn app_with_window(seconds: u64) -> TestApp {
    TestApp::with(|config| config.refresh_grace(Duration::from_secs(seconds))).await
}

#[actix_web::test]
async fn without_a_window_every_refresh_rotates() {
    let app = app_with_window(0).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut seen = vec![browser.refresh_token.clone().unwrap()];

    for _ in 0..4 {
        seen.push(token_of(browser.refresh().await));
    }

    assert_eq!(app.db_generations(&browser.session()), [0, 1, 2, 3, 4]);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[actix_web::test]
async fn without_a_window_a_token_is_good_for_one_use() {
    let app = app_with_window(0).await;
    for rotations in [0, 1] {
        let mut browser = Browser::signed_up(&app, &format!("alice{rotations}@example.com")).await;
        for _ in 0..rotations {
            browser.refresh().await.expect(200);
        }
        let used = browser.clone();
        browser.refresh().await.expect(200);

        refused_and_revoked(&app, &used, "refresh_token_reused", "reuse").await;
        browser.refresh().await.refused(401, "session_revoked");
    }
}

#[actix_web::test]
async fn the_longest_window_is_five_minutes() {
    let app = app_with_window(300).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = browser.clone();
    let successor = token_of(browser.refresh().await);

    app.db_age_session(&browser.session(), 295);
    assert_eq!(token_of(browser.refresh().await), successor);
    assert_eq!(token_of(before.clone().refresh().await), successor);

    app.db_age_session(&browser.session(), 5);
    assert_ne!(token_of(browser.refresh().await), successor);
    refused_and_revoked(&app, &before, "refresh_token_reused", "reuse").await;
}

/// The window is the reader's: a node that is given a shorter one does not have to wait for the old to pass.
#[actix_web::test]
async fn a_changed_window_counts_at_once() {
    let app = app_with_window(300).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let successor = token_of(browser.refresh().await);
    app.db_age_session(&browser.session(), 60);
    let shorter = app.node(|config| config.refresh_grace(Duration::from_secs(30))).await;

    assert_eq!(token_of(browser.clone().refresh().await), successor);
    assert_ne!(token_of(browser.at(&shorter).refresh().await), successor);
}
