//! A Postgres for tests: a migrated database for each, in milliseconds.
//!
//! For the tests of applications that mount this crate, and for its own. Behind the feature `testing`, which belongs
//! into `[dev-dependencies]` only. Everything here blocks and panics with an explanation, as suits a test.
//!
//! ```no_run
//! use actix_authflow::testing::TestDatabase;
//!
//! let database = TestDatabase::new();
//! let url = database.url(); // for the configuration of the application under test
//! # let _ = url;
//! ```
//!
//! The databases lie in a private Postgres of the test process, made from the programs installed on this machine and
//! gone with the process. With `TEST_DATABASE_URL` they are made on that server instead; its user must be allowed to
//! create databases. That is also quicker where every test is a process of its own.
#![allow(clippy::panic, reason = "a test that cannot have its database has nothing better to do")]

#[doc(hidden)]
pub mod internals;
#[doc(hidden)]
pub mod rule;
mod server;
mod template;

use std::error::Error;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;

use crate::local_postgres::LocalPostgres;
use crate::store::migrations;

/// A database of one's own, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
}

impl TestDatabase {
    /// A database with the tables of this crate, all empty.
    ///
    /// # Panics
    ///
    /// Where there is no Postgres, or it refuses.
    #[must_use = "the database is dropped with this value"]
    #[allow(clippy::new_without_default, reason = "a default value that starts a server would be a surprise")]
    pub fn new() -> TestDatabase {
        TestDatabase::create(&format!("TEMPLATE {}", template::name()))
    }

    /// A database without any table.
    ///
    /// # Panics
    ///
    /// Where there is no Postgres, or it refuses.
    #[must_use = "the database is dropped with this value"]
    pub fn empty() -> TestDatabase {
        TestDatabase::create("TEMPLATE template0")
    }

    /// The URL to connect to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A new connection.
    ///
    /// # Panics
    ///
    /// Where the database does not answer.
    pub fn connect(&self) -> PgConnection {
        server::connect(&self.url)
    }

    fn create(options: &str) -> TestDatabase {
        let name = server::new_name();
        execute(&mut server::connect(server::url()), &format!("CREATE DATABASE {name} {options}"));
        let url = server::url_of(&name);
        TestDatabase { name, url }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A panic here would hide the test's own. What stays behind is swept away later.
        server::drop_database(&self.name);
    }
}

/// A Postgres of one's own with one migrated database, to be stopped and killed in the middle of a test.
///
/// It takes half a second to make; tests that leave the server alone take a [`TestDatabase`].
#[derive(Debug)]
pub struct TestCluster {
    postgres: LocalPostgres,
    url: String,
}

impl TestCluster {
    /// A running server.
    ///
    /// # Panics
    ///
    /// Where this machine has no Postgres programs, or they fail. `TEST_DATABASE_URL` is of no use here.
    #[must_use = "the server is stopped with this value"]
    #[allow(clippy::new_without_default, reason = "a default value that starts a server would be a surprise")]
    pub fn new() -> TestCluster {
        let postgres = or_panic("no Postgres for this test", LocalPostgres::temporary());
        let url = postgres.url("postgres");
        migrate(&mut server::connect(&url));
        TestCluster { postgres, url }
    }

    /// The URL of the migrated database. It stays the same while the server stops and starts.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A new connection.
    ///
    /// # Panics
    ///
    /// Where the server does not run.
    pub fn connect(&self) -> PgConnection {
        server::connect(&self.url)
    }

    /// Stops the server in good order: connections are cut.
    ///
    /// # Panics
    ///
    /// Where that fails.
    pub fn stop(&mut self) {
        or_panic("stopping Postgres", self.postgres.stop());
    }

    /// Kills the server with `SIGKILL`.
    ///
    /// # Panics
    ///
    /// Where that fails.
    pub fn kill(&mut self) {
        or_panic("killing Postgres", self.postgres.kill());
    }

    /// Starts the server after [`stop`](Self::stop) or [`kill`](Self::kill), with what was committed before.
    ///
    /// # Panics
    ///
    /// Where that fails.
    pub fn start(&mut self) {
        or_panic("starting Postgres", self.postgres.start());
    }
}

/// Applies the migrations of this crate, as the application does at its start, and says how many were pending.
///
/// # Panics
///
/// Where a migration fails.
pub fn migrate(connection: &mut PgConnection) -> usize {
    or_panic("migrating", migrations::run(connection))
}

/// Reverts the migrations of this crate, and says how many were applied. All its rows are lost.
///
/// # Panics
///
/// Where a migration fails.
pub fn revert_migrations(connection: &mut PgConnection) -> usize {
    or_panic("reverting the migrations", migrations::revert_all(connection))
}

fn execute(connection: &mut PgConnection, sql: &str) {
    or_panic(sql, connection.batch_execute(sql));
}

#[track_caller]
fn or_panic<T, E: Error>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}
