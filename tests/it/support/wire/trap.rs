//! What is to happen to one statement.

use std::sync::{Arc, Condvar, Mutex};

use crate::support::eventually;

/// When, in the life of a statement, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The connection breaks before the database hears of the statement.
    CutBefore,
    /// The connection breaks when the statement has been sent. Whether it is executed, nobody at this end hears.
    CutOnceSent,
    /// The statement is executed and (outside a transaction block) committed, but the connection breaks before the answer.
    CutAfter,
    /// The statement waits before the database hears of it.
    HoldBefore,
    /// The statement is executed and has its locks, but waits before it is committed. Outside a transaction block only.
    HoldBeforeCommit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum State {
    Armed,
    /// A statement has been caught, and is on its way to the moment.
    Sprung,
    /// The moment has come.
    Reached,
    Released,
}

/// Catches one statement.
#[derive(Clone)]
pub(crate) struct Trap(Arc<Inner>);

struct Inner {
    statement: fn(&str) -> bool,
    moment: Moment,
    state: Mutex<State>,
    changed: Condvar,
}

impl Trap {
    pub(super) fn new(statement: fn(&str) -> bool, moment: Moment) -> Trap {
        let (state, changed) = (Mutex::new(State::Armed), Condvar::new());
        Trap(Arc::new(Inner { statement, moment, state, changed }))
    }

    pub(super) fn moment(&self) -> Moment {
        self.0.moment
    }

    /// Whether the trap has caught this statement.
    pub(super) fn spring(&self, sql: &str) -> bool {
        let mut state = self.0.state.lock().unwrap();
        let caught = *state == State::Armed && (self.0.statement)(sql);
        if caught {
            *state = State::Sprung;
        }
        caught
    }

    /// Says that the moment has come.
    pub(super) fn reach(&self) {
        let mut state = self.0.state.lock().unwrap();
        if *state < State::Reached {
            *state = State::Reached;
        }
    }

    /// Says that the moment has come, and waits to be released.
    pub(super) fn hold(&self) {
        self.reach();
        let state = self.0.state.lock().unwrap();
        drop(self.0.changed.wait_while(state, |state| *state != State::Released).unwrap());
    }

    /// Waits until a statement has been caught and the moment has come.
    pub(crate) async fn reached(&self) {
        eventually("the statement comes", async || self.has_been_reached()).await;
    }

    pub(crate) fn has_been_reached(&self) -> bool {
        *self.0.state.lock().unwrap() >= State::Reached
    }

    /// Lets the statement go on that was held.
    pub(crate) fn release(&self) {
        *self.0.state.lock().unwrap() = State::Released;
        self.0.changed.notify_all();
    }
}
