//! What a refresh gives away.

use actix_web::rt::spawn;
use serde_json::json;

use super::{is_about, line, listen};
use crate::support::wire::{Moment, Proxy};
use crate::support::{Browser, together};

#[actix_web::test]
async fn a_rotation_is_no_event_and_a_retry_is_one() {
    let (app, heard) = listen(|config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut tab = browser.clone();
    heard.take();

    browser.refresh().await.expect(200);
    assert_eq!(heard.lines(), [""; 0]);
    for (client, retry) in [(&mut tab, "same_successor"), (&mut browser, "same_token")] {
        client.refresh().await.expect(200);
        let event = heard.only();
        assert_eq!(line(&event), format!("refresh_retried {retry} client"));
        is_about(&event, client);
    }
}

#[actix_web::test]
async fn a_copy_that_comes_back_is_one_event_however_often_it_comes() {
    let (app, heard) = listen(|config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let thief = browser.clone();
    browser.refresh().await.expect(200);
    app.db_age_session(&browser.session(), 31);
    heard.take();

    let answers = together((0..10).map(|_| {
        let mut thief = thief.clone();
        async move { thief.refresh().await.status }
    }));
    assert_eq!(answers.await, [401; 10]);

    let event = heard.only();
    assert_eq!(line(&event), "refresh_token_reused client");
    is_about(&event, &browser);
    browser.refresh().await.refused(401, "session_revoked");
    assert_eq!(heard.lines(), [""; 0]);
}

#[actix_web::test]
async fn of_two_that_find_the_copy_at_once_one_tells() {
    let (app, heard) = listen(|config| config).await;
    let wire = Proxy::to(app.database_url());
    let held = app.node_at(wire.url(), |config| heard.by(config)).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    let mut thief = browser.clone();
    browser.refresh().await.expect(200);
    app.db_age_session(&browser.session(), 31);
    let trap = wire.trap(|sql| sql.contains("SET revoked_at"), Moment::HoldBefore);
    let mut late = thief.at(&held);
    let finding = spawn(async move { late.refresh().await });
    trap.reached().await;
    heard.take();

    thief.refresh().await.refused(401, "refresh_token_reused");
    trap.release();
    finding.await.unwrap().refused(401, "refresh_token_reused");

    assert_eq!(heard.lines(), ["refresh_token_reused client"]);
}

#[actix_web::test]
async fn a_token_newer_than_the_database_says_that_it_was_restored() {
    let (app, heard) = listen(|config| config).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    browser.refresh().await.expect(200);
    app.db_execute("DELETE FROM authflow.refresh_tokens WHERE generation = 1");
    heard.take();

    browser.refresh().await.refused(401, "session_revoked");

    let event = heard.only();
    assert_eq!(line(&event), "database_restored client");
    is_about(&event, &browser);
}

#[actix_web::test]
async fn tokens_that_do_not_belong_together_name_both_sessions() {
    let (app, heard) = listen(|config| config).await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    let bob = Browser::signed_up(&app, "bob@example.com").await;
    heard.take();

    let mut mixed = bob.with_refresh_token(alice.refresh_token.clone().unwrap());
    mixed.refresh().await.refused(401, "token_mismatch");

    let event = heard.only();
    assert_eq!(line(&event), "token_mismatch client");
    is_about(&event, &bob);
    assert_eq!(event["refresh_session_id"], json!(alice.session()));
}

#[actix_web::test]
async fn a_session_that_is_another_users_is_a_mismatch_too() {
    let (app, heard) = listen(|config| config).await;
    let mut alice = Browser::signed_up(&app, "alice@example.com").await;
    let bob = Browser::signed_up(&app, "bob@example.com").await;
    app.db_execute(&format!("UPDATE authflow.sessions SET user_id = '{}'", bob.user()));
    heard.take();

    alice.refresh().await.refused(401, "token_mismatch");

    let event = heard.only();
    assert_eq!(line(&event), "token_mismatch client");
    is_about(&event, &alice);
}

#[actix_web::test]
async fn a_forged_token_is_no_event() {
    let (app, heard) = listen(|config| config).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;
    heard.take();

    let forged = browser.refresh_token.as_deref().unwrap().replace("rt_A", "rt_B");
    browser.with_refresh_token(forged).refresh().await.refused(401, "refresh_token_invalid");
    browser.with_refresh_token("rt_rubbish").refresh().await.refused(401, "refresh_token_invalid");

    assert_eq!(heard.lines(), [""; 0]);
}
