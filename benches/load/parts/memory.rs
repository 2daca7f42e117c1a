//! The memory of a server over ten minutes of everything at once.

use std::thread;
use std::time::Duration;

use super::login::{log_in, visitors, with_passwords};
use crate::chart::Lines;
use crate::crowd::{self, Task, Until};
use crate::process;
use crate::server::{MEBIBYTES, ServerProcess};
use crate::session::Session;
use crate::support::database::Database;
use crate::support::figures::Figures;

const SUBJECT: &str = "mixed load";
/// From here on memory should be what it is. The caches are full by then.
const WARM: usize = 12;

pub(crate) fn run(figures: &mut Figures) {
    let database = Database::open();
    figures.measured_on(&database);
    let (names, _) = with_passwords(&database);
    let server = ServerProcess::start("issuer", &[database.url()]);
    let mut sessions = Session::of(server.address, &database.users(16));
    let (steps, seconds) = figures.effort((60, 10), (2, 1));
    let mut calls = 0;
    for step in 0..steps {
        server.keep_memory(figures, SUBJECT, "server", step);
        let task = |pace| Task {
            address: server.address,
            until: Until::Elapsed(Duration::from_secs(seconds)),
            pace: Some(Duration::from_millis(pace)),
        };
        let (logins, visitors) = (task(200), visitors(2, names, step * 100));
        let logins = thread::spawn(move || log_in(logins, visitors));
        let load = crowd::run(task(40), sessions, async |connection, session: &mut Session| {
            session.refresh(connection).await;
            for _ in 0..4 {
                session.call(connection).await;
            }
        });
        calls += 5 * load.latencies.len() + logins.join().unwrap().latencies.len();
        sessions = load.clients;
    }
    report(figures, steps, seconds, calls);
}

fn report(figures: &Figures, steps: usize, seconds: u64, calls: usize) {
    let mebibytes = figures.values(SUBJECT, "server", MEBIBYTES);
    println!("{calls} calls in {} s: refreshes, guarded calls, logins", steps as u64 * seconds);
    if mebibytes.is_empty() {
        return println!("{}", process::NO_MEMORY);
    }
    if let (Some(warm), Some(last)) = (mebibytes.get(WARM), mebibytes.last()) {
        println!(
            "{warm:.1} MiB after {} s, {last:.1} MiB in the end: x {:.3}",
            WARM as u64 * seconds,
            last / warm
        );
    }
    let points =
        mebibytes.iter().enumerate().map(|(step, mebibytes)| ((step as u64 * seconds) as f64, *mebibytes));
    let lines = Lines {
        title: "Memory of the server under mixed load",
        x: "seconds",
        y: "resident MiB",
        series: vec![("server".into(), points.collect())],
    };
    figures.draw("memory.svg", |file| lines.draw(file));
}
