//! kill -9: of the server, of a process of Postgres, of all of Postgres.

use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use crate::client::Manner;
use crate::crowd::{Crowd, moment};
use crate::database::{Durable, Rows, children, postmaster, signal};
use crate::service::Service;
use crate::tally::{PROCESS, rounds};

const SESSIONS: usize = 8;
/// The requests of a round take about so many milliseconds.
const SPAN: u32 = 10;

#[test]
fn a_server_that_is_killed_costs_nobody_a_session() {
    let database = Durable::new();
    let service = Service::on(&database.url());
    let mut crowd = Crowd::of(SESSIONS, &service, &database.url());
    for round in 0..rounds(PROCESS) {
        let felt = crowd.round(
            || service.address(),
            Manner::default(),
            || {
                thread::sleep(moment(round, SPAN));
                service.kill_and_start();
            },
        );
        crowd.tally.count(felt.troubles > 0);
        crowd.are_let_in(service.address());
    }
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally.finish("kill -9 of the server", 25);
}

#[test]
fn a_backend_that_is_killed_costs_nobody_a_session() {
    let database = Durable::new();
    let service = Service::on(&database.url());
    let mut crowd = Crowd::of(SESSIONS, &service, &database.url());
    let mut observer = Rows::at(&database.url());
    for round in 0..rounds(PROCESS) {
        observer.execute("SELECT 1");
        let mut killed = None;
        let felt = crowd.round(
            || service.address(),
            Manner::default(),
            || {
                thread::sleep(moment(round, SPAN));
                if let Some(backend) = observer.number(BUSIEST) {
                    killed = Some(Instant::now());
                    signal(Signal::KILL, i32::try_from(backend).unwrap());
                }
            },
        );
        // The server tries again by itself, so few clients hear of it.
        crowd.tally.count(killed.is_some() && felt.ended > killed);
        crowd.are_let_in(service.address());
    }
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally.finish("kill -9 of a Postgres backend", 25);
}

/// One that rotates just now, or did last. All others are restarted with it, which is how Postgres answers.
const BUSIEST: &str = "SELECT pid FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    ORDER BY query LIKE '%INSERT INTO authflow.refresh_tokens%' DESC, state = 'active' DESC, state_change DESC LIMIT 1";

#[test]
fn a_postgres_that_is_killed_loses_nothing_it_acknowledged() {
    let mut database = Durable::new();
    let url = database.url();
    let service = Service::on(&url);
    let mut crowd = Crowd::of(SESSIONS, &service, &url);
    for round in 0..rounds(PROCESS) {
        let mut killed = None;
        let felt = crowd.round(
            || service.address(),
            Manner::default(),
            || {
                thread::sleep(moment(round, SPAN));
                killed = Some(Instant::now());
                kill_all(postmaster(&database.postgres));
                // What is left to do is to wait for the last of them.
                database.postgres.kill().unwrap();
                database.postgres.start().unwrap();
            },
        );
        // Here too: the server waits for the new one.
        crowd.tally.count(felt.ended > killed);
        crowd.are_let_in(service.address());
    }
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally.finish("kill -9 of Postgres, fsync on", 25);
}

/// The one that would start others anew first. Nobody is left to finish anything.
fn kill_all(postmaster: i32) {
    let children = children(postmaster);
    signal(Signal::KILL, postmaster);
    children.into_iter().for_each(|process| signal(Signal::KILL, process));
}
