//! Ten million rows beside ten thousand.

use std::time::{Duration, Instant};

use actix_authflow::testing;
use actix_authflow::testing::internals::RefreshTokens;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Uuid as SqlUuid};
use uuid::Uuid;

use crate::chart::Lines;
use crate::crowd::{self, Task, Until};
use crate::server::ServerProcess;
use crate::session::Session;
use crate::support::database::Database;
use crate::support::figures::Figures;

const CLIENTS: usize = 16;
const SIDES: [&str; 2] = ["full", "small"];
const SUBJECT: &str = "size";
const RATE: &str = "refreshes per second";
const WAL: &str = "WAL bytes per rotation";
/// Each session has so many generations, as after an hour or a day of use.
const GENERATIONS: i32 = 10;
/// So many sessions, from all over the table, are refreshed, or all that there are. More than the server remembers
/// tokens of, so none is presented: otherwise the large side alone would pay for their signatures.
const REFRESHED: usize = 20_000;

/// A client that goes round its share of the sessions.
struct Rounds {
    sessions: Vec<Session>,
    next: usize,
}

/// A database, the server before it, and the clients.
struct World {
    server: ServerProcess,
    connection: PgConnection,
    clients: Vec<Rounds>,
}

pub(crate) fn run(figures: &mut Figures) {
    let (many, few) = figures.effort((1_000_000, 1_000), (2_000, 100));
    let (rounds, seconds) = figures.effort((9, 4), (1, 1));
    let database = Database::open();
    figures.measured_on(&database);
    start_times(figures, &database, "empty");
    let mut worlds = [(SIDES[0], many), (SIDES[1], few)].map(|(name, sessions)| {
        let url = database.another(name);
        populate(&url, sessions);
        sizes(figures, name, &url, sessions);
        World::new(&url, sessions)
    });
    for name in SIDES {
        start_times(figures, &database, name);
    }
    for round in 0..rounds {
        for (world, side) in worlds.iter_mut().zip(SIDES) {
            let written = world.written();
            let load = crowd::run(
                Task::at(world.server.address, Until::Elapsed(Duration::from_secs(seconds))),
                std::mem::take(&mut world.clients),
                async |connection, rounds: &mut Rounds| rounds.refresh(connection).await,
            );
            let wal = (world.written() - written) as f64 / load.latencies.len() as f64;
            figures.keep(SUBJECT, side, round, RATE, load.rate());
            figures.keep(SUBJECT, side, round, WAL, wal);
            world.clients = load.clients;
        }
    }
    println!("\nrefreshes per second, {many} sessions / {few}: {}", figures.ratio(SUBJECT, RATE, SIDES));
    for side in SIDES {
        println!("WAL bytes per rotation, {side}: {:.0}", figures.median(SUBJECT, side, WAL));
        println!("start on the {side} database: {:.0} ms", figures.median("start", side, "ms"));
    }
    println!("start on an empty database: {:.0} ms", figures.median("start", "empty", "ms"));
    figures.draw("size.svg", |file| rates(figures).draw(file));
}

fn rates(figures: &Figures) -> Lines<'static> {
    let series = SIDES.map(|side| (format!("{side} database"), figures.by_round(SUBJECT, side, RATE)));
    Lines { title: "Refreshes per second by 16 clients", x: "round", y: "per second", series: series.into() }
}

/// From the start of the process to the moment at which it listens; how long it takes to stop is not counted.
fn start_times(figures: &mut Figures, database: &Database, name: &str) {
    for round in 0..figures.effort(7, 1) {
        let url =
            if name == "empty" { database.another(&format!("empty_{round}")) } else { database.url_of(name) };
        let start = Instant::now();
        let server = ServerProcess::start("issuer", &[&url]);
        figures.keep("start", name, round, "ms", start.elapsed().as_secs_f64() * 1e3);
        drop(server);
    }
}

