//! Whether a connection leads to a server that takes writes.
//!
//! After a failover it may lead to the one that was the primary before: alive, with data that is no longer the latest.
//! What such a server is asked it answers, so it has to be asked about itself.

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::Bool;
use diesel::{PgConnection, QueryResult, dsl};

/// What a connection has lost, so that the work needs another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lost {
    /// The connection itself.
    Connection,
    /// A server that takes writes.
    Writes,
}

impl Lost {
    pub(super) fn by(error: &DieselError) -> Option<Self> {
        match error {
            DieselError::BrokenTransactionManager => Some(Self::Connection),
            DieselError::DatabaseError(kind, _) => match kind {
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                    Some(Self::Connection)
                }
                DatabaseErrorKind::ReadOnlyTransaction => Some(Self::Writes),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Whether the server takes writes. A standby does not, nor does a primary that was made read-only to be replaced.
pub(super) fn takes_writes(connection: &mut PgConnection) -> QueryResult<bool> {
    diesel::select(dsl::sql::<Bool>("current_setting('transaction_read_only') = 'off'"))
        .get_result(connection)
}

/// Has the pool drop this connection, instead of lending it again.
pub(super) fn leave(connection: &mut PgConnection) {
    AnsiTransactionManager::transaction_manager_status_mut(connection).set_in_error();
}
