//! The sessions whose access tokens are dead before their time, held in memory for the guard.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::domain::clock::UnixSeconds;
use crate::domain::ids::SessionId;

/// A node that has not read what was revoked for so long is cut off, for those who must know.
pub(crate) const MAX_LAG: Duration = Duration::from_secs(10);

/// The set the guard asks on every call. Readers take no lock and allocate nothing.
pub(crate) struct Revocations {
    /// Session → when its last access token has surely expired, after which the entry may be forgotten.
    sessions: papaya::HashMap<SessionId, UnixSeconds>,
    origin: Instant,
    /// Microseconds from `origin` to the moment up to which the set is known to be complete, plus one; 0 for a set that
    /// nobody feeds.
    complete: AtomicU64,
}

impl Revocations {
    /// An empty set, fed by nobody yet.
    pub(crate) fn new() -> Self {
        Self { sessions: papaya::HashMap::new(), origin: Instant::now(), complete: AtomicU64::new(0) }
    }

    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.sessions.pin().contains_key(&session)
    }

    /// How many sessions are in the set.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn insert(&self, session: SessionId, forget_after: UnixSeconds) {
        self.sessions.pin().insert(session, forget_after);
    }

    /// Drops the entries whose tokens have all expired.
    pub(crate) fn forget_expired(&self, now: UnixSeconds) {
        self.sessions.pin().retain(|_, forget_after| *forget_after > now);
    }

    /// Notes that the set has everything that was revoked before this moment.
    pub(crate) fn complete_as_of(&self, moment: Instant) {
        let micros = moment.saturating_duration_since(self.origin).as_micros();
        self.complete.store(u64::try_from(micros).unwrap_or(u64::MAX - 1) + 1, Ordering::Relaxed);
    }

    /// For how long something may have been revoked elsewhere without being in the set; `None` if nobody feeds it, so that
    /// nothing ever is.
    pub(crate) fn lag(&self) -> Option<Duration> {
        let complete = self.complete.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.origin.elapsed().saturating_sub(Duration::from_micros(complete)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_until_their_tokens_have_expired() {
        let revocations = Revocations::new();
        let (one, two) = (SessionId::new(), SessionId::new());
        revocations.insert(one, 10);
        revocations.insert(two, 20);
        revocations.forget_expired(10);
        assert!(!revocations.contains(one));
        assert!(revocations.contains(two));
    }

    #[test]
    fn the_lag_counts_from_the_last_moment_at_which_the_set_was_complete() {
        let revocations = Revocations::new();
        assert_eq!(revocations.lag(), None, "nobody feeds it");
        revocations.complete_as_of(revocations.origin);
        let lag = revocations.origin.elapsed();
        assert!(revocations.lag().unwrap() >= lag);
        revocations.complete_as_of(Instant::now() + Duration::from_secs(60));
        assert_eq!(revocations.lag(), Some(Duration::ZERO));
    }
}
