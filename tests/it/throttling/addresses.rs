//! Where an attempt comes from.

use super::{behind_a_proxy, guess, guess_from, throttled};
use crate::support::{Browser, TestApp, together};

#[actix_web::test]
async fn one_address_has_a_budget_for_all_accounts_together() {
    let app = behind_a_proxy(|config| config.database_pool(8)).await;
    let other = app.second_node().await;
    guess_from(&app, "192.0.2.1", "somebody@example.com").await.refused(401, "invalid_credentials");
    app.db_add_attempts("address", 95, 6);
    let answers =
        together(
            (0..40).map(|i| {
                let client = Browser::new([&app, &other][i % 2]);
                async move {
                    super::from("192.0.2.1", client, &format!("user{i}@example.com"), super::WRONG).await
                }
            }),
        )
        .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 4);
    answers.into_iter().filter(|answer| answer.status != 401).for_each(|answer| {
        assert!(throttled(answer) <= 6);
    });

    guess_from(&app, "192.0.2.2", "user1@example.com").await.refused(401, "invalid_credentials");
    app.db_age_attempts(6);
    guess_from(&app, "192.0.2.1", "user2@example.com").await.refused(401, "invalid_credentials");
    throttled(guess_from(&app, "192.0.2.1", "user3@example.com").await);
}

#[actix_web::test]
async fn a_header_that_nobody_trusts_widens_nothing() {
    let app = TestApp::start().await;
    for n in 0..5 {
        guess_from(&app, &format!("192.0.2.{n}"), "alice@example.com").await.expect(401);
    }
    throttled(guess_from(&app, "192.0.2.99", "alice@example.com").await);
    throttled(guess(&app, "alice@example.com").await);
}

#[actix_web::test]
async fn behind_a_proxy_the_rightmost_untrusted_hop_counts() {
    let app = behind_a_proxy(|config| config).await;
    for n in 0..5 {
        let forwarded = format!("198.51.100.{n}, 192.0.2.7, 127.0.0.1");
        guess_from(&app, &forwarded, "alice@example.com").await.expect(401);
    }
    throttled(guess_from(&app, "203.0.113.9, 192.0.2.7", "alice@example.com").await);
    guess_from(&app, "192.0.2.7, 203.0.113.9", "alice@example.com").await.expect(401);
}

#[actix_web::test]
async fn an_ipv6_address_counts_as_its_64() {
    let app = behind_a_proxy(|config| config).await;
    for n in 0..5 {
        guess_from(&app, &format!("2001:db8:0:1:{n}::{n}"), "alice@example.com").await.expect(401);
    }
    throttled(guess_from(&app, "2001:db8:0:1:ffff::1", "alice@example.com").await);
    guess_from(&app, "2001:db8:0:2::1", "alice@example.com").await.expect(401);
}
