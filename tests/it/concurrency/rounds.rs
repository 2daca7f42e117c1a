//! Everything at once, over and over, in an order that differs each time.

use actix_authflow::Auth;
use serde_json::json;

use crate::support::{Answer, Browser, PASSWORD, TestApp, together};

const ROUNDS: u32 = 200;

/// What may come out, whatever meets what. Anything of 5xx is a fault: nothing here is overloaded or unreachable.
const OUTCOMES: [(u16, &str); 4] =
    [(200, ""), (204, ""), (401, "session_revoked"), (401, "invalid_credentials")];

/// Numbers that are the same in every run (the generator of Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

async fn act(action: usize, mut browser: Browser, auth: Auth) -> (Browser, Option<Answer>) {
    let answer = match action {
        0..4 => browser.refresh().await,
        4..6 => browser.logout().await,
        6 => browser.login("alice@example.com").await,
        7 => {
            browser = browser.without_refresh_token();
            browser.login("alice@example.com").await
        }
        8 => {
            let user = browser.user().parse().unwrap();
            auth.set_password(user, PASSWORD).await.unwrap();
            return (browser, None);
        }
        _ => {
            let user = browser.user().parse().unwrap();
            auth.revoke_sessions(user).await.unwrap();
            return (browser, None);
        }
    };
    (browser, Some(answer))
}

#[actix_web::test]
async fn two_hundred_rounds_of_everything_end_in_no_deadlock_and_no_fault() {
    let app = TestApp::with(|config| config.database_pool(8)).await;
    let other = app.second_node().await;
    let mut dice = Dice(20_261_123);
    let user = Browser::signed_up(&app, "alice@example.com").await.user();
    let mut browsers = Vec::new();

    for round in 0..ROUNDS {
        let mut fresh = Browser::new(&app);
        fresh.post(&format!("/host/login/{user}/cookie"), &json!({})).await.expect(200);
        browsers.insert(0, fresh);
        browsers.truncate(4);
        // Two of a round often take the same session.
        let actions: Vec<_> = (0..6)
            .map(|_| {
                let node = [&app, &other][dice.roll(2)];
                let browser = browsers[dice.roll(browsers.len())].at(node);
                act(dice.roll(10), browser, node.auth.clone())
            })
            .collect();
        for (browser, answer) in together(actions).await {
            if let Some(answer) = answer {
                assert!(OUTCOMES.contains(&(answer.status, answer.code())), "round {round}: {answer:?}");
            }
            if browser.refresh_token.is_some() {
                browsers.insert(0, browser);
            }
        }
    }

    let leftovers = "SELECT count(*) AS value FROM authflow.refresh_tokens t
                     JOIN authflow.sessions s ON s.id = t.session_id WHERE s.revoked_at IS NOT NULL";
    assert_eq!(app.db_count(leftovers), 0);
    let sessions = "SELECT count(*) AS value FROM authflow.sessions";
    assert!(app.db_count(sessions) > i64::from(ROUNDS));
    drop(other);
    assert_eq!(app.db_deadlocks(i64::from(ROUNDS) * 6).await, 0);
}
