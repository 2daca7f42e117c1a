//! Refreshes and guarded calls at a modest pace, by turns alone and while a thousand clients want to log in.

use std::thread;
use std::time::Duration;

use super::{Visitor, log_in, visitors};
use crate::crowd::{self, Load, Task, Until};
use crate::process;
use crate::server::{MEBIBYTES, ServerProcess};
use crate::session::Session;
use crate::support::database::Database;
use crate::support::figures::Figures;

pub(super) const REFRESH: &str = "refresh";
const CALL: &str = "guarded call";
pub(super) const P99: &str = "p99 ms";
const MEMORY: &str = "memory";
/// How many seconds longer than the probe a flood lasts, before and after it together.
const BEFORE_AND_AFTER: u64 = 2;

/// Under which name figures are kept.
pub(super) fn idle(way: &str) -> String {
    format!("idle {way}")
}

pub(super) fn flood(way: &str) -> String {
    format!("flood {way}")
}

pub(super) fn measure(
    figures: &mut Figures,
    way: &str,
    server: &ServerProcess,
    database: &Database,
    names: usize,
) {
    let (rounds, seconds, crowd) = figures.effort((7, 12, 1_000), (1, 1, 20));
    let (idle, flood) = (idle(way), flood(way));
    let mut sessions = Session::of(server.address, &database.users(16));
    for round in 0..rounds {
        sessions = probe(figures, server, sessions, &idle, round, seconds);
        server.keep_memory(figures, MEMORY, &idle, round);
        let until = Until::Elapsed(Duration::from_secs(seconds + BEFORE_AND_AFTER));
        let (task, visitors) = (Task::at(server.address, until), visitors(crowd, names, round));
        let logins = thread::spawn(move || log_in(task, visitors));
        // The flood is given a second to come in, and outlasts the probe.
        thread::sleep(Duration::from_secs(1));
        sessions = probe(figures, server, sessions, &flood, round, seconds);
        server.keep_memory(figures, MEMORY, &flood, round);
        let logins = logins.join().unwrap();
        let count = |of: fn(&Visitor) -> usize| logins.clients.iter().map(of).sum::<usize>() as f64;
        figures.keep("granted", &flood, round, "logins", count(|visitor| visitor.granted));
        figures.keep("refused", &flood, round, "logins", count(|visitor| visitor.refused));
    }
    println!("\n| p99 in ms | {crowd} logins at once / idle | idle | flood |");
    let flooded = (rounds as u64 * (seconds + BEFORE_AND_AFTER)) as f64;
    report(figures, [&flood, &idle], flooded);
}

fn report(figures: &Figures, [flood, idle]: [&str; 2], flooded: f64) {
    println!("|---|---|---|---|");
    for what in [REFRESH, CALL] {
        let ratio = figures.ratio(what, P99, [flood, idle]);
        let [idle, flood] = [idle, flood].map(|side| figures.median(what, side, P99));
        println!("| {what} | {ratio} | {idle:.1} | {flood:.1} |");
    }
    let [granted, refused] =
        ["granted", "refused"].map(|what| figures.values(what, flood, "logins").iter().sum::<f64>());
    println!("\nlogins granted {granted}, refused with Retry-After {refused}");
    println!("attempts per second: {:.0}", (granted + refused) / flooded);
    let memory = |side| figures.values(MEMORY, side, MEBIBYTES);
    let Some(before) = memory(idle).first().copied() else { return println!("{}", process::NO_MEMORY) };
    let most = memory(flood).into_iter().fold(0.0, f64::max);
    println!("memory of the server: {before:.0} MiB before, {most:.0} MiB at most");
}

/// Half of the sessions refresh, the others call the guarded route. Answers with the sessions as they are then.
fn probe(
    figures: &mut Figures,
    server: &ServerProcess,
    mut sessions: Vec<Session>,
    side: &str,
    round: usize,
    seconds: u64,
) -> Vec<Session> {
    let task = |pace| Task {
        address: server.address,
        until: Until::Elapsed(Duration::from_secs(seconds)),
        pace: Some(Duration::from_millis(pace)),
    };
    let callers = sessions.split_off(sessions.len() / 2);
    let (calls, refreshes) = (task(20), task(50));
    let calling = thread::spawn(move || {
        crowd::run(calls, callers, async |connection, session: &mut Session| session.call(connection).await)
    });
    let refreshing = crowd::run(refreshes, sessions, async |connection, session: &mut Session| {
        session.refresh(connection).await
    });
    let calling = calling.join().unwrap();
    let mut keep = |what, load: &Load<Session>| {
        figures.keep(what, side, round, "p50 ms", load.percentile(50));
        figures.keep(what, side, round, P99, load.percentile(99));
    };
    keep(REFRESH, &refreshing);
    keep(CALL, &calling);
    refreshing.clients.into_iter().chain(calling.clients).collect()
}
