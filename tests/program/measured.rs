//! What the program measures, as Prometheus reads it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use actix_authflow::testing::TestCluster;
use diesel::connection::SimpleConnection as _;
use serde_json::json;

use crate::http::{Connection, Request};
use crate::process::{BIND, Program, SECRET, directory};
use crate::served::{Served, cookie, registration};
use crate::support::{PASSWORD, PATIENCE};

pub(crate) const METRICS: (&str, &str) = ("AUTHFLOW_METRICS_BIND", "127.0.0.1:0");

/// Where the screen says that the metrics are.
pub(crate) fn address(served: &Served) -> SocketAddr {
    address_on(&served.program.screen)
}

fn address_on(screen: &str) -> SocketAddr {
    let line = screen.lines().find(|line| line.contains("/metrics"));
    let line = line.unwrap_or_else(|| panic!("{screen}"));
    line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap()
}

fn scrape(address: SocketAddr) -> String {
    let reply = Connection::to_address(address).send(&Request::get("/metrics")).expect(200);
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    reply.body
}

/// The samples of a scrape: name and labels, and the value.
pub(crate) fn samples(scraped: &str) -> BTreeMap<&str, f64> {
    let lines = scraped.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').map(|(name, value)| (name, value.parse().unwrap())).unwrap())
        .collect()
}

/// The samples of these metrics that are not zero, as they stand in the text.
fn counted(scraped: &str, metrics: &[&str]) -> Vec<String> {
    let of = |name: &str| metrics.iter().any(|metric| name.split('{').next() == Some(metric));
    let counted = samples(scraped).into_iter().filter(|(name, value)| of(name) && *value != 0.0);
    counted.map(|(name, value)| format!("{name} {value}")).collect()
}

/// A rotation, both kinds of retries, a copy that comes back, refusals of several kinds, an end.
fn workflow(served: &mut Served) {
    let login = |password: &str| {
        Request::post("/auth/login", json!({ "email": "alice@example.com", "password": password }))
    };
    served.send(&registration()).expect(201);
    served.send(&login("not the password of alice")).problem(401, "invalid_credentials");
    let tokens = served.send(&login(PASSWORD)).expect(200);
    let jwt = tokens.json()["access_token"].as_str().unwrap().to_owned();
    let refresh = |cookie: &str| Request::new("POST", "/auth/refresh").bearer(&jwt).header("Cookie", cookie);
    let first = cookie(&tokens);
    let second = cookie(&served.send(&refresh(&first)).expect(200));
    served.send(&refresh(&first)).expect(200);
    served.send(&refresh(&second)).expect(200);
    served.send(&refresh(&second).without("Authorization")).problem(401, "access_token_required");
    served.send(&refresh(&second).header("Origin", "https://evil.example")).problem(403, "csrf_rejected");
    sleep(Duration::from_millis(3_200));
    served.send(&refresh(&first)).problem(401, "refresh_token_reused");
    served.send(&refresh(&second)).problem(401, "session_revoked");
    served.send(&Request::get("/api/me").bearer(&jwt)).problem(401, "session_revoked");
    served.send(&Request::get("/auth/nowhere")).problem(404, "not_found");
}

const COUNTERS: [&str; 7] = [
    "authflow_rotations_total",
    "authflow_security_events_total",
    "authflow_security_events_dropped_total",
    "authflow_refusals_total",
    "authflow_queue_failures_total",
    "authflow_task_failures_total",
    "authflow_request_duration_seconds_count",
];

