//! The migrated database that every [`TestDatabase`](super::TestDatabase) is a copy of.

use std::any::Any;
use std::sync::OnceLock;
use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::{BoxableConnection, SimpleConnection};
use diesel::migration::MigrationSource;
use diesel::pg::{Pg, PgConnection};

use super::{execute, migrate, server};
use crate::store::migrations::MIGRATIONS;

/// Templates are made anew well before others may sweep them away.
const FRESH: Duration = Duration::from_hours(12);
/// The advisory lock of whoever makes a template: the ASCII letters `template`.
const LOCK: i64 = i64::from_be_bytes(*b"template");

static NAME: OnceLock<String> = OnceLock::new();

pub(super) fn name() -> &'static str {
    NAME.get_or_init(|| find_or_make(&mut server::connect(server::url())))
}

/// Threads wait for each other at `NAME`, processes at the lock, which ends with the connection.
fn find_or_make(connection: &mut PgConnection) -> String {
    let fingerprint = fingerprint();
    execute(connection, &format!("SELECT pg_advisory_lock({LOCK})"));
    let ending = format!("_{fingerprint:016x}");
    let usable = |name: &String| {
        name.starts_with("authflow_template_")
            && name.ends_with(&ending)
            && server::age(name).is_some_and(|age| age < FRESH)
    };
    let found = server::names(connection).into_iter().find(usable);
    found.unwrap_or_else(|| make(connection, server::new_template_name(fingerprint)))
}

/// It gets its name at the end, so that one cut short is a leftover like any other.
fn make(connection: &mut PgConnection, name: String) -> String {
    let draft = server::new_name();
    execute(connection, &format!("CREATE DATABASE {draft} TEMPLATE template0"));
    migrate(&mut server::connect(&server::url_of(&draft)));
    // A database cannot be copied while anybody is connected to it.
    execute(connection, &format!("ALTER DATABASE {draft} WITH ALLOW_CONNECTIONS false"));
    execute(connection, &format!("ALTER DATABASE {draft} RENAME TO {name}"));
    name
}

/// A hash of the SQL of all migrations, so that a template of other ones is never taken for one of these. Diesel does
/// not hand the SQL out; it is had by running the migrations on something that only listens.
fn fingerprint() -> u64 {
    let mut listener = Listener { hash: 0xcbf2_9ce4_8422_2325 };
    let mut migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS).unwrap_or_default();
    migrations.sort_by_key(|migration| migration.name().to_string());
    for migration in migrations {
        let _ = migration.run(&mut listener);
    }
    listener.hash
}

struct Listener {
    hash: u64,
}

impl SimpleConnection for Listener {
    /// FNV-1a, which is the same in every build.
    fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        self.hash =
            sql.bytes().fold(self.hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        Ok(())
    }
}

impl BoxableConnection<Pg> for Listener {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
