//! The server that the databases of this process lie in, and the names on it.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::BuildHasher;
use std::process;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::or_panic;
use crate::local_postgres::LocalPostgres;

/// Databases older than this are what dead test runs left on a server that others gave us.
const ABANDONED: Duration = Duration::from_hours(24);

struct Server {
    url: String,
    /// Never dropped, as it is static; it ends because it watches its owner.
    _private: Option<LocalPostgres>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// A database on the server that is always there, from which others are created and dropped.
pub(super) fn url() -> &'static str {
    let server = SERVER.get_or_init(|| {
        if let Some(url) = env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty()) {
            sweep(&mut connect(&url));
            return Server { url, _private: None };
        }
        let what = "no Postgres for the tests (TEST_DATABASE_URL may name a server instead)";
        let postgres = or_panic(what, LocalPostgres::temporary());
        Server { url: postgres.url("postgres"), _private: Some(postgres) }
    });
    &server.url
}

/// The URL of another database on the same server.
pub(super) fn url_of(database: &str) -> String {
    with_database(url(), database)
}

#[track_caller]
pub(super) fn connect(url: &str) -> PgConnection {
    // The URL may hold a password and is not part of the message.
    or_panic("connecting to the test database", PgConnection::establish(url))
}

/// A name that says when it was given, for [`sweep`].
pub(super) fn new_name() -> String {
    let random = RandomState::new().hash_one(process::id());
    format!("authflow_test_{}_{}_{random:016x}", now().as_secs(), process::id())
}

pub(super) fn new_template_name(fingerprint: u64) -> String {
    format!("authflow_template_{}_{fingerprint:016x}", now().as_secs())
}

/// Drops a database, with whoever is still connected, if that is possible.
pub(super) fn drop_database(name: &str) {
    if let Ok(mut connection) = PgConnection::establish(url()) {
        let _ = connection.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    }
}

#[derive(QueryableByName)]
struct Database {
    #[diesel(sql_type = diesel::sql_types::Text)]
    datname: String,
}

/// The names of all databases of ours on the server.
pub(super) fn names(connection: &mut PgConnection) -> Vec<String> {
    let query =
        diesel::sql_query(r"SELECT datname::text FROM pg_database WHERE datname LIKE 'authflow\_te%'");
    or_panic("listing databases", query.load::<Database>(connection))
        .into_iter()
        .map(|row| row.datname)
        .collect()
}

/// How long ago a name was given; `None` for names that are not ours.
pub(super) fn age(name: &str) -> Option<Duration> {
    let rest = name.strip_prefix("authflow_test_").or_else(|| name.strip_prefix("authflow_template_"))?;
    let given = rest.split('_').next()?.parse().ok()?;
    Some(now().saturating_sub(Duration::from_secs(given)))
}

fn sweep(connection: &mut PgConnection) {
    for name in names(connection) {
        if age(&name).is_some_and(|age| age > ABANDONED) {
            // Another process may be sweeping too.
            let _ = connection.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// The same server and settings with another database, in either form that libpq takes.
fn with_database(url: &str, database: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // `key=value` pairs, of which the last of a key counts.
        return format!("{url} dbname={database}");
    };
    let (address, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = address.split('/').next().unwrap_or_default();
    // As a parameter, a name would count more than the one in the path.
    let kept: Vec<&str> = parameters.split('&').filter(|pair| !pair.starts_with("dbname=")).collect();
    let url = format!("{scheme}://{authority}/{database}?{}", kept.join("&"));
    url.trim_end_matches('?').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_replaced_in_urls_and_pairs() {
        let cases = [
            ("postgres://u:p@h:1/app", "postgres://u:p@h:1/new"),
            ("postgres://h", "postgres://h/new"),
            ("postgres://h?sslmode=require", "postgres://h/new?sslmode=require"),
            ("postgresql:///app?host=/tmp&dbname=app", "postgresql:///new?host=/tmp"),
            ("host=/tmp dbname=app", "host=/tmp dbname=app dbname=new"),
        ];
        for (given, expected) in cases {
            assert_eq!(with_database(given, "new"), expected);
        }
    }

    #[test]
    fn only_names_of_ours_have_an_age() {
        assert!(age(&new_name()).is_some_and(|age| age < ABANDONED));
        assert!(age(&new_template_name(7)).is_some_and(|age| age < ABANDONED));
        assert!(age("authflow_test_1_2_3").is_some_and(|age| age > ABANDONED));
        assert_eq!(age("authflow_testimonials"), None);
        assert_eq!(age("app"), None);
    }
}