/// Sessions of two days, two to a user, with identifiers in the order of their start. The rows of a session lie as far
/// apart as in use: generation by generation.
fn populate(url: &str, sessions: i64) {
    let mut connection = PgConnection::establish(url).unwrap();
    testing::migrate(&mut connection);
    let sql = format!(
        "SET session_replication_role = replica; -- no check of each reference, which holds by construction
         CREATE TEMP TABLE made AS
             SELECT n, md5('user' || n / 2)::uuid AS user_id,
                    (lpad(to_hex(1700000000000 + n * 173), 12, '0') || '7' || substr(md5(n::text), 1, 19))::uuid AS id
             FROM generate_series(1, {sessions}) n;
         INSERT INTO authflow.users (id, email, email_canonical)
         SELECT DISTINCT user_id, user_id || '@example.com', user_id || '@example.com' FROM made;
         INSERT INTO authflow.sessions
             (id, user_id, transport, persistent, user_agent, ip, authenticated_at, created_at, expires_at)
         SELECT id, user_id, 'cookie', true, repeat('Mozilla/5.0 ', 9), '203.0.113.7', now(), now(),
                now() + interval '30 days'
         FROM made ORDER BY n;
         INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at, signed_by)
         SELECT id, generation, sha256(decode(md5(n::text || generation), 'hex')), decode(md5(n::text), 'hex'), now(),
                now() + interval '14 days', ARRAY['k2v9TqzW1mYc7JxPdL5uHsN0bEgA8foR4iXwQ6tZ3aM']
         FROM generate_series(0, {GENERATIONS} - 1) generation, made ORDER BY generation, n;
         RESET session_replication_role"
    );
    connection.batch_execute(&sql).unwrap();
    connection.batch_execute("VACUUM (ANALYZE)").unwrap();
    connection.batch_execute("CHECKPOINT").unwrap();
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

fn number(connection: &mut PgConnection, expression: &str) -> i64 {
    let query = diesel::sql_query(format!("SELECT ({expression})::bigint AS value"));
    query.get_result::<Number>(connection).unwrap().value
}

fn sizes(figures: &mut Figures, side: &str, url: &str, sessions: i64) {
    let mut connection = PgConnection::establish(url).unwrap();
    for table in ["authflow.sessions", "authflow.refresh_tokens"] {
        let [rows, indexes] = ["pg_table_size", "pg_indexes_size"]
            .map(|size| number(&mut connection, &format!("{size}('{table}')")) / sessions);
        for (unit, bytes) in [("table bytes per session", rows), ("index bytes per session", indexes)] {
            figures.keep(table, side, 0, unit, bytes as f64);
        }
        println!("{table}, bytes for each of {sessions} sessions: {rows} in the table, {indexes} in indexes");
    }
}

impl World {
    fn new(url: &str, sessions: i64) -> Self {
        let mut connection = PgConnection::establish(url).unwrap();
        let server = ServerProcess::start("issuer", &[url]);
        let sessions = adopt(&mut connection, sessions);
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| Rounds { sessions: Vec::new(), next: 0 }).collect();
        for (number, session) in sessions.into_iter().enumerate() {
            clients[number % CLIENTS].sessions.push(session);
        }
        Self { server, connection, clients }
    }

    /// How many bytes the server has written to its log.
    fn written(&mut self) -> i64 {
        number(&mut self.connection, "pg_current_wal_insert_lsn() - '0/0'")
    }
}

/// Gives sessions from all over the table heads whose tokens are known here.
fn adopt(connection: &mut PgConnection, sessions: i64) -> Vec<Session> {
    #[derive(QueryableByName)]
    struct Id {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let every = (sessions / REFRESHED as i64).max(1);
    let spread = "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM authflow.sessions) s
                  WHERE n % $1 = 0 ORDER BY md5(n::text)";
    let ids: Vec<Id> = diesel::sql_query(spread).bind::<BigInt, _>(every).load(connection).unwrap();
    let ids: Vec<Uuid> = ids.into_iter().map(|row| row.id).collect();
    let keys = RefreshTokens::new();
    let head = |id: &Uuid| (1..GENERATIONS).fold(keys.first_of(*id), |token, _| keys.successor(&token));
    let heads: Vec<_> = ids.iter().map(head).collect();
    let digests: Vec<Vec<u8>> = heads.iter().map(|token| token.digest().to_vec()).collect();
    let update = "UPDATE authflow.refresh_tokens t SET digest = known.digest
                  FROM unnest($1, $2) known (id, digest) WHERE t.session_id = known.id AND t.generation = $3 - 1";
    let updated = diesel::sql_query(update)
        .bind::<Array<SqlUuid>, _>(&ids)
        .bind::<Array<Binary>, _>(digests)
        .bind::<diesel::sql_types::Integer, _>(GENERATIONS)
        .execute(connection)
        .unwrap();
    assert_eq!(updated, ids.len());
    connection.batch_execute("VACUUM (ANALYZE) authflow.refresh_tokens").unwrap();
    connection.batch_execute("CHECKPOINT").unwrap();
    heads.iter().map(|token| Session::known(&token.text())).collect()
}

impl Rounds {
    async fn refresh(&mut self, connection: &mut crate::client::Connection) {
        let turn = self.next % self.sessions.len();
        self.next += 1;
        self.sessions[turn].refresh_alone(connection).await;
    }
}
