//! Logins beside the raw hash, and what everything else notices of a flood of them: on processors that all share, and
//! with half of them for the server and half for Postgres and the clients.

mod flood;
mod rates;
mod visitor;

use diesel::prelude::*;
use diesel::sql_types::Text;

use actix_authflow::testing::internals::Passwords;

use self::visitor::Visitor;
pub(super) use self::visitor::{log_in, visitors};
use crate::chart::Lines;
use crate::cores::Cores;
use crate::process;
use crate::server::ServerProcess;
use crate::support::database::Database;
use crate::support::figures::Figures;

const PASSWORD: &str = "a horse of quite another colour";
const WAYS: [&str; 2] = ["shared", "apart"];

pub(crate) fn run(figures: &mut Figures) {
    println!("session groups of the scheduler (Linux): {}", process::session_groups());
    let (all, [shared, apart]) = (Cores::all(), WAYS);
    measure(figures, shared, &all);
    match all.halves() {
        Some([server, others]) => others.run(|| measure(figures, apart, &server)),
        None => {
            println!("\nleft out: processors of its own for the server; that takes Linux and two processors")
        }
    }
    figures.draw("login.svg", |file| slowest_refreshes(figures).draw(file));
}

/// All of it, with the server on these processors and everything else where this thread is.
fn measure(figures: &mut Figures, way: &str, cores: &Cores) {
    println!(
        "\n### processors {way}: {} for the server, {} for Postgres and clients\n",
        cores.count(),
        Cores::all().count()
    );
    let database = Database::open();
    figures.measured_on(&database);
    let (names, stored) = with_passwords(&database);
    let url = database.url();
    let server = cores.run(|| ServerProcess::start("issuer", &[url]));
    rates::measure(figures, way, &server, cores, &stored, names);
    flood::measure(figures, way, &server, &database, names);
}

/// Gives every user the same password, and answers with their number and its hash.
pub(super) fn with_passwords(database: &Database) -> (usize, String) {
    let stored = Passwords::new().hash(PASSWORD);
    let update = diesel::sql_query("UPDATE authflow.users SET password_hash = $1").bind::<Text, _>(&stored);
    (update.execute(&mut database.connect()).unwrap(), stored)
}

fn slowest_refreshes(figures: &Figures) -> Lines<'static> {
    let sides = WAYS.into_iter().flat_map(|way| [flood::idle(way), flood::flood(way)]);
    let series = sides.map(|side| {
        let rounds = figures.by_round(flood::REFRESH, &side, flood::P99);
        (side, rounds)
    });
    let series = series.filter(|(_, rounds)| !rounds.is_empty());
    Lines {
        title: "A refresh in a hundred takes longer than this",
        x: "round",
        y: "ms",
        series: series.collect(),
    }
}
