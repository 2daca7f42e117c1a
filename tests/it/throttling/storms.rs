//! Many at once.

use super::{WRONG, behind_a_proxy, from};
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
    assert_eq!(deadlocks(app).await, 0);
}

/// How many deadlocks the database has counted. The sum is there when the backends have ended.
async fn deadlocks(app: TestApp) -> i64 {
    let app = app.restart().await;
    let counter = |name: &str| {
        app.db_count(&format!(
            "SELECT {name} AS value FROM pg_stat_database WHERE datname = current_database()"
        ))
    };
    eventually("the counters come", async || counter("xact_commit") > 200).await;
    counter("deadlocks")
}
