//! A look behind the application: its rows, and its past.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

use super::{TestApp, eventually};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Integer)]
    value: i32,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Nullable<Text>)]
    value: Option<String>,
}

impl TestApp {
    /// A connection that does not go through the application.
    pub(crate) fn db_connect(&self) -> PgConnection {
        PgConnection::establish(self.database_url()).unwrap()
    }

    /// Does something with a connection that is kept, unless the server may go away.
    fn db<T>(&self, work: impl FnOnce(&mut PgConnection) -> T) -> T {
        if self.owns_its_database() {
            work(self.connection.lock().unwrap().get_or_insert_with(|| self.db_connect()))
        } else {
            work(&mut self.db_connect())
        }
    }

    /// Runs any SQL, and answers how many rows it touched.
    pub(crate) fn db_execute(&self, sql: &str) -> usize {
        self.db(|connection| diesel::sql_query(sql).execute(connection)).unwrap()
    }

    /// The one number that a query answers with, in a column called `value`.
    pub(crate) fn db_count(&self, sql: &str) -> i64 {
        self.db(|connection| diesel::sql_query(sql).get_result::<Count>(connection)).unwrap().value
    }

    /// The texts that a query answers with, in a column called `value`.
    pub(crate) fn db_texts(&self, sql: &str) -> Vec<Option<String>> {
        let rows = self.db(|connection| diesel::sql_query(sql).load::<Word>(connection)).unwrap();
        rows.into_iter().map(|row| row.value).collect()
    }

    /// The generations of a session's chain that are in the database, oldest first.
    pub(crate) fn db_generations(&self, session: &str) -> Vec<i32> {
        let query = diesel::sql_query(format!(
            "SELECT generation AS value FROM authflow.refresh_tokens WHERE session_id = '{session}' ORDER BY 1"
        ));
        let rows = self.db(|connection| query.load::<Number>(connection)).unwrap();
        rows.into_iter().map(|row| row.value).collect()
    }

    /// Why a session was ended; `None` for one that was not.
    pub(crate) fn db_session_reason(&self, session: &str) -> Option<String> {
        let rows = self.db_texts(&format!(
            "SELECT revoked_reason AS value FROM authflow.sessions WHERE id = '{session}'"
        ));
        assert_eq!(rows.len(), 1, "there is no session {session}");
        rows.into_iter().flatten().next()
    }

    /// The sessions that have not been ended.
    pub(crate) fn db_live_sessions(&self) -> Vec<String> {
        let sql = "SELECT id::text AS value FROM authflow.sessions WHERE revoked_at IS NULL ORDER BY created_at, id";
        self.db_texts(sql).into_iter().flatten().collect()
    }

    /// Lets so many seconds pass for a session: every time of it and of its chain moves into the past, both the moments at
    /// which things were done and those at which they end.
    pub(crate) fn db_age_session(&self, session: &str, seconds: i64) {
        let span = format!("interval '{seconds} seconds'");
        let aged = self.db_execute(&format!(
            "UPDATE authflow.sessions SET authenticated_at = authenticated_at - {span},
                 created_at = created_at - {span}, expires_at = expires_at - {span}, revoked_at = revoked_at - {span}
             WHERE id = '{session}'"
        ));
        assert_eq!(aged, 1, "there is no session {session}");
        self.db_execute(&format!(
            "UPDATE authflow.refresh_tokens SET issued_at = issued_at - {span}, expires_at = expires_at - {span}
             WHERE session_id = '{session}'"
        ));
    }

    /// Lets so many seconds pass for every count of attempts.
    pub(crate) fn db_age_attempts(&self, seconds: u64) {
        let span = format!("interval '{seconds} seconds'");
        self.db_execute(&format!(
            "UPDATE authflow.attempts SET open_at = open_at - {span}, forgotten_at = forgotten_at - {span}"
        ));
    }

    /// Adds failures to a count that is a bucket, as if they had just happened.
    pub(crate) fn db_add_attempts(&self, kind: &str, failures: u32, seconds_each: u32) {
        let span = format!("interval '{} seconds'", failures * seconds_each);
        let added = self.db_execute(&format!(
            "UPDATE authflow.attempts SET failures = failures + {failures}, open_at = open_at + {span},
                 forgotten_at = forgotten_at + {span}
             WHERE kind = '{kind}'"
        ));
        assert_eq!(added, 1, "there is not one count of this kind: {kind}");
    }

    /// How many failures the one count of a kind has; 0 if there is none.
    pub(crate) fn db_attempts(&self, kind: &str) -> i64 {
        self.db_count(&format!(
            "SELECT coalesce(sum(failures), 0) AS value FROM authflow.attempts WHERE kind = '{kind}'"
        ))
    }

    /// Asserts that the database is as it was at the time of this snapshot.
    #[track_caller]
    pub(crate) fn db_unchanged_since(&self, before: &[String]) {
        let now = self.db_snapshot();
        let gone: Vec<_> = before.iter().filter(|row| !now.contains(row)).collect();
        let new: Vec<_> = now.iter().filter(|row| !before.contains(row)).collect();
        assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}");
    }

    /// Every row of every table, as text: to prove that nothing has changed. Without the counts of attempts, which change with
    /// every attempt.
    pub(crate) fn db_snapshot(&self) -> Vec<String> {
        let tables = self.db_texts(
            "SELECT table_name::text AS value FROM information_schema.tables WHERE table_schema = 'authflow'
                 AND table_name <> 'attempts' ORDER BY 1",
        );
        let rows_of = |table: String| {
            let sql = format!("SELECT '{table} ' || t::text AS value FROM authflow.{table} t ORDER BY 1");
            self.db_texts(&sql)
        };
        tables.into_iter().flatten().flat_map(rows_of).flatten().collect()
    }

    /// How many deadlocks the database has counted, of at least so many transactions. The sum is there when the backends
    /// have ended, so every other node has to be gone.
    pub(crate) async fn db_deadlocks(self, transactions: i64) -> i64 {
        let app = self.restart().await;
        let counter = |name: &str| {
            app.db_count(&format!(
                "SELECT {name} AS value FROM pg_stat_database WHERE datname = current_database()"
            ))
        };
        eventually("the counters come", async || counter("xact_commit") > transactions).await;
        counter("deadlocks")
    }

    /// How many statements of this database wait for a lock at this moment.
    pub(crate) fn db_waiting_for_locks(&self) -> i64 {
        self.db_count(
            "SELECT count(*) AS value FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
    }
}
