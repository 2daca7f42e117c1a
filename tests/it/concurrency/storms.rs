//! Many refreshes with one token at the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, Browser, TestApp, together};

const WINDOW_OVER: i64 = 31;

/// Lets so many clients with the same tokens refresh at the same time, in turn at each of the nodes.
pub(super) async fn storm(nodes: &[&TestApp], browser: &Browser, clients: usize) -> Vec<Answer> {
    let refreshes = nodes.iter().cycle().take(clients).map(|node| {
        let mut client = browser.at(node);
        async move { client.refresh().await }
    });
    together(refreshes).await
}

/// The storm's one outcome: everybody has the same new token, and the chain is longer by one.
pub(crate) async fn one_generation_for_all(nodes: &[&TestApp], browser: &mut Browser, clients: usize) {
    let app = nodes[0];
    let before = app.db_generations(&browser.session());

    let answers = storm(nodes, browser, clients).await;

    let tokens: BTreeSet<_> = answers.into_iter().map(|answer| answer.expect(200).refresh_token()).collect();
    assert_eq!(tokens.len(), 1, "{clients} clients");
    let token = tokens.into_iter().next().flatten().unwrap();
    assert_ne!(browser.refresh_token.as_ref(), Some(&token));
    let after = app.db_generations(&browser.session());
    assert_eq!(after.len(), before.len() + 1, "{clients} clients: {after:?}");
    browser.refresh_token = Some(token);
}

async fn storms_of(clients: usize) {
    let app = TestApp::with(|config| config.database_pool(16)).await;
    let other = app.second_node().await;
    for nodes in [&[&app][..], &[&app, &other]] {
        let mut browser = Browser::signed_up(&app, &format!("alice{}@example.com", nodes.len())).await;

        one_generation_for_all(nodes, &mut browser, clients).await;
        app.db_age_session(&browser.session(), WINDOW_OVER);
        one_generation_for_all(nodes, &mut browser, clients).await;

        app.db_age_session(&browser.session(), WINDOW_OVER);
        browser.refresh().await.expect(200);
        assert_eq!(app.db_generations(&browser.session()), [0, 1, 2, 3]);
    }
}

#[actix_web::test]
async fn two_refreshes_at_once_add_one_generation() {
    storms_of(2).await;
}

#[actix_web::test]
async fn ten_refreshes_at_once_add_one_generation() {
    storms_of(10).await;
}

#[actix_web::test]
async fn a_hundred_refreshes_at_once_add_one_generation() {
    storms_of(100).await;
}

#[actix_web::test]
async fn a_pool_of_one_connection_weathers_a_storm() {
    let app = TestApp::with(|config| config.database_pool(1)).await;
    let mut browser = Browser::signed_up(&app, "alice@example.com").await;
    one_generation_for_all(&[&app], &mut browser, 50).await;
}

/// Who still has the predecessor comes together with who has the current token.
#[actix_web::test]
async fn a_storm_of_two_generations_adds_one() {
    let app = TestApp::start().await;
    let old = Browser::signed_up(&app, "alice@example.com").await;
    let mut current = old.clone();
    current.refresh().await.expect(200);

    let (late, early) =
        futures_util::future::join(storm(&[&app], &old, 10), storm(&[&app], &current, 10)).await;

    for answer in late.into_iter().chain(early) {
        assert_eq!(answer.expect(200).refresh_token(), current.refresh_token);
    }
    assert_eq!(app.db_generations(&current.session()), [0, 1]);
}

/// Without a window one wins, and every other is reuse by design.
#[actix_web::test]
async fn without_a_window_a_storm_has_one_winner_at_most() {
    let app = TestApp::with(|config| config.refresh_grace(Duration::ZERO)).await;
    let browser = Browser::signed_up(&app, "alice@example.com").await;

    let answers = storm(&[&app], &browser, 10).await;

    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1);
    for lost in answers.into_iter().filter(|answer| answer.status != 200) {
        assert_eq!(lost.status, 401);
        assert!(["refresh_token_reused", "session_revoked"].contains(&lost.code()), "{lost:?}");
    }
    assert_eq!(app.db_session_reason(&browser.session()).as_deref(), Some("reuse"));
    assert_eq!(app.db_generations(&browser.session()), [0, 1]);
}

#[actix_web::test]
async fn sessions_do_not_get_in_each_others_way() {
    let app = TestApp::start().await;
    let user = app.auth.ensure_user("customer-4711").await.unwrap().id;
    let logins = (0..20).map(|_| {
        let mut browser = Browser::new(&app);
        async move {
            browser.post(&format!("/host/login/{user}/cookie"), &json!({})).await.expect(200);
            browser
        }
    });
    let browsers = together(logins).await;

    let refreshes = browsers.into_iter().map(|mut browser| async move {
        let first = browser.refresh_token.clone();
        browser.refresh().await.expect(200);
        assert_ne!(browser.refresh_token, first);
        browser.session()
    });
    let sessions = together(refreshes).await;

    for session in sessions {
        assert_eq!(app.db_generations(&session), [0, 1]);
    }
}
