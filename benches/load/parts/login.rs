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
use uuid::Uuid;

use crate::client::Connection;
use crate::crowd::{self, Load, Task, Until};
use crate::figures::Figures;
use crate::process;
use crate::server::ServerProcess;
use crate::session::Session;
use crate::support::database::Database;

const PASSWORD: &str = "a horse of quite another colour";
const SIDES: [&str; 2] = ["login over HTTP", "raw Argon2"];
/// How servers are started, and under which names their probes are kept, alone and in a flood.
const WAYS: [[&str; 3]; 2] =
    [["as it is", "idle", "flood"], ["by give-way", "idle giving way", "flood giving way"]];
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
    let giving_way = ServerProcess::start_giving_way("issuer", &[database.url()]);
    under_flood(figures, [Some(server), giving_way], &database, names);
}

/// Gives every user the same password, and answers with their number and its hash.
pub(super) fn with_passwords(database: &Database) -> (usize, String) {
    let stored = Passwords::new().hash(PASSWORD);
    let update = diesel::sql_query("UPDATE authflow.users SET password_hash = $1").bind::<Text, _>(&stored);
    (update.execute(&mut database.connect()).unwrap(), stored)
}

fn against_raw_hashes(figures: &mut Figures, server: &ServerProcess, stored: &str, names: usize) {
    let (rounds, seconds) = figures.effort((9, 4), (1, 1));
    let own = || process::processor_time(std::process::id());
    for round in 0..rounds {
        let before = server.processor_time();
        let load = crowd::run(
            Task::at(server.address, Until::Elapsed(Duration::from_secs(seconds))),
            visitors(8, names, round),
            async |connection, visitor: &mut Visitor| visitor.log_in(connection).await,
        );
        let granted = load.clients.iter().map(|visitor| visitor.granted).sum::<usize>() as f64;
        figures.keep("logins", SIDES[0], round, "per second", granted / load.elapsed.as_secs_f64());
        if let (Some(before), Some(after)) = (before, server.processor_time()) {
            let each = (after - before).as_secs_f64() * 1e3 / granted;
            figures.keep("logins", SIDES[0], round, "processor ms each", each);
        }
        let before = own();
        let (hashes, rate) = raw_hashes(stored, seconds);
        figures.keep("logins", SIDES[1], round, "per second", rate);
        if let (Some(before), Some(after)) = (before, own()) {
            let each = (after - before).as_secs_f64() * 1e3 / f64::from(hashes);
            figures.keep("logins", SIDES[1], round, "processor ms each", each);
        }
    }
    println!(
        "logins per second / raw Argon2 on as many threads as cores: {}",
        figures.ratio("logins", "per second", SIDES)
    );
    let [login, raw] = SIDES;
    println!(
        "processor time of a raw Argon2 / of the server for a login: {}",
        figures.ratio("logins", "processor ms each", [raw, login])
    );
}

/// How many verifications there were with nothing around them, and how many per second.
fn raw_hashes(stored: &str, seconds: u64) -> (u32, f64) {
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
    (hashes, f64::from(hashes) / start.elapsed().as_secs_f64())
}

