//! The migrations: there and back, many at once, and beside those of a host application.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use actix_authflow::testing::{TestDatabase, migrate, revert_migrations};
use actix_authflow::{Auth, AuthConfig, Error, ServerSecret};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use tempfile::TempDir;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    name: String,
}

/// The first column, called `name`, of every row.
fn names(connection: &mut PgConnection, sql: &str) -> BTreeSet<String> {
    diesel::sql_query(sql).load::<Row>(connection).unwrap().into_iter().map(|row| row.name).collect()
}

fn tables(connection: &mut PgConnection) -> BTreeSet<String> {
    names(
        connection,
        "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables
         WHERE table_schema IN ('authflow', 'public')",
    )
}

#[test]
fn they_go_up_down_and_up_again() {
    let database = TestDatabase::empty();
    let mut connection = database.connect();

    let applied = migrate(&mut connection);
    let after_up = tables(&mut connection);
    assert!(applied > 0);
    assert!(after_up.contains("authflow.users"));
    assert_eq!(migrate(&mut connection), 0);

    assert_eq!(revert_migrations(&mut connection), applied);
    let left: BTreeSet<String> = ["authflow.__diesel_schema_migrations".to_owned()].into();
    assert_eq!(tables(&mut connection), left);
    assert_eq!(revert_migrations(&mut connection), 0);

    assert_eq!(migrate(&mut connection), applied);
    assert_eq!(tables(&mut connection), after_up);
}

#[test]
fn of_eight_nodes_that_start_together_one_migrates_and_the_others_wait() {
    for defaults in ["read committed", "serializable"] {
        let database = TestDatabase::empty();
        set_defaults(&database, defaults);
        let together = Barrier::new(8);

        let applied: Vec<usize> = thread::scope(|scope| {
            let node = || {
                let mut connection = database.connect();
                together.wait();
                migrate(&mut connection)
            };
            let nodes: Vec<_> = (0..8).map(|_| scope.spawn(node)).collect();
            nodes.into_iter().map(|node| node.join().unwrap()).collect()
        });

        assert_eq!(applied.iter().filter(|&&count| count > 0).count(), 1, "{defaults}: {applied:?}");
    }
}

/// What an administrator may have set for the whole database.
fn set_defaults(database: &TestDatabase, isolation: &str) {
    let name = database.url().rsplit('/').next().unwrap().split('?').next().unwrap();
    let sql = format!(
        "ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}';
         ALTER DATABASE {name} SET default_transaction_read_only = on;
         ALTER DATABASE {name} SET statement_timeout = '5s'"
    );
    database.connect().batch_execute(&sql).unwrap();
}

#[actix_web::test]
async fn a_configuration_that_cannot_be_used_migrates_nothing() {
    let database = TestDatabase::empty();
    let secret = ServerSecret::new("Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA").unwrap();
    let config = AuthConfig::new(database.url(), secret);

    let refused = Auth::migrate(&config.clone().database_pool(0)).await;
    assert!(matches!(refused, Err(Error::Config(_))), "{refused:?}");
    assert_eq!(tables(&mut database.connect()), BTreeSet::new());
    assert!(Auth::migrate(&config).await.unwrap() > 0);
}

/// With the rights on a schema that an administrator has made, and none on the database.
#[test]
fn an_owner_of_the_schema_alone_can_migrate() {
    let database = TestDatabase::empty();
    let mut connection = database.connect();
    let role = format!("schema_owner_{}", std::process::id());
    let sql = format!("CREATE ROLE {role}; CREATE SCHEMA authflow AUTHORIZATION {role}; SET ROLE {role};");
    connection.batch_execute(&sql).unwrap();
    let may_create = "SELECT has_database_privilege(current_database(), 'CREATE')::text AS name";
    assert_eq!(names(&mut connection, may_create), ["false".to_owned()].into());

    let applied = migrate(&mut connection);
    assert!(applied > 0);
    assert_eq!(revert_migrations(&mut connection), applied);
    assert_eq!(migrate(&mut connection), applied);

    connection.batch_execute(&format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}

#[test]
fn a_role_without_rights_starts_against_a_migrated_database() {
    let database = TestDatabase::new();
    let mut connection = database.connect();
    let sql = "
        BEGIN;
        CREATE ROLE authflow_tests_reader;
        GRANT USAGE ON SCHEMA authflow TO authflow_tests_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA authflow TO authflow_tests_reader;
        SET LOCAL ROLE authflow_tests_reader;";
    connection.batch_execute(sql).unwrap();

    assert_eq!(migrate(&mut connection), 0);

    connection.batch_execute("ROLLBACK").unwrap();
}

#[test]
fn the_migrations_of_the_host_run_revert_and_redo_beside_ours() {
    let folder = TempDir::new().unwrap();
    // The same version as one of ours, and a table of the same name: neither may meet the other.
    let version = fs::read_dir("migrations").unwrap().next().unwrap().unwrap().file_name();
    host_migration(folder.path(), version.to_str().unwrap(), "users");
    host_migration(folder.path(), "2030-01-01-000000_orders", "orders");
    let host = || FileBasedMigrations::from_path(folder.path()).unwrap();
    let database = TestDatabase::empty();
    let mut connection = database.connect();

    assert_eq!(connection.run_pending_migrations(host()).unwrap().len(), 2);
    let applied = migrate(&mut connection);
    assert!(applied > 0);
    let both = tables(&mut connection);
    assert!(both.contains("public.users") && both.contains("authflow.users"));

    connection.revert_last_migration(host()).unwrap();
    connection.run_next_migration(host()).unwrap();
    assert_eq!(connection.revert_all_migrations(host()).unwrap().len(), 2);
    assert_eq!(migrate(&mut connection), 0);
    assert_eq!(connection.run_pending_migrations(host()).unwrap().len(), 2);

    assert_eq!(revert_migrations(&mut connection), applied);
    assert!(!connection.has_pending_migration(host()).unwrap());
    assert_eq!(migrate(&mut connection), applied);
    assert_eq!(tables(&mut connection), both);
}

fn host_migration(folder: &Path, name: &str, table: &str) {
    let folder = folder.join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("up.sql"), format!("CREATE TABLE {table} (id int)")).unwrap();
    fs::write(folder.join("down.sql"), format!("DROP TABLE {table}")).unwrap();
}

#[test]
fn every_table_and_column_is_explained() {
    let database = TestDatabase::new();
    let unexplained = "
        SELECT relname || coalesce('.' || attname, '') AS name
        FROM pg_class LEFT JOIN LATERAL (
            SELECT NULL AS attname, 0 AS attnum
            UNION ALL SELECT attname::text, attnum FROM pg_attribute
            WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
        ) AS parts ON true
        WHERE relnamespace = 'authflow'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
            AND relname <> '__diesel_schema_migrations'
            AND coalesce(col_description(pg_class.oid, attnum), '') = ''
            AND (attnum > 0 OR coalesce(obj_description(pg_class.oid, 'pg_class'), '') = '')";

    assert_eq!(names(&mut database.connect(), unexplained), BTreeSet::new());
}
