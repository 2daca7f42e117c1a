//! Refreshes of many sessions at once, which become one statement: each stands for itself all the same.

use std::time::Duration;

use actix_authflow::UserDraft;
use actix_web::rt::{spawn, time};
use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use futures_util::future::join;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Browser, TestApp, eventually, jwt, together};

const SESSIONS: usize = 40;

/// So many users, each with a session that has not been refreshed.
async fn sessions(app: &TestApp, number: usize) -> Vec<Browser> {
    let mut browsers = Vec::new();
    for _ in 0..number {
        let email = format!("{}@example.com", Uuid::new_v4().simple());
        let user = app.auth.create_user(UserDraft::new().email(email)).await.unwrap().id;
        let mut browser = Browser::new(app);
        browser.post(&format!("/host/login/{user}/cookie"), &json!({})).await.expect(200);
        browsers.push(browser);
    }
    browsers
}

/// How many transactions have added the generations after the first.
fn transactions(app: &TestApp) -> i64 {
    app.db_count(
        "SELECT count(DISTINCT xmin::text) AS value FROM authflow.refresh_tokens WHERE generation > 0",
    )
}

/// Lets all of them refresh. Each gets what is its own.
async fn refresh_at_once(browsers: Vec<Browser>) -> Vec<Browser> {
    together(browsers.into_iter().map(|mut browser| async move {
        let (session, user) = (browser.session(), browser.user());
        let answer = browser.refresh().await.expect(200);
        let named = answer.json["user"]["id"].as_str() == Some(&user);
        assert!(answer.session_id() == session && named && browser.user() == user, "{answer:?}");
        browser.me().await.expect(200);
        browser
    }))
    .await
}

/// Lets all of them refresh, time and again, until some have gone together: on a busy machine, where each statement takes long,
/// each may go by itself.
async fn go_together(app: &TestApp, mut browsers: Vec<Browser>) -> Vec<Browser> {
    let (before, mut alone) = (transactions(app), 0);
    for _ in 0..50 {
        alone += i64::try_from(browsers.len()).unwrap();
        browsers = refresh_at_once(browsers).await;
        if transactions(app) - before < alone {
            return browsers;
        }
    }
    panic!("no two of {alone} refreshes went together");
}

#[actix_web::test]
async fn many_sessions_go_together_and_each_gets_its_own_successor() {
    let app = TestApp::with(|config| config.refresh_grace(Duration::ZERO)).await;
    let mut browsers = sessions(&app, SESSIONS).await;

    for generation in 1..=5 {
        browsers = refresh_at_once(browsers).await;
        for browser in &browsers {
            assert_eq!(app.db_generations(&browser.session()), (0..=generation).collect::<Vec<_>>());
        }
    }

    go_together(&app, browsers).await;
}

/// What stands in the way of one is nothing to the others: a copy, a dead session, somebody else's JWT.
#[actix_web::test]
async fn who_is_refused_refuses_nobody_else() {
    let app = TestApp::with(|config| jwt::signed_by_hand(config).refresh_grace(Duration::ZERO)).await;
    let mut browsers = sessions(&app, SESSIONS).await;
    let stranger = Browser::signed_up(&app, "bob@example.com").await;
    let copy = browsers[0].clone();
    browsers[0].refresh().await.expect(200);
    let dead = browsers[1].clone();
    browsers[1].logout().await.expect(204);
    let token = browsers[2].access_token.clone().unwrap();
    let mut claims = jwt::claims(&token);
    claims["sub"] = stranger.user().into();
    let foreign = browsers[2].with_access_token(jwt::sign(&jwt::header(&token), &claims));
    let honest = browsers.split_off(3);

    let refused = together(
        [(copy, "refresh_token_reused"), (dead, "session_revoked"), (foreign, "token_mismatch")].map(
            |(mut browser, code)| async move {
                browser.refresh().await.refused(401, code);
            },
        ),
    );
    join(refused, refresh_at_once(honest)).await;
}

/// Somebody holds the lock that an end of a session takes, and does not go on.
#[actix_web::test]
async fn a_session_that_is_about_to_end_holds_nobody_else_up() {
    let app = TestApp::with(|config| config.refresh_grace(Duration::ZERO)).await;
    let mut browsers = sessions(&app, 10).await;
    let mut held = browsers.remove(0);
    let mut ending = app.db_connect();
    let lock = format!("SELECT 1 FROM authflow.sessions WHERE id = '{}' FOR NO KEY UPDATE", held.session());
    AnsiTransactionManager::begin_transaction(&mut ending).unwrap();
    ending.batch_execute(&lock).unwrap();

    let session = held.session();
    let waiting = spawn(async move {
        let answer = held.refresh().await;
        (held, answer)
    });
    eventually("it waits for the lock", async || app.db_waiting_for_locks() > 0).await;
    for _ in 0..3 {
        browsers = go_together(&app, browsers).await;
    }

    AnsiTransactionManager::commit_transaction(&mut ending).unwrap();
    let (mut held, mut answer) = time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    if answer.status == 503 {
        // On a machine so slow that its time was up before that of the others.
        answer = held.refresh().await;
    }
    assert_eq!(answer.expect(200).session_id(), session);
    assert_eq!(app.db_generations(&session), [0, 1]);
}

/// In opposite orders there: whoever comes second gets what the first one got.
#[actix_web::test]
async fn the_same_sessions_on_two_nodes_come_to_the_same_successors() {
    let app = TestApp::start().await;
    let nodes = [&app, &app.second_node().await];

    for _ in 0..5 {
        let browsers = sessions(&app, SESSIONS).await;
        let at = |node: &TestApp| browsers.iter().map(|browser| browser.at(node)).collect::<Vec<_>>();
        let (there, back) = (at(nodes[0]), at(nodes[1]).into_iter().rev());
        let [there, mut back] = join(answers(there), answers(back)).await.into();
        back.reverse();
        assert_eq!(there, back);
    }
}

/// The refresh tokens that all of them get at once.
async fn answers(browsers: impl IntoIterator<Item = Browser>) -> Vec<Option<String>> {
    let refresh = |mut browser: Browser| async move { browser.refresh().await };
    let answers = together(browsers.into_iter().map(refresh)).await;
    answers.into_iter().map(|answer| answer.expect(200).refresh_token()).collect()
}
