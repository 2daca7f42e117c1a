//! The table of events, written in the background: no request waits for it.

use std::collections::{HashMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::domain::event::{EventKind, SecurityEvent};
use crate::meters::{self, Task};
use crate::store::{Store, StoreError};

/// Events that wait to be written. More are not stored: memory is bounded, and nobody waits.
const QUEUE: usize = 8_192;
/// How many are written at once.
const BATCH: usize = 500;
/// How many events of each kind that costs nothing are stored in a second: whoever can cause any number of them must not fill
/// the table, nor the queue that other events need.
const FREE: u32 = 10;
/// How long the writer waits before it tries again.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of a process waits for the last events to be written.
const FAREWELL: Duration = Duration::from_secs(2);

/// Events on their way to the table.
#[derive(Default)]
pub(crate) struct EventQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<SecurityEvent>,
    /// How many were not stored since that was last logged.
    dropped: u64,
    /// The second of the last event that cost nothing, and how many of each kind there were in it.
    free: (i64, HashMap<Discriminant<EventKind>, u32>),
    /// No more is taken in.
    closed: bool,
    /// Nothing more is written.
    finished: bool,
}

/// The thread that writes. What waits is written when this is dropped.
pub(crate) struct EventWriter {
    queue: Arc<EventQueue>,
}

impl EventQueue {
    /// Puts an event in the queue, or counts it as dropped. Of those that cost nothing there is a sample.
    pub(super) fn push(&self, event: &SecurityEvent) {
        let mut state = self.state();
        if event.kind.is_free() && !state.samples(event) {
            return;
        }
        if state.closed || state.events.len() >= QUEUE {
            state.dropped += 1;
            meters::event_dropped();
            return;
        }
        state.events.push_back(event.clone());
        self.changed.notify_one();
    }

    /// Waits for events, and answers with the oldest and how many were dropped. `None` at the end.
    fn take(&self) -> Option<(Vec<SecurityEvent>, u64)> {
        let waits = |state: &mut State| state.events.is_empty() && !state.closed;
        let waited = self.changed.wait_while(self.state(), waits);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let count = state.events.len().min(BATCH);
        let batch: Vec<_> = state.events.drain(..count).collect();
        (!batch.is_empty()).then(|| (batch, std::mem::take(&mut state.dropped)))
    }

    /// Takes in no more.
    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn finish(&self) {
        self.state().finished = true;
        self.changed.notify_all();
    }

    /// Waits until nothing more is written, for a while.
    fn drain(&self) {
        drop(self.changed.wait_timeout_while(self.state(), FAREWELL, |state| !state.finished));
    }

    /// Rests for a while, but not beyond the end. Answers whether it goes on.
    fn pause(&self) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), PAUSE, |state| !state.closed);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether this is among the first of its kind in its second.
    fn samples(&mut self, event: &SecurityEvent) -> bool {
        let second = event.time.timestamp();
        let (last, counts) = &mut self.free;
        if *last != second {
            *last = second;
            counts.clear();
        }
        let count = counts.entry(discriminant(&event.kind)).or_default();
        *count += 1;
        *count <= FREE
    }
}

impl EventWriter {
    pub(crate) fn start(store: Store, queue: Arc<EventQueue>) -> Result<Self, StoreError> {
        let waiting = Arc::clone(&queue);
        let work = move || {
            write(&store, &waiting);
            waiting.finish();
        };
        let thread = std::thread::Builder::new().name("authflow-events".into()).spawn(work);
        thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { queue })
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.drain();
    }
}

fn write(store: &Store, queue: &EventQueue) {
    while let Some((batch, dropped)) = queue.take() {
        if dropped > 0 {
            tracing::warn!(dropped, "events were not stored: there were too many");
        }
        let ids: Vec<_> = batch.iter().map(|_| Uuid::now_v7()).collect();
        while let Err(error) = store.run(|session| session.insert_events(&ids, &batch)) {
            meters::failed(Task::Events);
            tracing::warn!(%error, "events could not be stored; trying again");
            if !queue.pause() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::event::{Actor, AttemptBudget, Fact, Retry};

    fn event(second: i64, kind: EventKind) -> SecurityEvent {
        Fact::new(kind).at(DateTime::from_timestamp(second, 0).unwrap(), Actor::Service)
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_dropped_is_counted() {
        let queue = EventQueue::default();
        for _ in 0..QUEUE + 7 {
            queue.push(&event(0, EventKind::LoggedIn));
        }
        let (batch, dropped) = queue.take().unwrap();
        assert_eq!((batch.len(), dropped), (BATCH, 7));
        assert_eq!(queue.take().unwrap().1, 0);
    }

    #[test]
    fn of_what_costs_nothing_there_is_a_sample_of_each_kind() {
        let queue = EventQueue::default();
        let throttled = EventKind::Throttled { reason: AttemptBudget::Address, retry_after: 1 };
        let retried = EventKind::RefreshRetried { reason: Retry::SameToken };
        for second in [1, 1, 2] {
            for _ in 0..8 {
                queue.push(&event(second, throttled.clone()));
                queue.push(&event(second, retried.clone()));
            }
        }
        queue.push(&event(2, EventKind::RefreshTokenReused));
        let (batch, dropped) = queue.take().unwrap();
        assert_eq!((batch.len(), dropped), (2 * (10 + 8) + 1, 0));
        assert_eq!(batch.last().unwrap().kind, EventKind::RefreshTokenReused);
    }

    #[test]
    fn at_the_end_the_rest_is_handed_out() {
        let queue = EventQueue::default();
        queue.push(&event(0, EventKind::LoggedIn));
        queue.close();
        queue.push(&event(0, EventKind::LoggedIn));
        assert_eq!(queue.take().unwrap().0.len(), 1);
        assert!(queue.take().is_none());
        assert!(!queue.pause());
    }
}
