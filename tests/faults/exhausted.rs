//! A pool without a free connection.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use actix_authflow::testing::TestDatabase;
use diesel::connection::SimpleConnection;

use crate::client::{Client, Manner, Transport};
use crate::crowd::Crowd;
use crate::database::Rows;
use crate::service::Service;
use crate::support::PATIENCE;
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
            scope.spawn(|| {
                let tally = lane(rounds(PROCESS) / LANES);
                all.lock().unwrap().add(&tally);
            });
        }
    });
    all.into_inner().unwrap().finish("pool exhausted for 3.3 s", 99);
}

/// Somebody holds the locks of all sessions, and a rotation waits for them with the one connection of the pool.
///
/// A list of sessions takes no lock. So it is answered while there are the locks alone, and refused once there is no connection.
fn lane(rounds: u32) -> Tally {
    let database = TestDatabase::empty();
    let service = Service::with(database.url(), &[("AUTHFLOW_DATABASE_POOL", "1")]);
    let mut crowd = Crowd::of(4, &service, database.url());
    let reader = Client::signed_up(service.address(), "reader", Transport::Cookie);
    let list = || reader.get("/auth/sessions", service.address());
    let (mut holder, mut rows) = (database.connect(), Rows::at(database.url()));
    for _ in 0..rounds {
        crowd.age();
        holder.batch_execute("BEGIN; SELECT FROM authflow.sessions FOR UPDATE").unwrap();
        assert_eq!(list(), Some(200), "a list of sessions waits for no lock");
        let mut listed = None;
        let stories = crowd.refresh(&|| service.address(), Manner::default(), || {
            let began = Instant::now();
            connection_waits_for_a_lock(&mut rows);
            listed = list();
            thread::sleep(HELD.saturating_sub(began.elapsed()));
            holder.batch_execute("COMMIT").unwrap();
        });
        let felt = crowd.judge(&stories);
        crowd.tally.count(felt.troubles > 0 && listed == Some(503));
        crowd.are_let_in(service.address());
    }
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally
}

fn connection_waits_for_a_lock(rows: &mut Rows) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = Instant::now() + PATIENCE;
    while rows.number(waiting) != Some(1) {
        assert!(Instant::now() < deadline, "no rotation waits for a lock");
        thread::sleep(Duration::from_millis(5));
    }
}
