//! Many at once.

use actix_web::rt::spawn;
use diesel::connection::SimpleConnection as _;

use super::{WRONG, behind_a_proxy, from, guess};
use crate::support::wire::{Moment, Proxy};
use crate::support::{Browser, PASSWORD, TestApp, eventually, together};

/// Right and wrong passwords at once, for few accounts from few addresses, so that counts are shared in every way.
#[actix_web::test]
async fn a_storm_of_right_and_wrong_passwords_ends_in_no_deadlock_and_no_fault() {
    let app = behind_a_proxy(|config| config.database_pool(8)).await;
    let other = app.second_node().await;
    for account in 0..3 {
        Browser::signed_up(&app, &format!("user{account}@example.com")).await;
    }
    for round in 0..8 {
        let answers = together((0..24).map(|i| {
            let client = Browser::new([&app, &other][i % 2]);
            let (address, email) = (format!("192.0.2.{}", i % 4), format!("user{}@example.com", i % 3));
            let password = if (i + round) % 3 == 0 { PASSWORD } else { WRONG };
            async move { from(&address, client, &email, password).await }
        }))
        .await;
        for answer in answers {
            assert!([200, 401, 429].contains(&answer.status), "round {round}: {answer:?}");
        }
        app.db_execute("DELETE FROM authflow.attempts WHERE kind <> 'address'");
    }
    drop(other);
    assert_eq!(app.db_deadlocks(200).await, 0);
}

/// The order of locks, on both ways: counting an attempt, and taking it back.
#[actix_web::test]
async fn whoever_waits_for_a_narrow_count_holds_no_wider_one() {
    let app = TestApp::start().await;
    let wire = Proxy::to(app.database_url());
    let node = app.node_at(wire.url(), |config| config).await;
    Browser::signed_up(&app, "alice@example.com").await;
    guess(&app, "alice@example.com").await.refused(401, "invalid_credentials");
    let (mut holder, mut other) = (app.db_connect(), app.db_connect());
    let hold = "BEGIN; SELECT FROM authflow.attempts WHERE kind = 'account_and_address' FOR UPDATE";
    let mut look = |when: &str| {
        let wider = "SELECT FROM authflow.attempts WHERE kind IN ('account_and_site', 'account', 'address')
                     FOR UPDATE NOWAIT";
        let free = other.batch_execute(wider);
        assert!(free.is_ok(), "{when}: {free:?}");
    };
    holder.batch_execute(hold).unwrap();
    let counted = wire.trap(|sql| sql.contains("lowered AS"), Moment::HoldBefore);
    let mut client = Browser::new(&node);
    let login = spawn(async move { client.login("alice@example.com").await });
    eventually("the attempt waits to be counted", async || app.db_waiting_for_locks() == 1).await;
    look("counting");
    holder.batch_execute("COMMIT").unwrap();

    counted.reached().await;
    holder.batch_execute(hold).unwrap();
    counted.release();
    eventually("the attempt waits to be taken back", async || app.db_waiting_for_locks() == 1).await;
    look("taking back");
    holder.batch_execute("COMMIT").unwrap();
    login.await.unwrap().expect(200);
}
