//! What a password change asks of `authflow.users` and of the session it comes from.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::sessions::transport;
use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::Transport;
use crate::domain::user::Credentials;

/// The account behind a live session, and how that session was started.
pub(crate) struct OwnAccount {
    pub(crate) credentials: Credentials,
    /// The canonical address; empty for users without one.
    pub(crate) email: String,
    pub(crate) session: SessionId,
    pub(crate) transport: Transport,
    pub(crate) persistent: bool,
    pub(crate) device_name: Option<String>,
}

/// What became of the change of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The user's row is changed and locked; the session is locked, and yet to be ended.
    Done,
    /// The session it was asked for in is not live.
    SessionEnded,
    /// The password was set since it was checked.
    Outdated,
}

statement! {
    FindOwnAccount { user_id: SqlUuid = Uuid, session_id: SqlUuid = Uuid }
    -> (Nullable<Text>, Integer, Integer, Nullable<Text>, Text, Bool, Nullable<Text>),
    " SELECT u.password_hash, u.credentials_version, u.password_version, u.email_canonical, s.transport, s.persistent,
             s.device_name
      FROM input
      JOIN authflow.sessions s ON s.id = input.session_id AND s.user_id = input.user_id AND s.revoked_at IS NULL
      JOIN authflow.users u ON u.id = s.user_id AND u.disabled_at IS NULL
      WHERE EXISTS (
          SELECT FROM authflow.refresh_tokens t WHERE t.session_id = s.id AND t.expires_at > clock_timestamp()
      )"
}

statement! {
    /// Sets the password, if the current one is still that of this version, for a session that is live in this moment and
    /// stays so until the transaction ends it. Locks the user first, then the session, each at once in the strength that it
    /// is written with.
    ChangePassword {
        user_id: SqlUuid = Uuid,
        session_id: SqlUuid = Uuid,
        password_version: Integer = i32,
        password_hash: Text = String,
    } -> (Bool, Bool),
    ", owner AS MATERIALIZED (
        SELECT u.id, u.password_version FROM authflow.users u, input
        WHERE u.id = input.user_id AND u.disabled_at IS NULL
        FOR NO KEY UPDATE OF u
    ), own AS MATERIALIZED (
        SELECT s.id FROM input, owner, authflow.sessions s
        WHERE s.id = input.session_id AND s.user_id = owner.id AND s.revoked_at IS NULL
        FOR NO KEY UPDATE OF s
    ), changed AS (
        UPDATE authflow.users u
        SET password_hash = input.password_hash, password_version = u.password_version + 1,
            credentials_version = u.credentials_version + 1, updated_at = clock_timestamp()
        FROM input, owner, own
        WHERE u.id = owner.id AND owner.password_version = input.password_version
        RETURNING u.id
    )
    SELECT EXISTS (SELECT FROM own), EXISTS (SELECT FROM changed)"
}

#[derive(Queryable)]
struct OwnAccountRow {
    password_hash: Option<String>,
    version: i32,
    password_version: i32,
    email: Option<String>,
    transport: String,
    persistent: bool,
    device_name: Option<String>,
}

impl Session<'_> {
    /// The account of a user, as seen from a live session of theirs. `None` if either has ended.
    pub(crate) fn find_own_account(
        &mut self,
        user: UserId,
        session: SessionId,
    ) -> Result<Option<OwnAccount>, StoreError> {
        let statement = FindOwnAccount { user_id: user.0, session_id: session.0 };
        let row: Option<OwnAccountRow> = statement.get_result(self.connection).optional()?;
        row.map(|row| row.into_account(user, session)).transpose()
    }

    /// Sets the password, unless the session or what was checked is outdated. The transaction has to end every session
    /// of the user after this.
    pub(crate) fn change_password(
        &mut self,
        user: UserId,
        session: SessionId,
        password_version: i32,
        password_hash: &str,
    ) -> Result<Change, StoreError> {
        let statement = ChangePassword {
            user_id: user.0,
            session_id: session.0,
            password_version,
            password_hash: password_hash.to_owned(),
        };
        let (live, changed): (bool, bool) = statement.get_result(self.connection)?;
        Ok(match (live, changed) {
            (_, true) => Change::Done,
            (false, false) => Change::SessionEnded,
            (true, false) => Change::Outdated,
        })
    }
}

impl OwnAccountRow {
    fn into_account(self, user: UserId, session: SessionId) -> Result<OwnAccount, StoreError> {
        Ok(OwnAccount {
            credentials: Credentials {
                user,
                password_hash: self.password_hash,
                version: self.version,
                password_version: self.password_version,
            },
            email: self.email.unwrap_or_default(),
            session,
            transport: transport(&self.transport)?,
            persistent: self.persistent,
            device_name: self.device_name,
        })
    }
}
