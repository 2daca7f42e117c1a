//! Ending one session.

use super::{Outcome, Service};
use crate::domain::ids::SessionId;
use crate::domain::session::RevocationReason;

impl Service {
    /// Marks the session and then deletes its chain, in this order and as two statements: a refresh under way either
    /// finishes first, and the deletion sees its row, or waits and finds the session ended. Idempotent.
    pub(crate) fn end_session(&self, id: SessionId, reason: RevocationReason) -> Outcome<()> {
        let ended = self.store.transaction(|session| {
            session.revoke(id, reason)?;
            session.delete_chains(&[id])
        });
        match ended {
            Ok(()) => Outcome::new(Ok(()), [id]),
            Err(error) => Outcome::new(Err(error.into()), []),
        }
    }
}
