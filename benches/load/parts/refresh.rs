//! Refreshes over HTTP, each of which rotates, beside what Postgres carries by itself.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Uuid as SqlUuid};
use uuid::Uuid;

use crate::chart::Lines;
use crate::crowd::{self, Load, Task, Until};
use crate::pgbench::Script;
use crate::server::ServerProcess;
use crate::session::Session;
use crate::support::database::Database;
use crate::support::figures::Figures;

const HTTP: &str = "refresh over HTTP";
const BARE: &str = "pgbench: bare insertion";
const OWN: &str = "pgbench: our statement";

/// Blocks of the three by turns.
pub(crate) fn run(figures: &mut Figures) {
    let database = Database::open();
    figures.measured_on(&database);
    println!("{}\n", database.settings());
    println!(
        "| clients | refresh / bare insertion | refresh / our statement | our statement / bare insertion |"
    );
    println!("|---|---|---|---|");
    let server = ServerProcess::start("issuer", &[database.url()]);
    let scripts = [(BARE, Script::bare_insertion()), (OWN, Script::rotation(database.url()))];
    let mut connection = database.connect();
    let users = database.users(64);
    let (rounds, seconds) = figures.effort((5, 3), (1, 1));
    let mut run = 0;
    for clients in figures.effort(&[1, 4, 16, 64][..], &[2]) {
        let subject = format!("{clients} clients");
        let mut sessions = Session::of(server.address, &users[..*clients]);
        for round in 0..rounds {
            run += 1;
            let load = refresh(&server, sessions, seconds);
            assert_eq!(
                stored_generations(&mut connection, &load),
                load.clients.iter().map(Session::generation).sum::<i64>()
            );
            figures.keep(&subject, HTTP, round, "per second", load.rate());
            figures.keep(&subject, HTTP, round, "p99 ms", load.percentile(99));
            sessions = load.clients;
            for (side, script) in &scripts {
                let rate = script.run(database.url(), run, *clients, seconds);
                figures.keep(&subject, side, round, "per second", rate);
            }
        }
        let ratio = |sides| figures.ratio(&subject, "per second", sides);
        println!("| {clients} | {} | {} | {} |", ratio([HTTP, BARE]), ratio([HTTP, OWN]), ratio([OWN, BARE]));
    }
    figures.draw("refresh.svg", |file| rates(figures).draw(file));
}

fn refresh(server: &ServerProcess, sessions: Vec<Session>, seconds: u64) -> Load<Session> {
    let until = Until::Elapsed(std::time::Duration::from_secs(seconds));
    crowd::run(Task::at(server.address, until), sessions, async |connection, session| {
        session.refresh(connection).await;
    })
}

#[derive(QueryableByName)]
struct Sum {
    #[diesel(sql_type = BigInt)]
    generations: i64,
}

/// What the database says to which generation the sessions have come, all together.
fn stored_generations(connection: &mut PgConnection, load: &Load<Session>) -> i64 {
    let ids: Vec<Uuid> = load.clients.iter().map(|session| session.id).collect();
    let newest = "SELECT coalesce(sum(newest), 0)::bigint AS generations FROM (
                      SELECT max(generation) AS newest FROM authflow.refresh_tokens
                      WHERE session_id = ANY ($1) GROUP BY session_id) chains";
    let sum: Sum = diesel::sql_query(newest).bind::<Array<SqlUuid>, _>(ids).get_result(connection).unwrap();
    sum.generations
}

fn rates(figures: &Figures) -> Lines<'static> {
    let series = [BARE, OWN, HTTP].map(|side| {
        let points = [1, 4, 16, 64].map(|clients| {
            let median = figures.median(&format!("{clients} clients"), side, "per second");
            (f64::from(clients), median)
        });
        (side.to_owned(), points.to_vec())
    });
    Lines {
        title: "Rotations and bare insertions per second",
        x: "clients",
        y: "per second, median",
        series: series.into(),
    }
}
