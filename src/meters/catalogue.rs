//! The names of the metrics, and what each tells. The table in `docs/OPERATIONS.md` has the same.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// A metric as Prometheus names it.
pub(super) struct Meter {
    pub(super) name: &'static str,
    help: &'static str,
}

const fn meter(name: &'static str, help: &'static str) -> Meter {
    Meter { name, help }
}

pub(super) const ROTATIONS: Meter =
    meter("authflow_rotations_total", "Refresh tokens that were replaced by the next one of their chain.");
pub(super) const EVENTS: Meter =
    meter("authflow_security_events_total", "Security events, by their names and reasons.");
pub(super) const EVENTS_DROPPED: Meter =
    meter("authflow_security_events_dropped_total", "Security events that were not stored in the table.");
pub(super) const REFUSALS: Meter =
    meter("authflow_refusals_total", "Answers in the form of an error, by their codes.");
pub(super) const QUEUE_FAILURES: Meter =
    meter("authflow_queue_failures_total", "Jobs whose end nobody could wait for, by queue and reason.");
pub(super) const PRUNED: Meter =
    meter("authflow_pruned_rows_total", "Rows that housekeeping has deleted, by table.");
pub(super) const TASK_FAILURES: Meter =
    meter("authflow_task_failures_total", "Failures of the background threads, which go on.");

pub(super) const REVOCATION_LAG: Meter = meter(
    "authflow_revocation_lag_seconds",
    "For how long a session may have ended on another node without being known here.",
);
pub(super) const REVOKED_SESSIONS: Meter =
    meter("authflow_revoked_sessions", "Ended sessions in the memory of this node.");
pub(super) const LISTENING: Meter =
    meter("authflow_listening", "Whether other nodes can tell this one of ended sessions (LISTEN).");
pub(super) const KEY_AGE: Meter =
    meter("authflow_signing_key_age_seconds", "For how long the key in use has been signing.");
pub(super) const KEY_LIFE: Meter = meter(
    "authflow_signing_key_life_seconds",
    "After how long the next key is to take over. Missing where keys do not rotate by themselves.",
);
pub(super) const QUEUE_RUNNING: Meter = meter("authflow_queue_running", "Jobs that run, by queue.");
pub(super) const QUEUE_WAITING: Meter =
    meter("authflow_queue_waiting", "Jobs that wait for their turn, by queue.");
pub(super) const QUEUE_PERMITS: Meter =
    meter("authflow_queue_permits", "How many jobs may run at once, by queue.");
pub(super) const POOL_CONNECTIONS: Meter =
    meter("authflow_pool_connections", "Open connections to the database, by state.");
pub(super) const POOL_SIZE: Meter =
    meter("authflow_pool_size", "How many connections to the database the pool may open.");

pub(super) const QUEUE_WAIT: Meter =
    meter("authflow_queue_wait_seconds", "How long jobs waited for their turn, by queue.");
pub(super) const REQUESTS: Meter =
    meter("authflow_request_duration_seconds", "How long requests took, by route and class of the status.");

const COUNTERS: [Meter; 7] =
    [ROTATIONS, EVENTS, EVENTS_DROPPED, REFUSALS, QUEUE_FAILURES, PRUNED, TASK_FAILURES];
const GAUGES: [Meter; 10] = [
    REVOCATION_LAG,
    REVOKED_SESSIONS,
    LISTENING,
    KEY_AGE,
    KEY_LIFE,
    QUEUE_RUNNING,
    QUEUE_WAITING,
    QUEUE_PERMITS,
    POOL_CONNECTIONS,
    POOL_SIZE,
];
const HISTOGRAMS: [Meter; 2] = [QUEUE_WAIT, REQUESTS];

/// Tells the recorder what each metric is about.
pub(super) fn describe() {
    COUNTERS.iter().for_each(|meter| describe_counter!(meter.name, meter.help));
    GAUGES.iter().for_each(|meter| describe_gauge!(meter.name, meter.help));
    HISTOGRAMS.iter().for_each(|meter| describe_histogram!(meter.name, meter.help));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table: name, type, and what the metric tells.
    fn documented(document: &str) -> Vec<[&str; 3]> {
        let rows = document.lines().filter(|line| line.starts_with("| `authflow_"));
        let rows = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
        rows.map(|cells| [cells[0].trim_matches('`'), cells[1], cells[3]]).collect()
    }

    #[test]
    fn the_table_in_the_documents_has_every_metric_as_it_is() {
        let kinds = [("counter", &COUNTERS[..]), ("gauge", &GAUGES), ("histogram", &HISTOGRAMS)];
        let known = kinds
            .iter()
            .flat_map(|(kind, meters)| meters.iter().map(|meter| [meter.name, *kind, meter.help]));
        assert_eq!(documented(include_str!("../../docs/OPERATIONS.md")), known.collect::<Vec<_>>());
    }

    #[test]
    fn names_say_what_they_are_as_prometheus_has_it() {
        for meter in COUNTERS {
            assert!(meter.name.ends_with("_total"), "{}", meter.name);
        }
        for meter in GAUGES.into_iter().chain(HISTOGRAMS) {
            assert!(!meter.name.ends_with("_total"), "{}", meter.name);
        }
    }
}
