//! What strangers may try: an account from one address, and an account from everywhere.

use std::collections::BTreeMap;

use actix_web::rt::spawn;
use diesel::connection::SimpleConnection as _;
use futures_util::future::{join, join_all};

use super::{WRONG, behind_a_proxy, from, guess, guess_from, throttled};
use crate::support::{Browser, PASSWORD, TestApp, eventually, together};

#[actix_web::test]
async fn two_hundred_wrong_guesses_at_once_over_four_nodes_have_one_budget() {
    let app = TestApp::start().await;
    // So that each guess has a place in a queue for hashing, also on one core.
    let others = join_all((0..3).map(|_| app.second_node())).await;
    let nodes: Vec<_> = others.iter().chain([&app]).collect();
    let mut alice = Browser::signed_up(&app, "alice@example.com").await;
    for email in ["alice@example.com", "nobody@example.com"] {
        let guesses = (0..200).map(|i| {
            let mut stranger = Browser::new(nodes[i % nodes.len()]);
            async move { stranger.login_with(email, WRONG).await }
        });
        // She has been here before, and comes behind them all.
        let (answers, own) = join(together(guesses), alice.login("alice@example.com")).await;
        own.expect(200);
        let wrong = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!(wrong, 5, "{email}");
        answers.into_iter().filter(|answer| answer.status != 401).for_each(|answer| {
            assert!(throttled(answer) <= 15);
        });
    }
    // Whoever was refused has been counted nowhere.
    for kind in ["account_and_address", "account", "address"] {
        assert_eq!(app.db_attempts(kind), 10, "{kind}");
    }
}

/// Each has looked and found room for one more, before any of them has taken it.
#[actix_web::test]
async fn guesses_that_all_saw_room_for_one_more_do_not_all_get_it() {
    // With so few connections a node asks for one attempt at a time.
    let app = TestApp::with(|config| config.database_pool(3)).await;
    let nodes = join_all((0..8).map(|_| app.second_node())).await;
    for _ in 0..4 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    let mut holder = app.db_connect();
    let hold = "BEGIN; SELECT FROM authflow.attempts WHERE kind = 'account_and_address' FOR UPDATE";
    holder.batch_execute(hold).unwrap();
    let guesses = nodes.iter().map(|node| {
        let mut stranger = Browser::new(node);
        spawn(async move { stranger.login_with("alice@example.com", WRONG).await })
    });
    let guesses: Vec<_> = guesses.collect();
    eventually("all wait for the count", async || app.db_waiting_for_locks() == 8).await;
    holder.batch_execute("ROLLBACK").unwrap();

    let mut wrong = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            answer if answer.status == 401 => wrong += 1,
            answer => assert!(throttled(answer) <= 15),
        }
    }
    assert_eq!(wrong, 1);
    for kind in ["account_and_address", "account", "address"] {
        assert_eq!(app.db_attempts(kind), 5, "{kind}");
    }
}

#[actix_web::test]
async fn the_wait_doubles_from_the_fifth_failure_on_and_ends_when_it_is_said_to() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    let mut longest = 15;
    for _ in 0..9 {
        let wait = throttled(guess(&app, "alice@example.com").await);
        assert!(wait <= longest && wait > longest / 2, "{wait} of {longest}");
        // Not even the right password.
        throttled(Browser::new(&app).login("alice@example.com").await);
        app.db_age_attempts(wait);
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
        longest = (longest * 2).min(15 * 60);
    }
    let wait = throttled(guess(&app, "alice@example.com").await);
    app.db_age_attempts(wait);
    Browser::new(&app).login("alice@example.com").await.expect(200);
}

#[actix_web::test]
async fn an_hour_after_the_last_wait_failures_are_forgotten() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    let wait = throttled(guess(&app, "alice@example.com").await);
    app.db_age_attempts(wait + 60 * 60);
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    assert!(throttled(guess(&app, "alice@example.com").await) <= 15);
}

#[actix_web::test]
async fn a_success_takes_the_failures_before_it_back() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..3 {
        for _ in 0..4 {
            guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
        }
        Browser::new(&app).login("alice@example.com").await.expect(200);
        assert_eq!((app.db_attempts("account_and_address"), app.db_attempts("account")), (0, 0));
    }
    // The address may have failed at other accounts: it keeps all but the success.
    assert_eq!(app.db_attempts("address"), 12);
}

#[actix_web::test]
async fn right_passwords_use_nothing_up() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..12 {
        Browser::new(&app).login("alice@example.com").await.expect(200);
    }
    assert_eq!(
        app.db_count("SELECT count(*) AS value FROM authflow.attempts WHERE kind <> 'registrations'"),
        0
    );
}

