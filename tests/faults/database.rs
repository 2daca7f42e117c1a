//! A look into the database, which may be away just now; and servers that may be killed.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use actix_authflow::local_postgres::LocalPostgres;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::directory;
use crate::support::PATIENCE;

/// A Postgres as it is shipped, that waits for the disk: what it acknowledged survives its death.
pub(crate) struct Durable {
    pub(crate) postgres: LocalPostgres,
    _directory: TempDir,
}

impl Durable {
    pub(crate) fn new() -> Durable {
        let directory = directory();
        let postgres = LocalPostgres::open(&directory.path().join("postgres")).unwrap();
        Durable { postgres, _directory: directory }
    }

    pub(crate) fn url(&self) -> String {
        self.postgres.url("postgres")
    }
}

/// The process that all others of this Postgres come from.
pub(crate) fn postmaster(postgres: &LocalPostgres) -> i32 {
    let file = postgres.directory().join("data/postmaster.pid");
    fs::read_to_string(file).unwrap().lines().next().unwrap().trim().parse().unwrap()
}

/// What it has started.
pub(crate) fn children(process: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    list.split_whitespace().map(|process| process.parse().unwrap()).collect()
}

/// Sends a signal to one process. It may have ended by itself, which is no fault of the test's.
pub(crate) fn signal(signal: Signal, process: i32) {
    let _ = kill_process(Pid::from_raw(process).unwrap(), signal);
}

/// The rows of chains.
pub(crate) struct Rows {
    url: String,
    connection: Option<PgConnection>,
}

/// What the database says of one session.
#[derive(Debug, QueryableByName)]
pub(crate) struct Chain {
    #[diesel(sql_type = Bool)]
    pub(crate) live: bool,
    #[diesel(sql_type = BigInt)]
    pub(crate) rows: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) newest: i64,
    #[diesel(sql_type = BigInt)]
    issued_at: i64,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

impl Chain {
    /// When the newest token was given, by the clock of the database, which is this machine's.
    pub(crate) fn issued_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(self.issued_at).unwrap())
    }

    /// Whether the session lives and has each generation up to this one.
    pub(crate) fn is_whole_up_to(&self, generation: i64) -> bool {
        self.live && self.newest == generation && self.rows == generation + 1
    }
}

impl Rows {
    pub(crate) fn at(url: &str) -> Rows {
        Rows { url: url.to_owned(), connection: None }
    }

    /// Lets the tokens of every session be so many seconds older, as far as the rule looks back.
    pub(crate) fn age(&mut self, seconds: u32) {
        self.execute(&format!(
            "UPDATE authflow.refresh_tokens t SET issued_at = issued_at - interval '{seconds} seconds'
             WHERE generation >= (SELECT max(generation) - 1 FROM authflow.refresh_tokens WHERE session_id = t.session_id)"
        ));
    }

    pub(crate) fn chain(&mut self, session: &str) -> Chain {
        let sql = format!(
            "SELECT s.revoked_at IS NULL AS live, count(*) AS rows, max(t.generation)::int8 AS newest,
                    (extract(epoch FROM max(t.issued_at)) * 1000000)::int8 AS issued_at
             FROM authflow.sessions s JOIN authflow.refresh_tokens t ON t.session_id = s.id
             WHERE s.id = '{session}' GROUP BY s.id"
        );
        let mut chains = self.persist(|connection| diesel::sql_query(&sql).load::<Chain>(connection));
        chains.pop().unwrap_or(Chain { live: false, rows: 0, newest: -1, issued_at: 0 })
    }

    pub(crate) fn number(&mut self, sql: &str) -> Option<i64> {
        let sql = format!("SELECT ({sql})::int8 AS value");
        self.connection().ok().and_then(|connection| {
            diesel::sql_query(sql).get_result::<Number>(connection).ok().map(|number| number.value)
        })
    }

    pub(crate) fn execute(&mut self, sql: &str) {
        self.persist(|connection| diesel::sql_query(sql).execute(connection));
    }

    /// Whether it worked at the first try.
    pub(crate) fn try_to(&mut self, sql: &str) -> bool {
        let done =
            self.connection().is_ok_and(|connection| diesel::sql_query(sql).execute(connection).is_ok());
        if !done {
            self.connection = None;
        }
        done
    }

    fn connection(&mut self) -> ConnectionResult<&mut PgConnection> {
        if self.connection.is_none() {
            self.connection = Some(PgConnection::establish(&self.url)?);
        }
        Ok(self.connection.as_mut().unwrap())
    }

    /// Tries until it works.
    fn persist<T>(&mut self, mut work: impl FnMut(&mut PgConnection) -> QueryResult<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let fault = match self.connection().map(&mut work) {
                Ok(Ok(done)) => return done,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            self.connection = None;
            assert!(Instant::now() < deadline, "the database does not come back: {fault}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
