//! The harness that hosts use in their own tests.
#![cfg(unix)]

use std::process::Command;

use actix_authflow::local_postgres::LocalPostgres;
use actix_authflow::testing::{TestCluster, TestDatabase, migrate};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    datname: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(connection: &mut PgConnection, table: &str) -> i64 {
    let query = diesel::sql_query(format!("SELECT count(*) FROM {table}"));
    query.get_result::<Count>(connection).unwrap().count
}

#[test]
fn each_database_is_migrated_and_ones_own() {
    let (one, other) = (TestDatabase::new(), TestDatabase::new());
    one.connect().batch_execute("CREATE TABLE mine (id int)").unwrap();

    assert_eq!(migrate(&mut other.connect()), 0);
    assert_eq!(count(&mut other.connect(), "authflow.users"), 0);
    other.connect().batch_execute("SELECT FROM mine").unwrap_err();
}

#[test]
fn a_database_goes_with_its_value_whoever_is_connected() {
    let database = TestDatabase::new();
    let url = database.url().to_owned();
    let _connected = database.connect();

    drop(database);

    assert!(PgConnection::establish(&url).is_err());
}

#[test]
fn what_was_committed_outlives_the_fall_of_a_cluster() {
    let mut cluster = TestCluster::new();
    let insert = "INSERT INTO authflow.users (id) VALUES (gen_random_uuid())";

    cluster.connect().batch_execute(insert).unwrap();
    cluster.kill();
    assert!(PgConnection::establish(cluster.url()).is_err());
    cluster.start();
    cluster.connect().batch_execute(insert).unwrap();
    cluster.stop();
    cluster.start();

    assert_eq!(count(&mut cluster.connect(), "authflow.users"), 2);
}

#[test]
fn on_a_given_server_processes_share_a_template_and_leave_nothing_else() {
    let postgres = LocalPostgres::temporary().unwrap();
    let url = postgres.url("postgres");
    let mut connection = PgConnection::establish(&url).unwrap();
    // What a run that died long ago left, and somebody else's.
    connection.batch_execute("CREATE DATABASE authflow_test_1_2_3").unwrap();
    connection.batch_execute("CREATE DATABASE authflow_testimonials").unwrap();

    let test = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "each_database_is_migrated_and_ones_own"]).env("TEST_DATABASE_URL", &url);
        command.spawn().unwrap()
    };
    for mut process in [test(), test(), test()] {
        assert!(process.wait().unwrap().success());
    }

    let query =
        diesel::sql_query("SELECT datname::text FROM pg_database WHERE datname LIKE 'authflow%' ORDER BY 1");
    let names: Vec<String> =
        query.load::<Name>(&mut connection).unwrap().into_iter().map(|row| row.datname).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[0].starts_with("authflow_template_"), "{names:?}");
    assert_eq!(names[1], "authflow_testimonials");
}
