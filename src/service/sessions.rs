//! What users do with their own sessions: look at them and end them.

use super::accounts::{end_all, ends, ids};
use super::error::{Rejected, ServiceError};
use super::{Outcome, Service};
use crate::domain::event::Fact;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::{EndedSession, ListedSession, RevocationReason};
use crate::store::StoreError;

/// So many logins of one user may be starting sessions in one moment without seeing each other.
const UNSEEN: i64 = 32;

impl Service {
    /// The live sessions of a user, newest first, and no more than a user may have.
    pub(crate) fn list_sessions(&self, user: UserId) -> Result<Vec<ListedSession>, StoreError> {
        self.store.run(|session| session.list_sessions(user, self.max_sessions))
    }

    /// Ends one session of a user: like a logout, with the same two statements. Ending it again changes nothing, so that
    /// a client may repeat a request whose answer was lost.
    pub(crate) fn end_own_session(&self, user: UserId, id: SessionId) -> Outcome<EndedSession> {
        let reason = RevocationReason::RevokedByUser;
        let mut ended_now = false;
        let ended = self.store.transaction(|session| {
            let Some((ended, now)) = session.revoke_own(user, id, reason)? else { return Ok(None) };
            ended_now |= now;
            session.delete_chains(&[id])?;
            Ok(Some(ended))
        });
        match ended {
            Ok(Some(ended)) => {
                let fact = ended_now.then(|| Fact::session_ended(id, user, reason));
                Outcome::new(Ok(ended), [id]).telling(fact)
            }
            Ok(None) => Outcome::from(ServiceError::from(Rejected::UnknownSession)),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// Ends every session of a user but for the kept one. `users` first, then `sessions`: a login under way is either
    /// waited for and ended, or finds its check outdated.
    pub(crate) fn end_sessions(
        &self,
        user: UserId,
        kept: Option<SessionId>,
        reason: RevocationReason,
    ) -> Outcome<Vec<EndedSession>> {
        let mut ended = Vec::new();
        let done = self.store.transaction(|session| {
            session.outdate_logins(user)?;
            end_all(session, user, kept, reason, &mut ended)
        });
        match done {
            Ok(()) => {
                let (ids, facts): (_, Vec<_>) = (ids(&ended), ends(&ended, user, reason).collect());
                Outcome::new(Ok(ended), ids).telling(facts)
            }
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// Ends the oldest sessions of a user who has too many, after a session was started beside so many `others`. A second
    /// transaction, which most logins do not need: it sees what was committed at the same time, so that the last of
    /// several logins at once brings the number down. The session that was started is good even if this fails; the
    /// next login tries again.
    pub(super) fn evict_oldest(&self, user: UserId, others: i64) -> Vec<SessionId> {
        if others + UNSEEN < i64::from(self.max_sessions) {
            return Vec::new();
        }
        let evicted = self.store.settled_transaction(|session| {
            session.lock_user(user)?;
            let evicted = session.evict(user, self.max_sessions)?;
            session.delete_chains(&evicted)?;
            Ok(evicted)
        });
        evicted.unwrap_or_else(|error| {
            tracing::warn!(%user, %error, "the oldest sessions were not ended");
            Vec::new()
        })
    }
}
