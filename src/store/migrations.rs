//! The migrations, embedded in the crate, and the one way they are applied.
//!
//! Diesel's own runner takes no lock and keeps its table wherever `search_path` points, which would be the host
//! application's. Here both are settled for the length of one transaction: nodes that start together wait for each
//! other, and Diesel's table lies in schema `authflow`, so the host's own migrations can run, revert and redo.

use std::collections::HashSet;
use std::error::Error;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

/// Everything below `migrations/`, as it was when the crate was built.
pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The advisory lock that migrating nodes take: the ASCII letters `authflow`, so that whoever meets the number in
/// `pg_locks` can tell whose it is. Advisory locks are counted per database.
const LOCK: i64 = i64::from_be_bytes(*b"authflow");

/// Why the migrations could not be applied, reverted or compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MigrationError {
    /// The database refused, or was not there.
    #[error("the database failed while migrating: {0}")]
    Database(#[from] diesel::result::Error),
    /// One migration failed; nothing of this run was kept.
    #[error("a migration failed and the run was rolled back: {0}")]
    Migration(Box<dyn Error + Send + Sync>),
}

/// Applies what is pending, all or nothing, and says how many migrations that were.
///
/// Where nothing is pending nothing is locked or written, so a role without any right to create things may start
/// against a database that was migrated by another.
pub(crate) fn run(conn: &mut PgConnection) -> Result<usize, MigrationError> {
    if !pending(conn)? {
        return Ok(0);
    }
    exclusively(conn, |conn| {
        // A right to create schemas is asked for even by IF NOT EXISTS; a schema made by an administrator is enough.
        if !exists(conn, "to_regnamespace('authflow')")? {
            conn.batch_execute("CREATE SCHEMA authflow")?;
        }
        conn.batch_execute("SET LOCAL search_path TO authflow")?;
        Ok(conn.run_pending_migrations(MIGRATIONS).map_err(MigrationError::Migration)?.len())
    })
}

/// Reverts every applied migration, newest first, and says how many that were. All rows are lost.
///
/// The schema stays, because Diesel's table in it is what remembers that nothing is applied.
#[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "only tests go back"))]
pub(crate) fn revert_all(conn: &mut PgConnection) -> Result<usize, MigrationError> {
    exclusively(conn, |conn| {
        if !exists(conn, TABLE)? {
            return Ok(0);
        }
        conn.batch_execute("SET LOCAL search_path TO authflow")?;
        Ok(conn.revert_all_migrations(MIGRATIONS).map_err(MigrationError::Migration)?.len())
    })
}

/// Whether a migration of this build is not applied yet. Reads only.
///
/// Migrations that this build does not know are no reason to refuse: while a deployment rolls, older nodes meet the
/// tables of newer ones.
pub(crate) fn pending(conn: &mut PgConnection) -> Result<bool, MigrationError> {
    let known = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(MigrationError::Migration)?;
    let applied = applied(conn)?;
    Ok(known.iter().any(|migration| !applied.contains(&migration.name().version().to_string())))
}

/// Diesel's own record, with the schema spelled out because the caller's `search_path` is not ours to rely on.
const TABLE: &str = "to_regclass('authflow.__diesel_schema_migrations')";

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    found: bool,
}

/// The versions that are applied. Diesel's `applied_migrations` would try to create its table first.
fn applied(conn: &mut PgConnection) -> QueryResult<HashSet<String>> {
    if !exists(conn, TABLE)? {
        return Ok(HashSet::new());
    }
    let rows: Vec<Applied> =
        diesel::sql_query("SELECT version FROM authflow.__diesel_schema_migrations").load(conn)?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

/// Whether a `to_reg...` expression finds its object.
fn exists(conn: &mut PgConnection, expression: &'static str) -> QueryResult<bool> {
    let query = diesel::sql_query(format!("SELECT {expression} IS NOT NULL AS found"));
    Ok(query.get_result::<Found>(conn)?.found)
}

/// Runs `work` in one transaction that holds the lock.
///
/// READ COMMITTED whatever the database's default is: under a stricter level the snapshot would be taken before the
/// wait for the lock, and the one who waited would not see what it waited for. The wait may be longer than a
/// `statement_timeout` that was chosen for the application's queries; a `lock_timeout` is left to do its work.
fn exclusively<T>(
    conn: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> Result<T, MigrationError>,
) -> Result<T, MigrationError> {
    conn.build_transaction().read_committed().read_write().run(|conn| {
        conn.batch_execute(&format!(
            "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})"
        ))?;
        work(conn)
    })
}
