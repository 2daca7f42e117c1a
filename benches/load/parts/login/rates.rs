//! Logins per second beside verifications of the same hash with nothing around them, on the same processors.

use std::thread;
use std::time::{Duration, Instant};

use actix_authflow::testing::internals::Passwords;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier as _};

use super::{PASSWORD, log_in, visitors};
use crate::cores::Cores;
use crate::crowd::{Task, Until};
use crate::process;
use crate::server::ServerProcess;
use crate::support::figures::Figures;

const SIDES: [&str; 3] = ["login over HTTP", "argon2 crate", "kept memory"];
const RATE: &str = "per second";
const COST: &str = "processor ms each";

pub(super) fn measure(
    figures: &mut Figures,
    way: &str,
    server: &ServerProcess,
    cores: &Cores,
    stored: &str,
    names: usize,
) {
    let (rounds, seconds) = figures.effort((9, 4), (1, 1));
    let subject = format!("logins {way}");
    let [login, plain, kept] = SIDES;
    for round in 0..rounds {
        let mut keep = |side, rate, cost: Option<Duration>, number: f64| {
            figures.keep(&subject, side, round, RATE, rate);
            if let Some(cost) = cost {
                figures.keep(&subject, side, round, COST, cost.as_secs_f64() * 1e3 / number);
            }
        };
        let before = server.processor_time();
        let task = Task::at(server.address, Until::Elapsed(Duration::from_secs(seconds)));
        let load = log_in(task, visitors(4 * cores.count(), names, round));
        let cost = server.processor_time().zip(before).map(|(after, before)| after - before);
        let granted = load.clients.iter().map(|visitor| visitor.granted).sum::<usize>() as f64;
        keep(login, granted / load.elapsed.as_secs_f64(), cost, granted);
        for (side, verifier) in [(plain, by_the_crate as Verifier), (kept, on_kept_memory)] {
            let own = || process::processor_time(std::process::id());
            let (before, start) = (own(), Instant::now());
            let hashes = f64::from(cores.run(|| hash(cores.count(), start, seconds, stored, verifier)));
            let elapsed = start.elapsed().as_secs_f64();
            keep(side, hashes / elapsed, own().zip(before).map(|(after, before)| after - before), hashes);
        }
    }
    report(figures, &subject);
}

fn report(figures: &Figures, subject: &str) {
    let [login, plain, kept] = SIDES;
    for raw in [plain, kept] {
        println!("logins per second / {raw}: {}", figures.ratio(subject, RATE, [login, raw]));
    }
    if figures.values(subject, login, COST).is_empty() {
        return println!("{}", process::NO_PROCESSOR_TIME);
    }
    let cost = figures.ratio(subject, COST, [kept, login]);
    println!("processor time, {kept} / the server for a login: {cost}");
}

/// Makes something that verifies the password again and again.
type Verifier = fn(&str) -> Box<dyn FnMut() -> bool + '_>;

/// As the crate does it that computes the hash: on memory taken for each.
fn by_the_crate(stored: &str) -> Box<dyn FnMut() -> bool + '_> {
    let (argon2, stored) = (Argon2::default(), PasswordHash::new(stored).unwrap());
    Box::new(move || argon2.verify_password(PASSWORD.as_bytes(), &stored).is_ok())
}

/// As the server does it.
fn on_kept_memory(stored: &str) -> Box<dyn FnMut() -> bool + '_> {
    let passwords = Passwords::new();
    Box::new(move || passwords.verify(PASSWORD, Some(stored)))
}

/// How many verifications so many threads come to.
fn hash(threads: usize, start: Instant, seconds: u64, stored: &str, verifier: Verifier) -> u32 {
    let each = || {
        let mut verify = verifier(stored);
        let mut count = 0;
        while start.elapsed() < Duration::from_secs(seconds) {
            assert!(verify());
            count += 1;
        }
        count
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}
