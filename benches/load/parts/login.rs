//! Logins beside the raw hash, and what everything else notices of a flood of them.

use std::net::Ipv4Addr;
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use actix_authflow::testing::internals::Passwords;
use actix_web::rt::time::sleep;
use diesel::prelude::*;
use diesel::sql_types::Text;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;

use crate::client::Connection;
use crate::crowd::{self, Load, Task, Until};
use crate::figures::Figures;
use crate::process;
use crate::server::ServerProcess;
use crate::session::Session;
use crate::support::database::Database;

const PASSWORD: &str = "a horse of quite another colour";
const SIDES: [&str; 2] = ["login over HTTP", "raw Argon2"];
const IDLE: &str = "idle";
const FLOOD: &str = "flood";
/// How many seconds longer than the probe a flood lasts, before and after it together.
const FLOOD_BEFORE_AND_AFTER: u64 = 2;

/// Somebody who logs in over and over, under one name after the other.
pub(super) struct Visitor {
    name: usize,
    next: usize,
    names: usize,
    granted: usize,
    refused: usize,
}

pub(crate) fn run(figures: &mut Figures) {
    let database = Database::open();
    let (names, stored) = with_passwords(&database);
    let server = ServerProcess::start("issuer", &[database.url()]);
    against_raw_hashes(figures, &server, &stored, names);
    under_flood(figures, &server, &database, names);
}

/// Gives every user the same password, and answers with their number and its hash.
pub(super) fn with_passwords(database: &Database) -> (usize, String) {
    let stored = Passwords::new().hash(PASSWORD);
    let update = diesel::sql_query("UPDATE authflow.users SET password_hash = $1").bind::<Text, _>(&stored);
    (update.execute(&mut database.connect()).unwrap(), stored)
}

fn against_raw_hashes(figures: &mut Figures, server: &ServerProcess, stored: &str, names: usize) {
    let (rounds, seconds) = figures.effort((9, 4), (1, 1));
    for round in 0..rounds {
        let load = crowd::run(
            Task::at(server.address, Until::Elapsed(Duration::from_secs(seconds))),
            visitors(8, names, round),
            async |connection, visitor: &mut Visitor| visitor.log_in(connection).await,
        );
        let granted: usize = load.clients.iter().map(|visitor| visitor.granted).sum();
        figures.keep("logins", SIDES[0], round, "per second", granted as f64 / load.elapsed.as_secs_f64());
        figures.keep("logins", SIDES[1], round, "per second", raw_hashes(stored, seconds));
    }
    println!(
        "logins per second / raw Argon2 on as many threads as cores: {}",
        figures.ratio("logins", "per second", SIDES)
    );
}

/// Verifications per second with nothing around them.
fn raw_hashes(stored: &str, seconds: u64) -> f64 {
    let (start, cores) = (Instant::now(), available_parallelism().map_or(1, usize::from));
    let counts = (0..cores).map(|_| {
        let stored = stored.to_owned();
        thread::spawn(move || {
            let passwords = Passwords::new();
            let mut count = 0;
            while start.elapsed() < Duration::from_secs(seconds) {
                assert!(passwords.verify(PASSWORD, Some(&stored)));
                count += 1;
            }
            count
        })
    });
    let counts: Vec<_> = counts.collect();
    let hashes: u32 = counts.into_iter().map(|count| count.join().unwrap()).sum();
    f64::from(hashes) / start.elapsed().as_secs_f64()
}

