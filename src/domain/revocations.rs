//! The sessions whose access tokens are dead before their time, held in memory for the guard.

use crate::domain::clock::UnixSeconds;
use crate::domain::ids::SessionId;

/// The set the guard asks on every call. Readers take no lock and allocate nothing.
#[derive(Default)]
pub(crate) struct Revocations {
    /// Session → when its last access token has surely expired, after which the entry may be forgotten.
    sessions: papaya::HashMap<SessionId, UnixSeconds>,
}

impl Revocations {
    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.sessions.pin().contains_key(&session)
    }

    pub(crate) fn insert(&self, session: SessionId, forget_after: UnixSeconds) {
        self.sessions.pin().insert(session, forget_after);
    }

    /// Drops the entries whose tokens have all expired.
    pub(crate) fn forget_expired(&self, now: UnixSeconds) {
        self.sessions.pin().retain(|_, forget_after| *forget_after > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_until_their_tokens_have_expired() {
        let revocations = Revocations::default();
        let (one, two) = (SessionId::new(), SessionId::new());
        revocations.insert(one, 10);
        revocations.insert(two, 20);
        revocations.forget_expired(10);
        assert!(!revocations.contains(one));
        assert!(revocations.contains(two));
    }
}
