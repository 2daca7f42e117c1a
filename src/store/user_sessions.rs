//! `authflow.sessions`, as far as they are one user's: the list, and what the user ends.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::sessions::transport;
use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::{Device, EndedSession, ListedSession, RevocationReason};

statement! {
    /// The live sessions of a user, newest first, so many at most.
    ListSessions { user_id: SqlUuid = Uuid, most: BigInt = i64 }
    -> (SqlUuid, Text, Nullable<Text>, Nullable<Text>, Nullable<Text>, Timestamptz, Timestamptz, Timestamptz),
    " SELECT s.id, s.transport, s.device_name, s.user_agent, s.ip, s.created_at, newest.issued_at,
             least(s.expires_at, newest.expires_at)
      FROM input
      JOIN authflow.sessions s ON s.user_id = input.user_id AND s.revoked_at IS NULL
      JOIN LATERAL (
          SELECT t.issued_at, t.expires_at FROM authflow.refresh_tokens t
          WHERE t.session_id = s.id ORDER BY t.generation DESC LIMIT 1
      ) newest ON true
      WHERE s.expires_at > clock_timestamp() AND newest.expires_at > clock_timestamp()
      ORDER BY s.created_at DESC, s.id DESC
      LIMIT (SELECT most FROM input)"
}

statement! {
    /// Ends one session of a user. A row if it is the user's, though it may have ended before; and whether it ended now.
    RevokeOwn { user_id: SqlUuid = Uuid, session_id: SqlUuid = Uuid, reason: Text = &'static str } -> (Text, Bool),
    ", own AS (
        SELECT s.id, s.transport FROM authflow.sessions s, input
        WHERE s.id = input.session_id AND s.user_id = input.user_id
    ), ended AS (
        UPDATE authflow.sessions s SET revoked_at = clock_timestamp(), revoked_reason = input.reason
        FROM input, own WHERE s.id = own.id AND s.revoked_at IS NULL
        RETURNING s.id
    )
    SELECT own.transport, EXISTS (SELECT FROM ended) FROM own"
}

statement! {
    /// Makes every login that was checked before start no session, and waits for those that are starting one.
    OutdateLogins { id: SqlUuid = Uuid } -> SqlUuid,
    " UPDATE authflow.users u SET credentials_version = u.credentials_version + 1
      FROM input WHERE u.id = input.id RETURNING u.id"
}

statement! {
    /// The row lock that everything takes first which ends several sessions of a user.
    LockUser { id: SqlUuid = Uuid } -> SqlUuid,
    " SELECT u.id FROM authflow.users u, input WHERE u.id = input.id FOR NO KEY UPDATE OF u"
}

statement! {
    /// Ends the oldest sessions of a user beyond the newest so many.
    Evict { user_id: SqlUuid = Uuid, most: BigInt = i64, reason: Text = &'static str } -> SqlUuid,
    ", excess AS (
        SELECT s.id FROM authflow.sessions s, input
        WHERE s.user_id = input.user_id AND s.revoked_at IS NULL
        ORDER BY s.created_at DESC, s.id DESC
        OFFSET (SELECT most FROM input)
    )
    UPDATE authflow.sessions s SET revoked_at = clock_timestamp(), revoked_reason = input.reason
    FROM input, excess WHERE s.id = excess.id AND s.revoked_at IS NULL
    RETURNING s.id"
}

#[derive(Queryable)]
struct ListedRow {
    id: Uuid,
    transport: String,
    device_name: Option<String>,
    user_agent: Option<String>,
    ip: Option<String>,
    created_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl Session<'_> {
    /// The live sessions of a user, newest first, at most so many.
    pub(crate) fn list_sessions(
        &mut self,
        user: UserId,
        most: u32,
    ) -> Result<Vec<ListedSession>, StoreError> {
        let statement = ListSessions { user_id: user.0, most: most.into() };
        let rows: Vec<ListedRow> = statement.load(self.connection)?;
        rows.into_iter().map(ListedRow::into_session).collect()
    }

    /// Ends one session of a user, if it has not ended before, and answers whether that was so. `None` if the user has no such
    /// session.
    pub(crate) fn revoke_own(
        &mut self,
        user: UserId,
        id: SessionId,
        reason: RevocationReason,
    ) -> Result<Option<(EndedSession, bool)>, StoreError> {
        let statement = RevokeOwn { user_id: user.0, session_id: id.0, reason: reason.as_str() };
        let row: Option<(String, bool)> = statement.get_result(self.connection).optional()?;
        row.map(|(word, now)| Ok((EndedSession { id, transport: transport(&word)? }, now))).transpose()
    }

    /// Makes every login of the user that was checked before start no session, and waits for those that are starting one.
    /// Comes before the sessions in every transaction that ends all of them. The password stays what it is.
    pub(crate) fn outdate_logins(&mut self, user: UserId) -> Result<(), StoreError> {
        OutdateLogins { id: user.0 }.get_result::<Uuid>(self.connection).optional()?;
        Ok(())
    }
}

impl Session<'_> {
    /// Waits for the user's logins that are starting sessions, and holds off others for the rest of the transaction.
    pub(crate) fn lock_user(&mut self, user: UserId) -> Result<(), StoreError> {
        LockUser { id: user.0 }.get_result::<Uuid>(self.connection).optional()?;
        Ok(())
    }

    /// Ends the oldest sessions of a user beyond the newest `most`, and answers which they were.
    pub(crate) fn evict(&mut self, user: UserId, most: u32) -> Result<Vec<SessionId>, StoreError> {
        let reason = RevocationReason::Evicted.as_str();
        let ids: Vec<Uuid> = Evict { user_id: user.0, most: most.into(), reason }.load(self.connection)?;
        Ok(ids.into_iter().map(SessionId).collect())
    }
}

impl ListedRow {
    fn into_session(self) -> Result<ListedSession, StoreError> {
        Ok(ListedSession {
            id: SessionId(self.id),
            transport: transport(&self.transport)?,
            device: Device { name: self.device_name, user_agent: self.user_agent, ip: self.ip },
            created_at: self.created_at,
            last_seen_at: self.last_seen_at,
            expires_at: self.expires_at,
        })
    }
}
