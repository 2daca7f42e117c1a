//! A pool without a free connection.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use actix_authflow::testing::TestDatabase;
use diesel::connection::SimpleConnection;

use crate::client::Manner;
use crate::crowd::Crowd;
use crate::service::Service;
use crate::tally::{PROCESS, Tally, rounds};

/// Servers that are tried at the same time, since there is nothing to do but to wait.
const LANES: u32 = 5;
/// Longer than the three seconds after which a client is told that the database is not available.
const HELD: Duration = Duration::from_millis(3300);

#[test]
fn a_pool_without_a_free_connection_costs_nobody_a_session() {
    let all = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| all.lock().unwrap().add(&lane(rounds(PROCESS) / LANES)));
        }
    });
    all.into_inner().unwrap().finish("pool exhausted for 3.3 s", 99);
}

/// Somebody holds the locks of all sessions, and a rotation waits for them with the one connection of the pool.
fn lane(rounds: u32) -> Tally {
    let database = TestDatabase::empty();
    let service = Service::with(database.url(), &[("AUTHFLOW_DATABASE_POOL", "1")]);
    let mut crowd = Crowd::of(4, &service, database.url());
    let mut holder = database.connect();
    for _ in 0..rounds {
        holder.batch_execute("BEGIN; SELECT FROM authflow.sessions FOR UPDATE").unwrap();
        let felt = crowd.round(
            || service.address(),
            Manner::default(),
            || {
                thread::sleep(HELD);
                holder.batch_execute("COMMIT").unwrap();
            },
        );
        crowd.tally.count(felt.troubles > 0);
        crowd.are_let_in(service.address());
    }
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally
}
