//! `pgbench`, the load generator of Postgres: what the database carries without any server before it.

use std::fs;
use std::process::Command;

use actix_authflow::testing::internals::Refreshes;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::support::bare_rows;

const BARE: &str = "INSERT INTO bare_rows VALUES (md5(:run::text || '-' || :client_id::text)::uuid, :n::integer, \
     sha256(:n::text::bytea), decode(repeat('07', 16), 'hex'), now(), now() + interval '14 days');";

/// What each client of `pgbench` does over and over, with `n` counted up: an insertion of one row.
pub(crate) struct Script {
    text: String,
    table: &'static str,
    /// What there has to be before a run with so many clients.
    preparation: fn(usize, usize) -> String,
}

#[derive(QueryableByName)]
struct Prepared {
    #[diesel(sql_type = Text)]
    statement: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

impl Script {
    pub(crate) fn bare_insertion() -> Self {
        let text = format!("{BARE}\n\\set n :n + 1\n");
        Self { text, table: "bare_rows", preparation: |_, _| bare_rows::CREATE_TABLE.to_owned() }
    }

    /// The statement of a rotation, as the library has prepared it, with expressions for its inputs.
    pub(crate) fn rotation(database_url: &str) -> Self {
        let mut refreshes = Refreshes::start(database_url);
        assert_eq!(refreshes.refresh(), 1);
        let statement = refreshes.connection().lend(|connection| {
            let prepared = diesel::sql_query(
                "SELECT statement FROM pg_prepared_statements \
                 WHERE statement LIKE '%INSERT INTO authflow.refresh_tokens%successor%'",
            );
            Ok(prepared.get_result::<Prepared>(connection)?.statement)
        });
        let statement = with_expressions(&statement.replace('\n', " "));
        let text = format!("{statement};\n\\set n :n + 1\n");
        Self { text, table: "authflow.refresh_tokens", preparation: sessions }
    }

    /// Runs the script for so many seconds with so many clients, and answers with its transactions per second, each of
    /// which must have inserted its row. `run` is told to the script; each needs another.
    pub(crate) fn run(&self, database_url: &str, run: usize, clients: usize, seconds: u64) -> f64 {
        let mut connection = PgConnection::establish(database_url).unwrap();
        connection.batch_execute(&(self.preparation)(run, clients)).unwrap();
        let before = self.rows(&mut connection, run, clients);
        let report = self.report(database_url, run, clients, seconds);
        let inserted = self.rows(&mut connection, run, clients) - before;
        let figure = |label: &str| {
            let line = report.lines().find_map(|line| line.strip_prefix(label));
            let figure = line.and_then(|line| line.split(' ').next());
            figure.unwrap_or_else(|| panic!("pgbench does not say \"{label}\":\n{report}"))
        };
        assert_eq!(figure("number of failed transactions: "), "0", "{report}");
        assert_eq!(figure("number of transactions actually processed: "), inserted.to_string(), "{report}");
        figure("tps = ").parse().unwrap()
    }

    /// How many rows the clients of a run have.
    fn rows(&self, connection: &mut PgConnection, run: usize, clients: usize) -> i64 {
        let count = format!(
            "SELECT count(*) AS rows FROM {} WHERE session_id IN
                 (SELECT md5('{run}-' || client)::uuid FROM generate_series(0, {clients} - 1) client)",
            self.table
        );
        diesel::sql_query(count).get_result::<Count>(connection).unwrap().rows
    }

    fn report(&self, database_url: &str, run: usize, clients: usize, seconds: u64) -> String {
        let file = std::env::temp_dir().join(format!("authflow-bench-{}.sql", std::process::id()));
        fs::write(&file, &self.text).unwrap();
        let threads = clients.min(2);
        let output = Command::new("pgbench")
            .args(["--no-vacuum", "--protocol=prepared", "--define=n=0"])
            .arg(format!("--define=run={run}"))
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={threads}"))
            .arg(format!("--time={seconds}"))
            .arg(format!("--file={}", file.display()))
            .arg(database_url)
            .output()
            .expect("pgbench, which belongs to Postgres, is not in the PATH");
        fs::remove_file(&file).unwrap();
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
        report
    }
}

/// The sessions that [`Script::rotation`] rotates: one for each client.
fn sessions(run: usize, clients: usize) -> String {
    format!(
        "INSERT INTO authflow.sessions (id, user_id, transport, persistent, authenticated_at, created_at, expires_at)
         SELECT md5('{run}-' || client)::uuid, (SELECT min(id::text)::uuid FROM authflow.users), 'cookie', true, now(),
                now(), now() + interval '30 days'
         FROM generate_series(0, {clients} - 1) client;
         INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at)
         SELECT md5('{run}-' || client)::uuid, 0, sha256('0'), decode(repeat('00', 16), 'hex'), now(),
                now() + interval '14 days'
         FROM generate_series(0, {clients} - 1) client"
    )
}

/// The statement without parameters. It has each once, as `$1 AS name`.
fn with_expressions(statement: &str) -> String {
    let mut pieces = statement.split('$');
    let beginning = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(beginning, |text, piece| {
        let named = piece.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(" AS ");
        let Some(named) = named else { panic!("not of the form `$1 AS name`: ${piece}\nin: {statement}") };
        let end = named.find([',', ')']).unwrap_or(named.len());
        format!("{text}{} AS {named}", expression(&named[..end]))
    })
}

/// The value of an input of the statement, for a client's own session and its generation `n`.
fn expression(input: &str) -> &'static str {
    match input {
        "session_ids" => "ARRAY[md5(:run::text || '-' || :client_id::text)::uuid]",
        "user_ids" => "ARRAY[NULL::uuid]",
        "transports" => "ARRAY['cookie']",
        "generations" => "ARRAY[:n::integer]",
        "digests" => "ARRAY[sha256(:n::text::bytea)]",
        "successors" => "ARRAY[sha256((:n::integer + 1)::text::bytea)]",
        "nonces" => "ARRAY[decode(repeat('07', 16), 'hex')]",
        "grace" => "0::bigint",
        "refresh_life" => "1209600000000::bigint",
        "signed_by" => "'k2v9TqzW1mYc7JxPdL5uHsN0bEgA8foR4iXwQ6tZ3aM'",
        other => panic!("the statement has an input that this benchmark does not know: {other}"),
    }
}
