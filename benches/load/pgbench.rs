//! `pgbench`, the load generator of Postgres: what the database carries without any server before it.

use std::fs;
use std::process::Command;

use actix_authflow::testing::internals::Refreshes;
use diesel::prelude::*;
use diesel::sql_types::Text;

/// A durable insertion of one row shaped like a generation, into a table with nothing but its primary key.
pub(crate) const BARE_TABLE: &str = "CREATE TABLE IF NOT EXISTS bare_rows (session_id uuid, generation integer, \
     digest bytea, nonce bytea, issued_at timestamptz, expires_at timestamptz, PRIMARY KEY (session_id, generation))";
const BARE: &str = "INSERT INTO bare_rows VALUES (md5(:run::text || '-' || :client_id::text)::uuid, :n::integer, \
     sha256(:n::text::bytea), decode(repeat('07', 16), 'hex'), now(), now() + interval '14 days');";

/// What each client of `pgbench` does over and over, with `n` counted up.
pub(crate) struct Script(String);

#[derive(QueryableByName)]
struct Prepared {
    #[diesel(sql_type = Text)]
    statement: String,
}

impl Script {
    pub(crate) fn bare_insertion() -> Self {
        Self(format!("{BARE}\n\\set n :n + 1\n"))
    }

    /// The statement of a rotation, as the library has prepared it, with expressions for its inputs.
    pub(crate) fn rotation(database_url: &str) -> Self {
        let mut refreshes = Refreshes::start(database_url);
        assert_eq!(refreshes.refresh(), 1);
        let mut statement = refreshes.connection().lend(|connection| {
            let prepared = diesel::sql_query(
                "SELECT statement FROM pg_prepared_statements \
                 WHERE statement LIKE '%INSERT INTO authflow.refresh_tokens%successor%'",
            );
            Ok(prepared.get_result::<Prepared>(connection)?.statement)
        });
        for number in (1..=10).rev() {
            let input = format!("${number} AS ");
            let (before, after) = statement.split_once(&input).unwrap();
            let name = after.split([',', ')']).next().unwrap();
            statement = format!("{before}{} AS {after}", expression(name));
        }
        assert!(!statement.contains('$'), "{statement}");
        Self(format!("{}\n\\set n :n + 1\n", statement.replace('\n', " ") + ";"))
    }

    /// Runs the script for so many seconds with so many clients, and answers with its transactions per second. `run` is
    /// told to the script; each needs another.
    pub(crate) fn run(&self, database_url: &str, run: usize, clients: usize, seconds: u64) -> f64 {
        let file = std::env::temp_dir().join(format!("authflow-bench-{}.sql", std::process::id()));
        fs::write(&file, &self.0).unwrap();
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
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("number of failed transactions: 0 "), "{text}");
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap();
        rate.split(' ').next().unwrap().parse().unwrap()
    }
}

/// The sessions that [`Script::rotation`] rotates: one for each client.
pub(crate) fn sessions(run: usize, clients: usize) -> String {
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
