//! A server whose clock is days off, and moves while it serves. Postgres keeps the time of the rule.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use actix_authflow::testing::TestDatabase;

use crate::client::Manner;
use crate::crowd::Crowd;
use crate::message::{Heard, call};
use crate::process::directory;
use crate::service::Service;
use crate::support::PATIENCE;
use crate::support::installed::left_out;
use crate::tally::{PROCESS, rounds};

const SESSIONS: usize = 4;
/// Days by which the clock is off, in turn.
const OFF: [i32; 6] = [1, -1, 7, -7, 29, -29];

#[test]
fn a_clock_that_is_days_off_costs_nobody_a_session() {
    let Some(library) = library() else {
        left_out("libfaketime is not installed");
        return;
    };
    let (database, folder) = (TestDatabase::empty(), directory());
    let offset = folder.path().join("offset");
    let set = |days: i32| {
        // At once, so that the server never reads a half of it.
        let draft = folder.path().join("draft");
        fs::write(&draft, format!("{days:+}d\n")).unwrap();
        fs::rename(draft, &offset).unwrap();
    };
    set(0);
    let preload = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let service = Service::with(database.url(), &preload);
    let mut crowd = Crowd::of(SESSIONS, &service, database.url());
    for (round, days) in (0..rounds(PROCESS)).zip(OFF.iter().cycle().copied()) {
        set(days);
        shows(&service, days);
        // And in every second round it jumps to the other side while they refresh.
        crowd.round(
            || service.address(),
            Manner::default(),
            || {
                if round % 2 == 1 {
                    set(-days);
                }
            },
        );
        if round % 2 == 1 {
            shows(&service, -days);
        }
        // A day off is far more than an access token lives.
        crowd.are_let_in(service.address());
        crowd.tally.count(true);
    }
    set(0);
    shows(&service, 0);
    crowd.are_let_in(service.address());
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally.finish("clock of the server off by 1 to 29 days", 99);
}

/// Waits until the server itself believes that it is another day.
fn shows(service: &Service, days: i32) {
    let deadline = Instant::now() + PATIENCE;
    while off(service) != Some(days) {
        assert!(Instant::now() < deadline, "the clock of the server does not move");
        thread::sleep(Duration::from_millis(20));
    }
}

/// By how many days the server's date is off.
fn off(service: &Service) -> Option<i32> {
    let address = service.address();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let Heard::Answer(answer) = call(address, &request, PATIENCE) else { return None };
    let date = chrono::DateTime::parse_from_rfc2822(answer.header("date")?).ok()?;
    let hours = (date.to_utc() - chrono::DateTime::<chrono::Utc>::from(SystemTime::now())).num_minutes()
        as f64
        / 60.0;
    Some((hours / 24.0).round() as i32)
}

/// The library as Debian and its kin, Fedora, and Alpine have it.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let folders = folders.chain(["/usr/lib64", "/usr/lib"].map(PathBuf::from));
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}
