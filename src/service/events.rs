//! Where security events go: to the counters, to the log, to the application, and to the table.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::event_log::EventQueue;
use super::hooks::EventHook;
use crate::domain::clock::Clock;
use crate::domain::event::{Actor, EventKind, Fact, SecurityEvent, Severity};
use crate::meters;

/// The one home of everything that happens to events.
pub(crate) struct Events {
    /// The database's.
    clock: Arc<Clock>,
    hook: Option<Arc<EventHook>>,
    table: Option<Arc<EventQueue>>,
}

impl Events {
    pub(crate) fn new(
        clock: Arc<Clock>,
        hook: Option<Arc<EventHook>>,
        table: Option<Arc<EventQueue>>,
    ) -> Self {
        Self { clock, hook, table }
    }

    /// Makes events of facts and hands them to everybody who wants to know. Waits for nobody.
    pub(crate) fn report(&self, by: Actor, facts: impl IntoIterator<Item = Fact>) {
        for fact in facts {
            let event = fact.at(self.clock.time(), by);
            meters::happened(event.kind.name(), event.kind.reason());
            log(&event);
            if let Some(hook) = &self.hook {
                tell(hook, &event);
            }
            if let Some(table) = &self.table {
                table.push(&event);
            }
        }
    }
}

/// The application's fault is not the client's.
fn tell(hook: &Arc<EventHook>, event: &SecurityEvent) {
    if catch_unwind(AssertUnwindSafe(|| hook(event))).is_err() {
        tracing::error!(event = event.kind.name(), "the hook for events panicked");
    }
}

/// A line of the log. Every value is a word of ours, an identifier, an address or a number, and the one text that is read
/// from the database is escaped: nobody can put a line of their own into it.
fn log(event: &SecurityEvent) {
    let (mut refresh_session, mut sessions, mut retry_after, mut kid) = (None, None, None, None);
    match &event.kind {
        EventKind::TokenMismatch { refresh_session_id } => refresh_session = Some(*refresh_session_id),
        EventKind::AllSessionsEnded { sessions: count, .. } => sessions = Some(*count),
        EventKind::Throttled { retry_after: seconds, .. } => retry_after = Some(*seconds),
        EventKind::SigningKeyChanged { kid: id, .. } => kid = Some(id.as_str()),
        _ => {}
    }
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "authflow::events",
                event = event.kind.name(),
                reason = event.kind.reason(),
                by = event.by.as_str(),
                address = event.address().map(tracing::field::display),
                user = event.user_id.map(tracing::field::display),
                session = event.session_id.map(tracing::field::display),
                refresh_session = refresh_session.map(tracing::field::display),
                sessions,
                retry_after,
                kid,
                "{}", event.kind
            )
        };
    }
    match event.kind.severity() {
        Severity::Detail => line!(debug),
        Severity::Routine => line!(info),
        Severity::Alarm => line!(warn),
    }
}
