//! What is measured: every metric of this crate, and the functions that record it, through the facade `metrics`. Where the
//! application has no recorder they do nothing.
//!
//! Below every layer, like the log: they take words and numbers. The words come from closed lists of ours. No label is ever a
//! user, a session, an address, or anything that a client wrote.

mod catalogue;

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use self::catalogue::{
    EVENTS, EVENTS_DROPPED, KEY_AGE, KEY_LIFE, LISTENING, POOL_CONNECTIONS, POOL_SIZE, PRUNED,
    QUEUE_FAILURES, QUEUE_PERMITS, QUEUE_RUNNING, QUEUE_WAIT, QUEUE_WAITING, REFUSALS, REQUESTS,
    REVOCATION_LAG, REVOKED_SESSIONS, ROTATIONS, TASK_FAILURES,
};

/// A background thread, or a part of one, that may fail and goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Reads which sessions have ended.
    Revocations,
    /// Hears of them sooner.
    Listening,
    /// Keeps the signing keys in step.
    SigningKeys,
    /// Deletes what nobody needs.
    Housekeeping,
    /// Writes the table of events.
    Events,
}

impl Task {
    const ALL: [Self; 5] =
        [Self::Revocations, Self::Listening, Self::SigningKeys, Self::Housekeeping, Self::Events];

    fn as_str(self) -> &'static str {
        match self {
            Self::Revocations => "revocations",
            Self::Listening => "listening",
            Self::SigningKeys => "signing_keys",
            Self::Housekeeping => "housekeeping",
            Self::Events => "events",
        }
    }
}

/// What is not counted but looked at, now and then.
pub(crate) struct Levels {
    pub(crate) revocation_lag: Duration,
    pub(crate) revoked_sessions: usize,
    pub(crate) listening: bool,
    /// `None` where it cannot be known at this moment: then the last figure stands.
    pub(crate) signing_key_age: Option<Duration>,
    /// `None` if keys do not rotate by themselves.
    pub(crate) signing_key_life: Option<Duration>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) pool: Pool,
}

/// A queue of jobs that few may do at once.
pub(crate) struct Queue {
    pub(crate) name: &'static str,
    pub(crate) running: usize,
    pub(crate) waiting: usize,
    pub(crate) permits: usize,
}

/// The pool of connections.
pub(crate) struct Pool {
    pub(crate) idle: u32,
    pub(crate) in_use: u32,
    pub(crate) size: u32,
}

/// Tells the recorder what there is to be measured. The counters that alerts look at begin with a zero, those of a queue or of a
/// route when that begins: who first hears of a counter when it stands at one has seen no increase. `alarms` are names and
/// reasons of events.
pub(crate) fn begin<'a>(alarms: impl IntoIterator<Item = &'a (&'static str, &'static str)>) {
    catalogue::describe();
    for meter in [&ROTATIONS, &EVENTS_DROPPED] {
        counter!(meter.name).increment(0);
    }
    for (name, reason) in alarms {
        counter!(EVENTS.name, "event" => *name, "reason" => *reason).increment(0);
    }
    for task in Task::ALL {
        counter!(TASK_FAILURES.name, "task" => task.as_str()).increment(0);
    }
}

/// A generation was added to a chain.
pub(crate) fn rotated() {
    counter!(ROTATIONS.name).increment(1);
}

/// Something for the audit trail has happened.
pub(crate) fn happened(event: &'static str, reason: Option<&'static str>) {
    counter!(EVENTS.name, "event" => event, "reason" => reason.unwrap_or_default()).increment(1);
}

/// An event did not get into the table.
pub(crate) fn event_dropped() {
    counter!(EVENTS_DROPPED.name).increment(1);
}

/// An error was answered, with this code.
pub(crate) fn refused(code: &'static str) {
    counter!(REFUSALS.name, "code" => code).increment(1);
}

/// A route is there, and has answered nothing yet with an error of the server.
pub(crate) fn route_begins(route: String) {
    drop(histogram!(REQUESTS.name, "route" => route, "status" => "5xx"));
}

/// A request to the scope was answered.
pub(crate) fn answered(route: String, status: &'static str, after: Duration) {
    histogram!(REQUESTS.name, "route" => route, "status" => status).record(after);
}

/// A job's turn has come.
pub(crate) fn waited(queue: &'static str, span: Duration) {
    histogram!(QUEUE_WAIT.name, "queue" => queue).record(span);
}

/// A queue is there, and nothing has failed in it yet, for any of these reasons.
pub(crate) fn queue_begins(queue: &'static str, reasons: impl IntoIterator<Item = &'static str>) {
    for reason in reasons {
        counter!(QUEUE_FAILURES.name, "queue" => queue, "reason" => reason).increment(0);
    }
}

/// Nobody waited for a job, or not to its end.
pub(crate) fn not_done(queue: &'static str, reason: &'static str) {
    counter!(QUEUE_FAILURES.name, "queue" => queue, "reason" => reason).increment(1);
}

/// Housekeeping has deleted rows.
pub(crate) fn pruned(table: &'static str, rows: u64) {
    counter!(PRUNED.name, "table" => table).increment(rows);
}

/// A background thread could not do its work, and will try again.
pub(crate) fn failed(task: Task) {
    counter!(TASK_FAILURES.name, "task" => task.as_str()).increment(1);
}

/// How things stand.
pub(crate) fn levels(now: &Levels) {
    gauge!(REVOCATION_LAG.name).set(now.revocation_lag);
    gauge!(REVOKED_SESSIONS.name).set(count(now.revoked_sessions));
    gauge!(LISTENING.name).set(f64::from(u8::from(now.listening)));
    for (meter, span) in [(&KEY_AGE, now.signing_key_age), (&KEY_LIFE, now.signing_key_life)] {
        if let Some(span) = span {
            gauge!(meter.name).set(span);
        }
    }
    for Queue { name, running, waiting, permits } in &now.queues {
        for (meter, jobs) in [(&QUEUE_RUNNING, running), (&QUEUE_WAITING, waiting), (&QUEUE_PERMITS, permits)]
        {
            gauge!(meter.name, "queue" => *name).set(count(*jobs));
        }
    }
    let Pool { idle, in_use, size } = now.pool;
    for (state, connections) in [("idle", idle), ("in_use", in_use)] {
        gauge!(POOL_CONNECTIONS.name, "state" => state).set(connections);
    }
    gauge!(POOL_SIZE.name).set(size);
}

/// Counts of this kind are far below 2^53.
fn count(number: usize) -> f64 {
    number as f64
}
