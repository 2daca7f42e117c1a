//! Transactions whose result counts even where the answer to their commit was lost.

use std::thread;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::statement::statement;
use super::{Session, Store, StoreError};

statement! {
    /// The number of this transaction, if it has written anything.
    TransactionId {} -> Nullable<BigInt>,
    " SELECT pg_current_xact_id_if_assigned()::text::bigint"
}

statement! {
    /// What became of another one; nothing if that is too long ago to be known.
    Fate { id: BigInt = i64 } -> Nullable<Text>,
    " SELECT pg_xact_status(input.id::text::xid8) FROM input"
}

/// How often, and after which pause, one that is under way is asked about again: Postgres may be writing its commit while the
/// connection it came by is gone.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

impl Store {
    /// Like [`transaction`](Store::transaction), for work that finds nothing left to do after an earlier run of its own, and
    /// would not know what that has done: where the connection breaks at the commit, Postgres is asked what became of it.
    /// Costs a round trip more.
    pub(crate) fn settled_transaction<T>(
        &self,
        mut work: impl FnMut(&mut Session<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut earlier = None;
        self.transaction(|session| {
            if let Some((Some(id), _)) = &earlier
                && session.has_committed(*id)?
            {
                return Ok(());
            }
            let done = work(session)?;
            earlier = Some((session.transaction_id()?, done));
            Ok(())
        })?;
        earlier.map(|(_, done)| done).ok_or(StoreError::Corrupt("a transaction without a result"))
    }
}

impl Session<'_> {
    fn transaction_id(&mut self) -> Result<Option<i64>, StoreError> {
        Ok(TransactionId {}.get_result(self.connection)?)
    }

    fn has_committed(&mut self, transaction: i64) -> Result<bool, StoreError> {
        for _ in 0..LOOKS {
            let fate: Option<String> = Fate { id: transaction }.get_result(self.connection)?;
            match fate.as_deref() {
                Some("in progress") => thread::sleep(PAUSE),
                fate => return Ok(fate == Some("committed")),
            }
        }
        Err(StoreError::Unavailable("a transaction of before does not come to an end".to_owned()))
    }
}
