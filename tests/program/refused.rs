//! What stops the start, and what is said then.

use std::fs;
use std::net::TcpListener;

use actix_authflow::testing::TestDatabase;

use crate::process::{BIND, SECRET, command, directory, run, text};

/// A database that is never asked.
const NOWHERE: (&str, &str) = ("DATABASE_URL", "postgres://authflow:hunter2@127.0.0.1:1/app");

/// Starts the program with these variables and answers with what it complains about, in one line.
fn complaint(subcommand: &str, variables: &[(&str, &str)]) -> String {
    let directory = directory();
    let output = run(directory.path(), subcommand, &[&[("RUST_LOG", "error")], variables].concat());
    assert!(!output.status.success(), "{variables:?} started");
    assert_eq!(text(&output.stdout), "", "{variables:?}");
    let complaint = text(&output.stderr);
    assert!(complaint.starts_with("authflow: ") && complaint.lines().count() == 1, "{complaint}");
    assert!(!complaint.contains("hunter2") && !complaint.contains("panicked"), "{complaint}");
    complaint
}

#[test]
fn a_bad_value_is_named_with_its_variable_its_fault_and_an_example() {
    for (variable, value) in [
        ("AUTHFLOW_SECRET", "hunter2"),
        ("AUTHFLOW_SECRET", "hunter2-hunter2-hunter2-hunter2-hunter2"),
        ("AUTHFLOW_SECRET", "a-string-secret-at-least-256-bits-long"),
        ("AUTHFLOW_SECRET_PREVIOUS", "hunter2"),
        ("AUTHFLOW_BIND", "8080"),
        ("AUTHFLOW_BIND", "localhost:8080"),
        ("AUTHFLOW_ISSUER", "a\tb"),
        ("AUTHFLOW_AUDIENCE", "a\u{7f}"),
        ("AUTHFLOW_CLIENT_ID", "a\nb"),
        ("AUTHFLOW_REGISTRATION", "yes"),
        ("AUTHFLOW_ACCESS_TTL", "30"),
        ("AUTHFLOW_ACCESS_TTL", "1d1h"),
        ("AUTHFLOW_ACCESS_TTL", "25h"),
        ("AUTHFLOW_MOBILE_ACCESS_TTL", "-5m"),
        ("AUTHFLOW_REFRESH_TTL", "31d"),
        ("AUTHFLOW_SESSION_TTL", "1w"),
        ("AUTHFLOW_REFRESH_GRACE", "6m"),
        ("AUTHFLOW_REFRESH_REQUIRES_ACCESS_TOKEN", "maybe"),
        ("AUTHFLOW_SIGNING_ALG", "RS256"),
        ("AUTHFLOW_SIGNING_ALG", "none"),
        ("AUTHFLOW_SIGNING_KEY_FILE", "/nonexistent/key.pem"),
        ("AUTHFLOW_ALLOWED_ORIGINS", "app.example.com"),
        ("AUTHFLOW_ALLOWED_ORIGINS", "https://app.example.com/"),
        ("AUTHFLOW_ALLOWED_ORIGINS", "*"),
        ("AUTHFLOW_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("AUTHFLOW_DATABASE_POOL", "0"),
        ("AUTHFLOW_DATABASE_POOL", "many"),
        ("AUTHFLOW_PREPARED_STATEMENTS", "off"),
        ("AUTHFLOW_HASH_MEMORY", "1MiB"),
        ("AUTHFLOW_HASH_MEMORY", "256 MB"),
        ("AUTHFLOW_COOKIE_NAME", "a b"),
        ("AUTHFLOW_COOKIE_NAME", "__Host-x"),
        ("AUTHFLOW_COOKIE_INSECURE", "on"),
    ] {
        let complaint = complaint("serve", &[NOWHERE, SECRET, (variable, value)]);
        assert!(complaint.starts_with(&format!("authflow: {variable} ")), "{value}: {complaint}");
        assert!(complaint.contains(&format!("(for example: {variable}=")), "{value}: {complaint}");
    }
}

#[test]
fn a_database_without_a_secret_is_not_enough() {
    for subcommand in ["serve", "migrate"] {
        for secret in [&[][..], &[("AUTHFLOW_SECRET", "")]] {
            let complaint = complaint(subcommand, &[&[NOWHERE], secret].concat());
            assert!(complaint.starts_with("authflow: AUTHFLOW_SECRET is not set"), "{complaint}");
        }
    }
}

/// Told and not refused, because others may have variables that begin like ours.
#[test]
fn a_misspelt_variable_is_not_a_setting_that_silently_does_nothing() {
    let directory = directory();
    for name in ["AUTHFLOW_ACESS_TTL", "AUTHFLOW_", "AUTHFLOW_access_ttl", "AUTHFLOW_SECRETS"] {
        let output = run(directory.path(), "serve", &[NOWHERE, SECRET, (name, "hunter2")]);
        let log = text(&output.stderr);
        let warning = log.lines().find(|line| line.contains("no variable that this version knows"));
        assert!(warning.is_some_and(|line| line.contains(name)), "{name}: {log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn an_insecure_cookie_is_refused_off_loopback() {
    let complaint = complaint(
        "serve",
        &[NOWHERE, SECRET, ("AUTHFLOW_COOKIE_INSECURE", "1"), ("AUTHFLOW_BIND", "0.0.0.0:0")],
    );
    assert!(complaint.starts_with("authflow: AUTHFLOW_COOKIE_INSECURE "), "{complaint}");
}

#[test]
fn a_demo_is_refused_off_loopback() {
    let directory = directory();
    for bind in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let variables = [NOWHERE, SECRET, ("AUTHFLOW_BIND", bind)];
        let output = command(directory.path(), "serve", variables).arg("--demo").output().unwrap();
        assert!(!output.status.success(), "{bind} started");
        let complaint = text(&output.stderr);
        assert!(complaint.starts_with("authflow: --demo is only for loopback"), "{complaint}");
    }
}

#[test]
fn a_database_that_does_not_answer_is_told_without_its_password() {
    for subcommand in ["serve", "migrate"] {
        let complaint = complaint(subcommand, &[NOWHERE, SECRET]);
        assert!(complaint.contains("the database is not available"), "{complaint}");
    }
}

#[test]
fn a_taken_port_is_told_with_the_variable_that_chooses_another() {
    let database = TestDatabase::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let complaint = complaint("serve", &[("DATABASE_URL", database.url()), SECRET, ("AUTHFLOW_BIND", &bind)]);
    assert!(complaint.contains(&bind) && complaint.contains("AUTHFLOW_BIND="), "{complaint}");
}

#[test]
fn a_file_of_variables_is_read_and_gives_way_to_the_environment() {
    let directory = directory();
    fs::write(
        directory.path().join(".env"),
        "DATABASE_URL=postgres://127.0.0.1:1/app\nAUTHFLOW_SECRET=hunter2\n",
    )
    .unwrap();
    let output = run(directory.path(), "serve", &[]);
    assert!(text(&output.stderr).starts_with("authflow: AUTHFLOW_SECRET has 7 bytes"), "{output:?}");
    let output = run(directory.path(), "serve", &[SECRET]);
    assert!(text(&output.stderr).contains("the database is not available"), "{output:?}");

    fs::write(directory.path().join(".env"), "AUTHFLOW_SECRET=\"hunter2\n").unwrap();
    let output = run(directory.path(), "serve", &[]);
    assert!(!output.status.success() && text(&output.stderr).contains(".env"), "{output:?}");
    assert!(!text(&output.stderr).contains("hunter2"), "{output:?}");
}

#[test]
fn migrations_are_applied_once() {
    let (directory, database) = (directory(), TestDatabase::empty());
    let migrate = || run(directory.path(), "migrate", &[("DATABASE_URL", database.url()), SECRET]);
    let first = migrate();
    assert!(first.status.success(), "{first:?}");
    let count: u32 = text(&first.stdout).trim().strip_suffix(" migrations applied").unwrap().parse().unwrap();
    assert!(count >= 1);
    assert_eq!(text(&migrate().stdout), "0 migrations applied\n");
}

#[test]
fn what_is_no_command_is_explained() {
    let directory = directory();
    let output = run(directory.path(), "sing", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("authflow"), "{output:?}");
    assert!(!directory.path().join(".authflow").exists());
}
