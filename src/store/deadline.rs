//! Until when anybody waits for what this thread does.
//!
//! A job on a thread that blocks cannot be stopped, and its caller does not wait for ever. Work that has not begun when the
//! caller is answered must not begin at all: a refresh that was refused for want of a database would otherwise rotate
//! behind its client's back.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::StoreError;

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `work` with a deadline for everything that the store begins meanwhile on this thread.
pub(crate) fn until<T>(deadline: Instant, work: impl FnOnce() -> T) -> T {
    /// The threads of the pool are used again, even after a panic.
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            DEADLINE.set(None);
        }
    }
    let _reset = Reset;
    DEADLINE.set(Some(deadline));
    work()
}

/// How long something may still wait before it begins; zero if it must not begin any more. `None` where nobody waits.
pub(super) fn remaining() -> Option<Duration> {
    DEADLINE.get().map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Fails where whoever asked has been answered.
pub(super) fn still_awaited() -> Result<(), StoreError> {
    match remaining() {
        Some(Duration::ZERO) => Err(StoreError::Unavailable("the caller has been answered".into())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_holds_for_its_work_alone() {
        assert_eq!(remaining(), None);
        until(Instant::now(), || assert_eq!(remaining(), Some(Duration::ZERO)));
        let panicked = std::panic::catch_unwind(|| until(Instant::now(), || panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(remaining(), None);
    }
}
