//! Which generation is answered with what.

use super::{WINDOW_OVER, refused_and_revoked, rotate, token_of};
use crate::support::{Browser, TestApp};

#[actix_web::test]
async fn the_first_generation_rotates_at_once() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let first = browser.refresh_token.clone().unwrap();

    let token = token_of(browser.refresh().await);

    assert_ne!(token, first);
    assert_eq!(app.db_generations(&browser.session()), [0, 1]);
}

#[actix_web::test]
async fn a_current_generation_younger_than_the_window_is_itself_again() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let token = token_of(browser.refresh().await);
    let jwt = browser.access_token.clone();

    for age in [0, 10, 10] {
        app.db_age_session(&browser.session(), age);
        assert_eq!(token_of(browser.refresh().await), token);
        assert_ne!(browser.access_token, jwt);
        browser.call_api().await.expect(200);
    }
    assert_eq!(app.db_generations(&browser.session()), [0, 1]);
}

#[actix_web::test]
async fn a_current_generation_as_old_as_the_window_rotates() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let token = token_of(browser.refresh().await);

    app.db_age_session(&browser.session(), 30);

    assert_ne!(token_of(browser.refresh().await), token);
    assert_eq!(app.db_generations(&browser.session()), [0, 1, 2]);
}

#[actix_web::test]
async fn the_predecessor_gets_the_same_successor_again_within_the_window() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..2 {
        rotate(&app, &mut browser).await;
    }
    app.db_age_session(&browser.session(), WINDOW_OVER);
    let before = browser.clone();

    let successor = token_of(browser.refresh().await);
    for age in [0, 10, 10] {
        app.db_age_session(&browser.session(), age);
        let mut retry = before.clone();
        assert_eq!(token_of(retry.refresh().await), successor);
        retry.call_api().await.expect(200);
    }
    assert_eq!(app.db_generations(&browser.session()), [0, 1, 2, 3]);
    rotate(&app, &mut browser).await;
}

#[actix_web::test]
async fn the_predecessor_is_reuse_when_the_window_is_over() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = browser.clone();
    browser.refresh().await.expect(200);

    app.db_age_session(&browser.session(), 30);

    refused_and_revoked(&app, &before, "refresh_token_reused", "reuse").await;
    browser.refresh().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn an_older_generation_is_reuse_even_within_the_window() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let oldest = browser.clone();
    browser.refresh().await.expect(200);
    rotate(&app, &mut browser).await;

    refused_and_revoked(&app, &oldest, "refresh_token_reused", "reuse").await;
    browser.refresh().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn an_older_generation_is_reuse_even_when_its_row_is_gone() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let oldest = browser.clone();
    for _ in 0..3 {
        rotate(&app, &mut browser).await;
    }
    app.db_execute("DELETE FROM authflow.refresh_tokens WHERE generation < 3");
    assert_eq!(app.db_generations(&browser.session()), [3]);

    refused_and_revoked(&app, &oldest, "refresh_token_reused", "reuse").await;
}

/// Nothing but a restored backup or a hand in the database makes one; the older end of it leads nowhere.
#[actix_web::test]
async fn a_gap_in_the_chain_is_not_filled() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let oldest = browser.clone();
    for _ in 0..2 {
        rotate(&app, &mut browser).await;
    }
    app.db_execute("DELETE FROM authflow.refresh_tokens WHERE generation = 1");

    refused_and_revoked(&app, &oldest, "refresh_token_reused", "reuse").await;
    assert_eq!(app.db_generations(&browser.session()), [0, 2]);
}

#[actix_web::test]
async fn a_chain_whose_old_rows_are_gone_goes_on() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..3 {
        rotate(&app, &mut browser).await;
    }
    app.db_age_session(&browser.session(), WINDOW_OVER);
    let before = browser.clone();
    app.db_execute("DELETE FROM authflow.refresh_tokens WHERE generation < 3");

    let successor = token_of(browser.refresh().await);
    app.db_execute("DELETE FROM authflow.refresh_tokens WHERE generation < 4");

    // The presented row is not needed for the retry: its successor's is.
    assert_eq!(token_of(before.clone().refresh().await), successor);
    rotate(&app, &mut browser).await;
}

#[actix_web::test]
async fn reuse_ends_the_session_and_none_of_the_users_others() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut phone = Browser::mobile(&app);
    phone.login("alice@example.com").await.expect(200);
    let stolen = browser.clone();
    browser.refresh().await.expect(200);
    rotate(&app, &mut browser).await;

    refused_and_revoked(&app, &stolen, "refresh_token_reused", "reuse").await;

    assert_eq!(app.db_live_sessions(), [phone.session()]);
    phone.call_api().await.expect(200);
    phone.refresh().await.expect(200);
}

/// Whoever comes second, a window after the other, ends the session for both.
#[actix_web::test]
async fn a_thief_is_found_whether_quicker_or_slower() {
    for thief_first in [true, false] {
        let app = TestApp::start().await;
        let victim = Browser::signed_up(&app, "alice@example.com").await;
        let thief = victim.clone();
        let (mut first, mut second) = if thief_first { (thief, victim) } else { (victim, thief) };

        rotate(&app, &mut first).await;
        app.db_age_session(&first.session(), WINDOW_OVER);
        second.refresh().await.refused(401, "refresh_token_reused");

        for mut party in [first, second] {
            party.call_api().await.refused(401, "session_revoked");
            party.refresh().await.refused(401, "session_revoked");
        }
    }
}

#[actix_web::test]
async fn a_token_newer_than_the_database_ends_the_session() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    rotate(&app, &mut browser).await;
    let older_copy = browser.clone();
    rotate(&app, &mut browser).await;
    // What a restored backup does not have.
    app.db_execute("DELETE FROM authflow.refresh_tokens WHERE generation = 2");

    refused_and_revoked(&app, &browser, "session_revoked", "database_restored").await;
    older_copy.clone().refresh().await.refused(401, "session_revoked");
}

#[actix_web::test]
async fn a_session_without_any_row_of_its_chain_is_ended() {
    let app = TestApp::start().await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    app.db_execute("DELETE FROM authflow.refresh_tokens");

    refused_and_revoked(&app, &browser, "session_revoked", "database_restored").await;
}

#[actix_web::test]
async fn a_row_with_another_digest_is_reuse() {
    let app = TestApp::start().await;
    for generation in [0, 1] {
        let mut browser = Browser::signed_up(&app, &format!("alice{generation}@example.com")).await;
        for _ in 0..generation {
            rotate(&app, &mut browser).await;
        }
        let planted = "UPDATE authflow.refresh_tokens SET digest = sha256('planted')";
        app.db_execute(&format!("{planted} WHERE session_id = '{}'", browser.session()));

        refused_and_revoked(&app, &browser, "refresh_token_reused", "reuse").await;
    }
}

/// With the row of the successor tampered with, nothing that is derived fits it.
#[actix_web::test]
async fn a_tampered_successor_is_given_to_nobody() {
    let app = TestApp::start().await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let before = browser.clone();
    browser.refresh().await.expect(200);
    for column in ["nonce = decode(repeat('00', 16), 'hex')", "digest = sha256('planted')"] {
        app.db_execute(&format!("UPDATE authflow.refresh_tokens SET {column} WHERE generation = 1"));

        let answer = before.clone().refresh().await;

        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(answer.refresh_token().is_none() && answer.access_token().is_none(), "{answer:?}");
    }
}
