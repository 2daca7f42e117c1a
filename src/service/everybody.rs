//! Ending every session there is.

use super::upkeep::Upkeep;
use crate::domain::event::{Actor, EventKind, Fact};
use crate::domain::ids::SessionId;
use crate::domain::session::RevocationReason;
use crate::store::{Session, StoreError};

/// How often all sessions are gone through. The second time finds those that were being started behind the first.
const WALKS: usize = 2;

impl Upkeep {
    /// Ends every session, a batch at a time, and answers how many they were. `announce` hears of each batch after its commit.
    ///
    /// May be repeated, and has to be where it fails: what was ended before stays so. One event tells of all, because a
    /// million of them would help nobody; each session's row has the reason.
    pub(crate) fn end_all_sessions(
        &self,
        by: Actor,
        reason: RevocationReason,
        mut announce: impl FnMut(&[SessionId]),
    ) -> Result<u64, StoreError> {
        let mut sessions = 0;
        let walks = (0..WALKS).try_for_each(|_| {
            let end = |session: &mut Session<'_>, after, most| {
                let (last, ended) = session.revoke_next(after, reason, most)?;
                session.delete_chains(&ended)?;
                Ok((last, ended))
            };
            self.store.walk_sessions(end, |ended| {
                sessions += ended.len() as u64;
                announce(&ended);
            })
        });
        self.events.report(by, [Fact::new(EventKind::AllSessionsEnded { reason, sessions })]);
        walks.map(|()| sessions)
    }
}