/// A server, and the sessions that it has given.
struct Flooded {
    server: ServerProcess,
    sessions: Vec<Session>,
    way: [&'static str; 3],
    memory: [Option<u64>; 2],
}

/// Refreshes and guarded calls at a modest pace, in turn without and with a thousand clients who want to log in; and the servers
/// take turns as well.
fn under_flood(
    figures: &mut Figures,
    servers: [Option<ServerProcess>; 2],
    database: &Database,
    names: usize,
) {
    let (rounds, seconds, crowd) = figures.effort((5, 12, 1_000), (1, 1, 20));
    let begin = |(server, way): (Option<ServerProcess>, _)| {
        let server = server?;
        let (sessions, memory) =
            (Session::of(server.address, &database.users(16)), [server.resident_bytes(); 2]);
        Some(Flooded { server, sessions, way, memory })
    };
    let mut servers: Vec<_> = servers.into_iter().zip(WAYS).filter_map(begin).collect();
    for round in 0..rounds {
        for flooded in &mut servers {
            flooded.round(figures, round, seconds, || visitors(crowd, names, round));
        }
    }
    println!("\n| p99 in ms, server started | {crowd} logins at once / idle | idle | flood |");
    println!("|---|---|---|---|");
    for Flooded { way: [name, idle, flood], .. } in &servers {
        for what in ["refresh", "guarded call"] {
            let ratio = figures.ratio(what, "p99 ms", [flood, idle]);
            let [idle, flood] = [idle, flood].map(|side| figures.median(what, side, "p99 ms"));
            println!("| {what}, {name} | {ratio} | {idle:.1} | {flood:.1} |");
        }
    }
    println!();
    for Flooded { way: [name, _, flood], memory, .. } in &servers {
        let [granted, refused] =
            ["granted", "refused"].map(|what| figures.values(what, flood, "logins").iter().sum::<f64>());
        let flooded = (rounds as u64 * (seconds + FLOOD_BEFORE_AND_AFTER)) as f64;
        println!("{name}: logins granted {granted}, refused with Retry-After {refused}");
        println!("{name}: attempts per second: {:.0}", (granted + refused) / flooded);
        if let [Some(idle), Some(peak)] = memory {
            println!("{name}: memory of the server: {} MiB before, {} MiB at most", idle >> 20, peak >> 20);
        }
    }
    println!("session groups of the scheduler (Linux): {}", process::session_groups());
}

impl Flooded {
    fn round(
        &mut self,
        figures: &mut Figures,
        round: usize,
        seconds: u64,
        visitors: impl Fn() -> Vec<Visitor>,
    ) {
        let [_, idle, flood] = self.way;
        self.probe(figures, idle, round, seconds);
        let until = Until::Elapsed(Duration::from_secs(seconds + FLOOD_BEFORE_AND_AFTER));
        let (task, visitors) = (Task::at(self.server.address, until), visitors());
        let logins = thread::spawn(move || {
            crowd::run(task, visitors, async |connection, visitor: &mut Visitor| {
                visitor.log_in(connection).await
            })
        });
        // The flood is given a second to come in, and outlasts the probe.
        thread::sleep(Duration::from_secs(1));
        self.probe(figures, flood, round, seconds);
        self.memory[1] = self.memory[1].max(self.server.resident_bytes());
        let logins = logins.join().unwrap();
        let count = |of: fn(&Visitor) -> usize| logins.clients.iter().map(of).sum::<usize>() as f64;
        figures.keep("granted", flood, round, "logins", count(|visitor| visitor.granted));
        figures.keep("refused", flood, round, "logins", count(|visitor| visitor.refused));
    }

    /// Half of the sessions refresh, the others call the guarded route.
    fn probe(&mut self, figures: &mut Figures, side: &str, round: usize, seconds: u64) {
        let task = |pace| Task {
            address: self.server.address,
            until: Until::Elapsed(Duration::from_secs(seconds)),
            pace: Some(Duration::from_millis(pace)),
        };
        let callers = self.sessions.split_off(self.sessions.len() / 2);
        let (calls, refreshes) = (task(20), task(50));
        let calling = thread::spawn(move || {
            crowd::run(calls, callers, async |connection, session: &mut Session| {
                session.call(connection).await
            })
        });
        let refreshers = std::mem::take(&mut self.sessions);
        let refreshing = crowd::run(refreshes, refreshers, async |connection, session: &mut Session| {
            session.refresh(connection).await
        });
        let calling = calling.join().unwrap();
        let mut keep = |what, load: &Load<Session>| {
            figures.keep(what, side, round, "p50 ms", load.percentile(50));
            figures.keep(what, side, round, "p99 ms", load.percentile(99));
        };
        keep("refresh", &refreshing);
        keep("guarded call", &calling);
        self.sessions = refreshing.clients.into_iter().chain(calling.clients).collect();
    }
}

pub(super) fn visitors(number: usize, names: usize, round: usize) -> Vec<Visitor> {
    let visitor = |name| Visitor { name, next: round, names, granted: 0, refused: 0 };
    (0..number).map(visitor).collect()
}

impl Visitor {
    /// What the client of this crate waits beyond `Retry-After`, so that not all come back in the same instant: a quarter to
    /// half of a second, by lot.
    fn pause() -> Duration {
        Duration::from_millis(250 + u64::try_from(Uuid::new_v4().as_u128() % 250).unwrap())
    }

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
        sleep(Duration::from_secs(seconds) + Self::pause()).await;
    }
}
