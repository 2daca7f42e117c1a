//! What wakes a background thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Rung by anybody and however often, heard once. Holds no more than that it was rung, so nothing piles up behind a thread
/// that is busy or stuck, and to ring never waits.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rung: bool,
    stopped: bool,
}

/// Why a thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// Somebody has rung since the last time.
    Rung,
    /// Nobody has, and the time is over.
    Idle,
    /// The thread is to end.
    Stopped,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.state().rung = true;
        self.changed.notify_all();
    }

    /// Rings the thread out.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Waits to be rung, and takes it as heard.
    pub(super) fn wait(&self, at_most: Duration) -> Woken {
        let quiet = |state: &mut State| !state.rung && !state.stopped;
        let waited = self.changed.wait_timeout_while(self.state(), at_most, quiet);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let rung = std::mem::take(&mut state.rung);
        match (state.stopped, rung) {
            (true, _) => Woken::Stopped,
            (false, true) => Woken::Rung,
            (false, false) => Woken::Idle,
        }
    }

    /// Rests whether it is rung or not, and leaves that for later. Answers whether the thread is to end.
    pub(super) fn rest(&self, span: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), span, |state| !state.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn ringing_often_is_heard_once() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert_eq!(bell.wait(LONG), Woken::Rung);
        assert_eq!(bell.wait(Duration::ZERO), Woken::Idle);
    }

    #[test]
    fn whoever_rests_hears_it_afterwards() {
        let bell = Bell::default();
        bell.ring();
        assert!(!bell.rest(Duration::ZERO));
        assert_eq!(bell.wait(LONG), Woken::Rung);
    }

    #[test]
    fn the_end_comes_before_everything_else() {
        let bell = Bell::default();
        bell.ring();
        bell.stop();
        assert_eq!(bell.wait(LONG), Woken::Stopped);
        assert!(bell.rest(LONG));
        assert_eq!(bell.wait(LONG), Woken::Stopped, "and stays");
    }
}