#[actix_web::test]
async fn an_account_that_nobody_has_is_throttled_alike() {
    let app = TestApp::start().await;
    Browser::signed_up(&app, "alice@example.com").await;
    let mut answers = Vec::new();
    for email in ["alice@example.com", "nobody@example.com", "no address at all"] {
        let mut of_this_account = Vec::new();
        for _ in 0..7 {
            let answer = guess(&app, email).await;
            let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), value.clone()));
            let stable =
                headers.filter(|(name, _)| !["date", "retry-after", "x-request-id"].contains(&name.as_str()));
            of_this_account.push((answer.status, stable.collect::<BTreeMap<_, _>>(), answer.text));
        }
        answers.push(of_this_account);
    }
    assert_eq!(
        answers[0].iter().map(|answer| answer.0).collect::<Vec<_>>(),
        [401, 401, 401, 401, 401, 429, 429]
    );
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[actix_web::test]
async fn all_addresses_together_have_a_ceiling_and_then_one_attempt_an_hour() {
    let app = behind_a_proxy(|config| config.login_ceiling(10)).await;
    Browser::signed_up(&app, "alice@example.com").await;
    let address = |n: u32| format!("192.0.{n}.2");
    for n in 0..10 {
        guess_from(&app, &address(n), "alice@example.com").await.refused(401, "invalid_credentials");
    }
    let wait = throttled(guess_from(&app, &address(10), "alice@example.com").await);
    assert!(wait <= 60 * 60 && wait > 50 * 60, "{wait}");
    throttled(from(&address(11), Browser::new(&app), "alice@example.com", PASSWORD).await);
    // Nobody else's account is concerned.
    guess_from(&app, &address(10), "bob@example.com").await.refused(401, "invalid_credentials");

    for n in 20..23 {
        app.db_age_attempts(throttled(guess_from(&app, &address(n), "alice@example.com").await));
        guess_from(&app, &address(n), "alice@example.com").await.refused(401, "invalid_credentials");
        throttled(guess_from(&app, &address(n), "alice@example.com").await);
    }
    app.db_age_attempts(60 * 60);
    from(&address(30), Browser::new(&app), "alice@example.com", PASSWORD).await.expect(200);
    // Cleared by the success.
    for n in 40..50 {
        guess_from(&app, &address(n), "alice@example.com").await.refused(401, "invalid_credentials");
    }
}

/// By IPv4 or IPv6, an attacker with many neighbouring addresses is one.
#[actix_web::test]
async fn one_site_alone_cannot_keep_an_account_shut() {
    let app = behind_a_proxy(|config| config.login_ceiling(20)).await;
    for (email, neighbours) in [("alice@example.com", "203.0.113."), ("bob@example.com", "2001:db8:1:")] {
        let neighbour = |n: u32| {
            if neighbours.ends_with('.') { format!("{neighbours}{n}") } else { format!("{neighbours}{n}::1") }
        };
        Browser::signed_up(&app, email).await;
        for n in 0..5 {
            guess_from(&app, &neighbour(n), email).await.refused(401, "invalid_credentials");
        }
        let wait = throttled(guess_from(&app, &neighbour(5), email).await);
        assert!(wait <= 6 * 60 * 60 && wait > 5 * 60 * 60, "{wait}");
        // Others bring it to the ceiling.
        for n in 0..15 {
            guess_from(&app, &format!("192.0.{n}.1"), email).await.refused(401, "invalid_credentials");
        }
        throttled(from("198.51.100.1", Browser::new(&app), email, PASSWORD).await);
        app.db_age_attempts(60 * 60);
        throttled(guess_from(&app, &neighbour(6), email).await);
        from("198.51.100.1", Browser::new(&app), email, PASSWORD).await.expect(200);
    }
}

#[actix_web::test]
async fn a_hundred_is_the_ceiling_by_default() {
    let app = behind_a_proxy(|config| config).await;
    guess_from(&app, "192.0.2.1", "alice@example.com").await.refused(401, "invalid_credentials");
    app.db_add_attempts("account", 98, 60 * 60);
    guess_from(&app, "192.0.2.2", "alice@example.com").await.refused(401, "invalid_credentials");
    assert!(throttled(guess_from(&app, "192.0.2.3", "alice@example.com").await) <= 60 * 60);
}

#[actix_web::test]
async fn a_new_password_starts_the_counts_of_its_account_afresh() {
    let app = TestApp::start().await;
    let alice = Browser::signed_up(&app, "alice@example.com").await;
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    throttled(guess(&app, "alice@example.com").await);
    app.auth.set_password(alice.user().parse().unwrap(), PASSWORD).await.unwrap();
    Browser::new(&app).login("alice@example.com").await.expect(200);
}

/// Otherwise whoever keeps them used up would see that the account is disabled now.
#[actix_web::test]
async fn a_disabled_user_has_the_counts_it_had() {
    let app = TestApp::start().await;
    let user = Browser::signed_up(&app, "alice@example.com").await.user().parse().unwrap();
    app.auth.set_password(user, PASSWORD).await.unwrap();
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    app.auth.disable_user(user).await.unwrap();
    throttled(guess(&app, "alice@example.com").await);
}

#[actix_web::test]
async fn counts_survive_a_restart() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    let app = app.restart().await;
    throttled(guess(&app, "alice@example.com").await);
}

#[actix_web::test]
async fn nothing_is_counted_where_throttling_is_off() {
    let app = TestApp::with(|config| config.login_throttle(false)).await;
    let mut alice = Browser::new(&app);
    assert_eq!(alice.register("alice@example.com").await.expect(201).device_token(), None);
    for _ in 0..8 {
        guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    }
    assert_eq!(alice.login("alice@example.com").await.expect(200).device_token(), None);
    assert_eq!(app.db_count("SELECT count(*) AS value FROM authflow.attempts"), 0);
}
