//! SIGSTOP: a server and a Postgres that stand still for a while, and go on as if nothing had happened.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::client::Manner;
use crate::crowd::{Crowd, moment};
use crate::database::{Durable, children, postmaster, signal};
use crate::service::Service;
use crate::tally::{PROCESS, Tally, is_full, rounds};

const SESSIONS: usize = 8;
/// When it stops, in milliseconds from when the clients begin.
const SPAN: u32 = 10;
const SHORT: Duration = Duration::from_millis(300);
/// What clients wait for at first, so that they come back while it stands still.
const HASTY: Manner = Manner { patience: Duration::from_millis(100), persistence: Duration::from_secs(25) };
/// The window counts from when the insertion read the clock. So it has to be longer than the stop.
const WINDOW: (&str, &str) = ("AUTHFLOW_REFRESH_GRACE", "2m");
const PATIENT: Manner = Manner { patience: Duration::from_secs(1), persistence: Duration::from_secs(90) };
const BEYOND: u32 = 121;

#[derive(Clone, Copy)]
enum Who {
    Server,
    Postgres,
}

/// So many stops, shared out among worlds that do not wait for each other: while one stands still, so do the others.
struct Stops {
    worlds: u32,
    each: u32,
    time: Duration,
}

fn stops(who: Who, stops: &Stops, manner: Manner, fault: &str) {
    // One after the other, which is work for the processor. What follows is waiting.
    let worlds: Vec<_> = (0..stops.worlds).map(|_| World::new()).collect();
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let live =
            |(number, world): (u32, World)| scope.spawn(move || world.live(who, number, stops, manner));
        let worlds: Vec<_> = (0..).zip(worlds).map(live).collect();
        worlds.into_iter().for_each(|world| tally.add(&world.join().unwrap()));
    });
    tally.finish(fault, 25);
}

struct World {
    crowd: Crowd,
    service: Service,
    database: Durable,
}

impl World {
    fn new() -> World {
        let database = Durable::new();
        let service = Service::with(&database.url(), &[WINDOW]);
        let crowd = Crowd::of(SESSIONS, &service, &database.url()).beyond(BEYOND);
        World { crowd, service, database }
    }

    fn live(self, who: Who, number: u32, &Stops { each, time, .. }: &Stops, manner: Manner) -> Tally {
        let World { mut crowd, service, database } = self;
        for round in number * each..(number + 1) * each {
            let felt = crowd.round(
                || service.address(),
                manner,
                || {
                    thread::sleep(moment(round, SPAN));
                    match who {
                        Who::Server => {
                            service.signal("STOP");
                            thread::sleep(time);
                            service.signal("CONT");
                        }
                        Who::Postgres => stop_all(postmaster(&database.postgres), time),
                    }
                },
            );
            crowd.tally.count(felt.troubles > 0);
            crowd.are_let_in(service.address());
        }
        crowd.retired_tokens_end_their_sessions(service.address());
        crowd.tally
    }
}

/// The one that makes new ones first, then all that it has made.
fn stop_all(postmaster: i32, time: Duration) {
    signal(Signal::STOP, postmaster);
    let mut stopped = children(postmaster);
    stopped.iter().for_each(|process| signal(Signal::STOP, *process));
    thread::sleep(time);
    stopped.push(postmaster);
    stopped.iter().for_each(|process| signal(Signal::CONT, *process));
}

#[test]
fn a_server_that_stands_still_costs_nobody_a_session() {
    stops(Who::Server, &short_stops(), HASTY, "SIGSTOP of the server for 0.3 s");
}

#[test]
fn a_postgres_that_stands_still_costs_nobody_a_session() {
    stops(Who::Postgres, &short_stops(), HASTY, "SIGSTOP of Postgres for 0.3 s");
}

#[test]
fn a_server_that_stands_still_for_long_costs_nobody_a_session() {
    stops(Who::Server, &long_stops(), PATIENT, "SIGSTOP of the server for 30 s");
}

#[test]
fn a_postgres_that_stands_still_for_long_costs_nobody_a_session() {
    stops(Who::Postgres, &long_stops(), PATIENT, "SIGSTOP of Postgres for 30 s");
}

fn short_stops() -> Stops {
    Stops { worlds: 1, each: rounds(PROCESS), time: SHORT }
}

/// In the usual run they are as short as goes beyond the three seconds that a client is waited for.
fn long_stops() -> Stops {
    let (worlds, seconds) = if is_full() { (20, 30) } else { (5, 4) };
    Stops { worlds, each: rounds(PROCESS) / worlds, time: Duration::from_secs(seconds) }
}