#[test]
fn what_happens_is_counted_once() {
    let mut served = Served::with(&[METRICS, ("AUTHFLOW_REFRESH_GRACE", "3s")]);
    let address = address(&served);
    assert_eq!(
        counted(&scrape(address), &COUNTERS[..3]),
        [r#"authflow_security_events_total{event="signing_key_changed",reason="signing"} 1"#]
    );
    workflow(&mut served);
    assert_eq!(
        counted(&scrape(address), &COUNTERS),
        [
            r#"authflow_refusals_total{code="access_token_required"} 1"#,
            r#"authflow_refusals_total{code="csrf_rejected"} 1"#,
            r#"authflow_refusals_total{code="invalid_credentials"} 1"#,
            r#"authflow_refusals_total{code="not_found"} 1"#,
            r#"authflow_refusals_total{code="refresh_token_reused"} 1"#,
            r#"authflow_refusals_total{code="session_revoked"} 2"#,
            r#"authflow_request_duration_seconds_count{route="/login",status="2xx"} 1"#,
            r#"authflow_request_duration_seconds_count{route="/login",status="4xx"} 1"#,
            r#"authflow_request_duration_seconds_count{route="/refresh",status="2xx"} 3"#,
            r#"authflow_request_duration_seconds_count{route="/refresh",status="4xx"} 4"#,
            r#"authflow_request_duration_seconds_count{route="/register",status="2xx"} 1"#,
            r#"authflow_request_duration_seconds_count{route="other",status="4xx"} 1"#,
            "authflow_rotations_total 1",
            r#"authflow_security_events_total{event="logged_in",reason=""} 2"#,
            r#"authflow_security_events_total{event="login_failed",reason="wrong_password"} 1"#,
            r#"authflow_security_events_total{event="origin_rejected",reason="foreign_origin"} 1"#,
            r#"authflow_security_events_total{event="refresh_retried",reason="same_successor"} 1"#,
            r#"authflow_security_events_total{event="refresh_retried",reason="same_token"} 1"#,
            r#"authflow_security_events_total{event="refresh_token_reused",reason=""} 1"#,
            r#"authflow_security_events_total{event="signing_key_changed",reason="signing"} 1"#,
            r#"authflow_security_events_total{event="user_created",reason=""} 1"#,
        ]
    );
}

#[test]
fn how_things_stand_is_looked_at_every_second() {
    let mut served =
        Served::with(&[METRICS, ("AUTHFLOW_DATABASE_POOL", "3"), ("AUTHFLOW_REFRESH_GRACE", "0s")]);
    let address = address(&served);
    let tokens = served.send(&registration()).expect(201);
    let jwt = tokens.json()["access_token"].as_str().unwrap().to_owned();
    served.send(&Request::new("POST", "/auth/logout").bearer(&jwt)).expect(204);
    let scraped = wait_for(address, |samples| samples.get("authflow_revoked_sessions") == Some(&1.0));
    let samples = samples(&scraped);
    for (name, value) in [
        ("authflow_listening", 1.0),
        ("authflow_pool_size", 3.0),
        ("authflow_signing_key_life_seconds", 90.0 * 86_400.0),
        // One connection is left for rotations, one is for whoever tries a password.
        (r#"authflow_queue_permits{queue="rotations"}"#, 1.0),
        (r#"authflow_queue_permits{queue="attempts"}"#, 1.0),
        (r#"authflow_queue_permits{queue="database"}"#, 1.0),
        (r#"authflow_queue_waiting{queue="hashing"}"#, 0.0),
        (r#"authflow_queue_running{queue="hashing"}"#, 0.0),
        (r#"authflow_queue_failures_total{queue="database",reason="busy"}"#, 0.0),
        (r#"authflow_queue_failures_total{queue="hashing",reason="busy"}"#, 0.0),
        (r#"authflow_queue_wait_seconds_count{queue="hashing"}"#, 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in {scraped}");
    }
    for (name, most) in [
        ("authflow_revocation_lag_seconds", 30.0),
        ("authflow_signing_key_age_seconds", 60.0),
        (r#"authflow_pool_connections{state="idle"}"#, 3.0),
        (r#"authflow_pool_connections{state="in_use"}"#, 3.0),
    ] {
        assert!(samples.get(name).is_some_and(|value| (0.0..=most).contains(value)), "{name} in {scraped}");
    }
}

/// The scrape in which this is so.
pub(crate) fn wait_for(address: SocketAddr, so: impl Fn(&BTreeMap<&str, f64>) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let scraped = scrape(address);
        if so(&samples(&scraped)) {
            return scraped;
        }
        assert!(Instant::now() < deadline, "{scraped}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_the_background_threads_do_and_cannot_do_is_counted() {
    let (directory, mut cluster) = (directory(), TestCluster::new());
    let often = ("AUTHFLOW_PRUNE_INTERVAL", "1s");
    let program =
        Program::serve(directory.path(), &[("DATABASE_URL", cluster.url()), SECRET, BIND, METRICS, often]);
    let address = address_on(&program.screen);
    cluster
        .connect()
        .batch_execute(
            "INSERT INTO authflow.attempts (key, kind, failures, open_at, forgotten_at)
             SELECT substr(sha256(n::text::bytea), 1, 16), 'address', 1, now(), now() FROM generate_series(1, 3) n",
        )
        .unwrap();
    wait_for(address, |samples| samples.get(r#"authflow_pruned_rows_total{table="attempts"}"#) == Some(&3.0));
    let failures = |samples: &BTreeMap<&str, f64>, task: &str| {
        samples[format!(r#"authflow_task_failures_total{{task="{task}"}}"#).as_str()]
    };
    let tasks = ["revocations", "listening", "signing_keys", "housekeeping", "events"];
    let before = scrape(address);
    assert_eq!(tasks.map(|task| failures(&samples(&before), task)), [0.0; 5]);
    cluster.connect().batch_execute("ALTER TABLE authflow.attempts RENAME TO elsewhere").unwrap();
    wait_for(address, |samples| failures(samples, "housekeeping") > 0.0);
    cluster.stop();
    let away = wait_for(address, |samples| {
        let lag = samples["authflow_revocation_lag_seconds"];
        failures(samples, "revocations") > 0.0 && failures(samples, "listening") > 0.0 && lag > 2.0
    });
    assert_eq!(failures(&samples(&away), "events"), 0.0);
}

/// What stands in the table of the documents is checked where the names are; this is about the labels in it.
#[test]
fn every_metric_has_the_labels_of_its_row_in_the_table() {
    let mut served = Served::with(&[METRICS]);
    let address = address(&served);
    workflow_of(&mut served, "a");
    let document = std::fs::read_to_string("docs/OPERATIONS.md").unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| `authflow_"));
    let rows: BTreeMap<_, _> = rows
        .map(|row| row.split('|').map(str::trim))
        .map(|mut cells| (cells.nth(1).unwrap().trim_matches('`'), cells.nth(1).unwrap().replace('`', "")))
        .collect();
    let scraped = scrape(address);
    let mut seen = 0;
    for sample in samples(&scraped).into_keys() {
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let labels =
            labels.split(['{', '}', ',']).filter_map(|label| label.split_once("=\"")).map(|(name, _)| name);
        let labels: Vec<_> = labels.filter(|name| *name != "le").collect();
        let metric = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end).filter(|name| rows.contains_key(name)));
        assert_eq!(rows.get(metric.unwrap_or(name)), Some(&labels.join(", ")), "{sample}");
        seen += 1;
    }
    assert!(seen > 50, "{scraped}");
}

/// Neither the public address has them, nor their address anything else.
#[test]
fn metrics_are_answered_on_their_own_address_alone() {
    let mut served = Served::with(&[METRICS]);
    served.send(&Request::get("/metrics")).problem(404, "not_found");
    served.send(&Request::get("/auth/metrics")).problem(404, "not_found");
    let mut metrics = Connection::to_address(address(&served));
    for path in ["/", "/healthz", "/auth/login", "/api/me"] {
        metrics.send(&Request::get(path)).problem(404, "not_found");
    }
    assert!(!Served::with(&[]).program.screen.contains("/metrics"), "nowhere unless it is asked for");
}

/// A user, a session, an address or a path in a label would make a series of its own for each.
#[test]
fn no_label_grows_with_what_clients_send() {
    let mut served = Served::with(&[METRICS]);
    let address = address(&served);
    workflow_of(&mut served, "a");
    let series = |scraped: &str| samples(scraped).into_keys().map(str::to_owned).collect::<Vec<_>>();
    let before = series(&scrape(address));
    for name in ["b", "c", "d"] {
        workflow_of(&mut served, name);
    }
    assert_eq!(series(&scrape(address)), before);
}

fn workflow_of(served: &mut Served, name: &str) {
    let body = json!({ "email": format!("{name}@example.com"), "password": PASSWORD });
    let tokens = served.send(&Request::post("/auth/register", body)).expect(201).json();
    let (jwt, session) = (tokens["access_token"].as_str().unwrap(), tokens["session_id"].as_str().unwrap());
    for path in [format!("/auth/{name}"), format!("/{name}"), format!("/auth/login/{name}")] {
        served.send(&Request::get(&path)).problem(404, "not_found");
    }
    served.send(&Request::new("DELETE", &format!("/auth/sessions/{session}")).bearer(jwt)).expect(204);
}