/// Refreshes and guarded calls at a modest pace, in turn without and with a thousand clients who want to log in.
fn under_flood(figures: &mut Figures, server: &ServerProcess, database: &Database, names: usize) {
    let (rounds, seconds, crowd) = figures.effort((5, 12, 1_000), (1, 1, 20));
    let mut sessions = Session::of(server.address, &database.users(16));
    let idle_memory = server.resident_bytes();
    let mut peak = idle_memory;
    for round in 0..rounds {
        sessions = probe(figures, server, sessions, IDLE, round, seconds);
        let until = Until::Elapsed(Duration::from_secs(seconds + FLOOD_BEFORE_AND_AFTER));
        let (task, visitors) = (Task::at(server.address, until), visitors(crowd, names, round));
        let flood = thread::spawn(move || {
            crowd::run(task, visitors, async |connection, visitor: &mut Visitor| {
                visitor.log_in(connection).await
            })
        });
        // The flood is given a second to come in, and outlasts the probe.
        thread::sleep(Duration::from_secs(1));
        sessions = probe(figures, server, sessions, FLOOD, round, seconds);
        peak = peak.max(server.resident_bytes());
        let flood = flood.join().unwrap();
        let count = |of: fn(&Visitor) -> usize| flood.clients.iter().map(of).sum::<usize>() as f64;
        figures.keep("flood", "granted", round, "logins", count(|visitor| visitor.granted));
        figures.keep("flood", "refused", round, "logins", count(|visitor| visitor.refused));
    }
    println!("\n| p99 in ms | {crowd} logins at once / idle | idle | flood |");
    println!("|---|---|---|---|");
    for what in ["refresh", "guarded call"] {
        let [idle, flood] = [IDLE, FLOOD].map(|side| figures.median(what, side, "p99 ms"));
        println!("| {what} | {} | {idle:.1} | {flood:.1} |", figures.ratio(what, "p99 ms", [FLOOD, IDLE]));
    }
    let [granted, refused] =
        ["granted", "refused"].map(|side| figures.values("flood", side, "logins").iter().sum::<f64>());
    let flooded = (rounds as u64 * (seconds + FLOOD_BEFORE_AND_AFTER)) as f64;
    println!("\nlogins granted {granted}, refused with Retry-After {refused}");
    println!("attempts per second: {:.0}", (granted + refused) / flooded);
    println!("session groups of the scheduler (Linux): {}", process::session_groups());
    if let (Some(idle), Some(peak)) = (idle_memory, peak) {
        println!("memory of the server: {} MiB before, {} MiB at most", idle >> 20, peak >> 20);
    }
}

/// Half of the sessions refresh, the others call the guarded route.
fn probe(
    figures: &mut Figures,
    server: &ServerProcess,
    sessions: Vec<Session>,
    side: &str,
    round: usize,
    seconds: u64,
) -> Vec<Session> {
    let task = |pace| Task {
        address: server.address,
        until: Until::Elapsed(Duration::from_secs(seconds)),
        pace: Some(Duration::from_millis(pace)),
    };
    let mut sessions = sessions;
    let callers = sessions.split_off(sessions.len() / 2);
    let calls = task(20);
    let calling = thread::spawn(move || {
        crowd::run(calls, callers, async |connection, session: &mut Session| session.call(connection).await)
    });
    let refreshing = crowd::run(task(50), sessions, async |connection, session: &mut Session| {
        session.refresh(connection).await
    });
    let calling = calling.join().unwrap();
    let keep = |figures: &mut Figures, what, load: &Load<Session>| {
        figures.keep(what, side, round, "p50 ms", load.percentile(50));
        figures.keep(what, side, round, "p99 ms", load.percentile(99));
    };
    keep(figures, "refresh", &refreshing);
    keep(figures, "guarded call", &calling);
    refreshing.clients.into_iter().chain(calling.clients).collect()
}

pub(super) fn visitors(number: usize, names: usize, round: usize) -> Vec<Visitor> {
    let visitor = |name| Visitor { name, next: round, names, granted: 0, refused: 0 };
    (0..number).map(visitor).collect()
}

impl Visitor {
    /// A login is granted, or else refused with a time after which to try again; that much is waited.
    pub(super) async fn log_in(&mut self, connection: &mut Connection) {
        // Names that no two visitors have at once, so that no account has more than its share of sessions.
        let name = (self.name + 1_009 * self.next) % self.names + 1;
        self.next += 1;
        let address = Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(self.name).unwrap());
        let answer = Session::ask_for(connection, address, &format!("{name}@example.com"), PASSWORD).await;
        if answer.status == StatusCode::OK {
            Session::from(&answer);
            self.granted += 1;
            return;
        }
        let refused =
            [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&answer.status);
        assert!(refused, "{} {:?}", answer.status, answer.body);
        let seconds = answer.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        self.refused += 1;
        sleep(Duration::from_secs(seconds)).await;
    }
}
