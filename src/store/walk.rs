//! Going through all sessions, however many they are.

use uuid::Uuid;

use super::{Session, Store, StoreError};
use crate::domain::ids::SessionId;

/// How many sessions are looked at in one transaction: what waits for their locks waits for milliseconds.
const BATCH: i64 = 1_000;

impl Store {
    /// Goes through all sessions in the order of their identifiers, a batch in each transaction. `work` is told after which
    /// session it goes on and how many it may look at, and answers the last that it has looked at, `None` past the end.
    /// What else it answers is for `committed`, when the batch is.
    pub(crate) fn walk_sessions<T>(
        &self,
        work: impl Fn(&mut Session<'_>, SessionId, i64) -> Result<(Option<SessionId>, T), StoreError>,
        mut committed: impl FnMut(T),
    ) -> Result<(), StoreError> {
        let mut after = Some(SessionId(Uuid::nil()));
        while let Some(from) = after {
            let (last, done) = self.settled_transaction(|session| work(session, from, BATCH))?;
            committed(done);
            after = last;
        }
        Ok(())
    }
}
