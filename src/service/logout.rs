//! Ending one session.

use super::{Outcome, Service};
use crate::domain::event::Fact;
use crate::domain::ids::SessionId;
use crate::domain::session::RevocationReason;

impl Service {
    /// Marks the session and then deletes its chain, in this order and as two statements: a refresh under way either
    /// finishes first, and the deletion sees its row, or waits and finds the session ended. Idempotent.
    pub(crate) fn end_session(&self, id: SessionId, reason: RevocationReason) -> Outcome<()> {
        // Kept over repeated runs: one whose commit went through, although its answer was lost, leaves nothing to be ended.
        let mut owner = None;
        let ended = self.store.transaction(|session| {
            owner = owner.or(session.revoke(id, reason)?);
            session.delete_chains(&[id])
        });
        match ended {
            Ok(()) => {
                let fact = owner.map(|owner| Fact::session_ended(id, owner, reason));
                Outcome::new(Ok(()), [id]).telling(fact)
            }
            Err(error) => Outcome::new(Err(error.into()), []),
        }
    }
}
