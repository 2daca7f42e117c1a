//! What users do with their own sessions: look at them and end them.

use super::accounts::{end_all, ids};
use super::error::{Rejected, ServiceError};
use super::{Outcome, Service};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::{EndedSession, ListedSession, RevocationReason};
use crate::store::StoreError;

/// No list is longer.
const LONGEST_LIST: u32 = 1_000;

impl Service {
    /// The live sessions of a user, newest first.
    pub(crate) fn list_sessions(&self, user: UserId) -> Result<Vec<ListedSession>, StoreError> {
        self.store.run(|session| session.list_sessions(user, LONGEST_LIST))
    }

    /// Ends one session of a user: like a logout, with the same two statements. Ending it again changes nothing, so that
    /// a client may repeat a request whose answer was lost.
    pub(crate) fn end_own_session(&self, user: UserId, id: SessionId) -> Outcome<EndedSession> {
        let ended = self.store.transaction(|session| {
            let ended = session.revoke_own(user, id, RevocationReason::RevokedByUser)?;
            if ended.is_some() {
                session.delete_chains(&[id])?;
            }
            Ok(ended)
        });
        match ended {
            Ok(Some(ended)) => Outcome::new(Ok(ended), [id]),
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
        let ended = self.store.transaction(|session| {
            session.outdate_logins(user)?;
            end_all(session, user, kept, reason)
        });
        match ended {
            Ok(ended) => {
                let ids = ids(&ended);
                Outcome::new(Ok(ended), ids)
            }
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }
}
