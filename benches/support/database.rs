//! A database that waits for the disk, as the one in production does.

use std::fs;
use std::path::{Path, PathBuf};

use actix_authflow::local_postgres::LocalPostgres;
use actix_authflow::testing;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

/// The settings that decide what a commit costs.
const SETTINGS: [&str; 5] =
    ["server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"];

/// What a service in use has: to a nearly empty table Postgres goes by other plans.
const POPULATION: &str = "
    INSERT INTO authflow.users (id, email, email_canonical)
    SELECT gen_random_uuid(), address, address
    FROM (SELECT n || '@example.com' FROM generate_series(1, 2000) n) a (address);
    INSERT INTO authflow.sessions (id, user_id, transport, persistent, authenticated_at, created_at, expires_at)
    SELECT gen_random_uuid(), u.id, 'cookie', true, now(), now(), now() + interval '30 days'
    FROM authflow.users u, generate_series(1, 2);
    INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at)
    SELECT s.id, g, sha256(s.id::text::bytea), decode(repeat('00', 16), 'hex'), now(), now() + interval '14 days'
    FROM authflow.sessions s, generate_series(0, 4) g";

/// A migrated database with some thousand sessions, in a cluster of its own with the settings that Postgres comes with.
/// Gone with this value. No other server is ever put under load, whatever `TEST_DATABASE_URL` says.
pub(crate) struct Database {
    postgres: LocalPostgres,
    directory: PathBuf,
    url: String,
}

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

impl Database {
    pub(crate) fn open() -> Self {
        let database = Self::empty();
        let mut connection = database.connect();
        testing::migrate(&mut connection);
        connection.batch_execute(POPULATION).unwrap();
        connection.batch_execute("VACUUM (ANALYZE)").unwrap();
        database
    }

    /// On the disk that the build is on: the directory for temporary files may lie in memory. Always in the same place,
    /// so that what a run has left that was cut short goes at the next.
    fn empty() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
        if directory.exists() {
            // Nobody else has it then, or else this is refused.
            drop(Self::in_directory(&directory));
        }
        Self::in_directory(&directory)
    }

    fn in_directory(directory: &Path) -> Self {
        let postgres = LocalPostgres::open(directory).unwrap_or_else(|error| panic!("{error}"));
        Self { url: postgres.url("postgres"), postgres, directory: directory.to_owned() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A new database without tables in the same cluster.
    pub(crate) fn another(&self, name: &str) -> String {
        self.connect().batch_execute(&format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).unwrap();
        self.url_of(name)
    }

    /// The URL of such a database.
    pub(crate) fn url_of(&self, name: &str) -> String {
        self.postgres.url(name)
    }

    pub(crate) fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap()
    }

    /// Some of the users in it.
    pub(crate) fn users(&self, number: i64) -> Vec<Uuid> {
        #[derive(QueryableByName)]
        struct User {
            #[diesel(sql_type = diesel::sql_types::Uuid)]
            id: Uuid,
        }
        let query = diesel::sql_query("SELECT id FROM authflow.users ORDER BY id LIMIT $1");
        let users: Vec<User> = query.bind::<BigInt, _>(number).load(&mut self.connect()).unwrap();
        users.into_iter().map(|user| user.id).collect()
    }

    /// Connections made from now on have their commits confirmed before they are on the disk, so that what the
    /// processor does is seen.
    pub(crate) fn stop_waiting_for_the_disk(&self) {
        let alter = "DO $$ BEGIN \
                       EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); \
                     END $$";
        self.connect().batch_execute(alter).unwrap();
    }

    /// How the server is set up, in one line.
    pub(crate) fn settings(&self) -> String {
        SETTINGS.map(|name| format!("{name} {}", self.setting(name))).join(", ")
    }

    pub(crate) fn setting(&self, name: &str) -> String {
        let query = diesel::sql_query("SELECT current_setting($1) AS value").bind::<Text, _>(name);
        query.get_result::<Setting>(&mut self.connect()).unwrap().value
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.postgres.stop().unwrap();
        // Elsewhere than asked for, if the server's user does not get to where the build is.
        fs::remove_dir_all(self.postgres.directory()).unwrap();
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory).unwrap();
        }
    }
}
