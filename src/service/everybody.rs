//! Ending every session there is.

use uuid::Uuid;

use super::upkeep::Upkeep;
use crate::domain::event::{Actor, EventKind, Fact};
use crate::domain::ids::SessionId;
use crate::domain::session::RevocationReason;
use crate::store::StoreError;

/// How many sessions are ended at a time: what waits for their locks waits for milliseconds.
const BATCH: i64 = 1_000;
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
            self.end_in_batches(reason, |ended| {
                sessions += ended.len() as u64;
                announce(ended);
            })
        });
        self.events.report(by, [Fact::new(EventKind::AllSessionsEnded { reason, sessions })]);
        walks.map(|()| sessions)
    }

    fn end_in_batches(
        &self,
        reason: RevocationReason,
        mut ended: impl FnMut(&[SessionId]),
    ) -> Result<(), StoreError> {
        let mut after = SessionId(Uuid::nil());
        loop {
            let (last, batch) = self.store.settled_transaction(|session| {
                let (last, batch) = session.revoke_next(after, reason, BATCH)?;
                session.delete_chains(&batch)?;
                Ok((last, batch))
            })?;
            ended(&batch);
            match last {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }
}
