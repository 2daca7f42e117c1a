//! `authflow.sessions`.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::refresh_token::{Nonce, TokenDigest};
use crate::domain::session::{Device, EndedSession, LiveSession, RevocationReason, Transport};

/// A session to be started, with its first refresh token. Identifier, digest and nonce are drawn by the caller, so that a
/// repeated insertion knows its own row.
#[derive(Debug, Clone)]
pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    /// What the login was checked against; `None` where no password was asked for.
    pub(crate) credentials_version: Option<i32>,
    pub(crate) transport: Transport,
    pub(crate) persistent: bool,
    pub(crate) device: Device,
    /// The absolute life.
    pub(crate) life: TimeDelta,
    /// The idle life of a refresh token.
    pub(crate) refresh_life: TimeDelta,
    pub(crate) digest: TokenDigest,
    pub(crate) nonce: Nonce,
    /// The key that will sign the access token.
    pub(crate) signed_by: String,
}

/// A session that was started, in a transaction that may still fail.
#[derive(Debug, Clone)]
pub(crate) struct StartedSession {
    pub(crate) session: LiveSession,
    /// The user's other live sessions, without those that are being started in the same moment.
    pub(crate) others: i64,
    /// Of the user's password, by which the device is known from now on.
    pub(crate) password_version: i32,
}

/// What became of the start of a session.
#[derive(Debug, Clone)]
pub(crate) enum Started {
    Live(Box<StartedSession>),
    /// The user is gone or disabled, or logins that were checked before are outdated.
    Refused,
}

/// What every statement answers that gives a session its tokens.
pub(super) type LiveColumns = (
    SqlUuid,
    Nullable<Text>,
    Nullable<Text>,
    Timestamptz,
    Array<Text>,
    Array<Text>,
    Bool,
    Timestamptz,
    Timestamptz,
    Timestamptz,
    Timestamptz,
    Timestamptz,
);

/// A row of [`LiveColumns`].
#[derive(Queryable)]
pub(super) struct LiveRow {
    pub(super) user_id: Uuid,
    pub(super) email: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) user_created_at: DateTime<Utc>,
    pub(super) roles: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) persistent: bool,
    pub(super) authenticated_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) refresh_issued_at: DateTime<Utc>,
    pub(super) refresh_expires_at: DateTime<Utc>,
    pub(super) now: DateTime<Utc>,
}

type StartedColumns = (LiveColumns, BigInt, Integer);

#[derive(Queryable)]
struct StartedRow {
    live: LiveRow,
    others: i64,
    password_version: i32,
}

impl StartedRow {
    fn into_started(self, new: &NewSession) -> Box<StartedSession> {
        let session = self.live.into_session(new.id, new.transport);
        Box::new(StartedSession { session, others: self.others, password_version: self.password_version })
    }
}

impl LiveRow {
    pub(super) fn into_session(self, id: SessionId, transport: Transport) -> LiveSession {
        LiveSession {
            id,
            user: UserId(self.user_id),
            email: self.email,
            external_id: self.external_id,
            user_created_at: self.user_created_at,
            roles: self.roles,
            scopes: self.scopes,
            transport,
            persistent: self.persistent,
            authenticated_at: self.authenticated_at,
            refresh_issued_at: self.refresh_issued_at,
            refresh_expires_at: self.refresh_expires_at,
            now: self.now,
        }
    }
}

statement! {
    /// Starts a session and its chain. `FOR SHARE` holds off a password change or a disabling that would otherwise end
    /// the user's sessions without seeing this one; the time is taken after the lock.
    StartSession {
        session_id: SqlUuid = Uuid,
        user_id: SqlUuid = Uuid,
        credentials_version: Nullable<Integer> = Option<i32>,
        transport: Text = &'static str,
        persistent: Bool = bool,
        device_name: Nullable<Text> = Option<String>,
        user_agent: Nullable<Text> = Option<String>,
        ip: Nullable<Text> = Option<String>,
        life: BigInt = i64,
        refresh_life: BigInt = i64,
        digest: Binary = Vec<u8>,
        nonce: Binary = Vec<u8>,
        signed_by: Text = String,
    } -> StartedColumns,
    ", owner AS MATERIALIZED (
        SELECT u.id, u.email, u.external_id, u.created_at, u.roles, u.scopes, u.password_version
        FROM authflow.users u, input
        WHERE u.id = input.user_id AND u.disabled_at IS NULL
          AND (input.credentials_version IS NULL OR u.credentials_version = input.credentials_version)
        FOR SHARE OF u
    ), clock AS MATERIALIZED (
        SELECT clock_timestamp() AS now FROM owner
    ), started AS (
        INSERT INTO authflow.sessions
            (id, user_id, transport, persistent, device_name, user_agent, ip, authenticated_at, created_at, expires_at)
        SELECT input.session_id, owner.id, input.transport, input.persistent, input.device_name, input.user_agent,
               input.ip, clock.now, clock.now, clock.now + input.life * interval '1 microsecond'
        FROM input, owner, clock
        ON CONFLICT (id) DO NOTHING
        RETURNING id, persistent, authenticated_at, expires_at
    ), first AS (
        INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at, signed_by)
        SELECT started.id, 0, input.digest, input.nonce, clock.now,
               least(started.expires_at, clock.now + input.refresh_life * interval '1 microsecond'), ARRAY[input.signed_by]
        FROM input, started, clock
        RETURNING issued_at, expires_at
    )
    SELECT owner.id, owner.email, owner.external_id, owner.created_at, owner.roles, owner.scopes,
           started.persistent, started.authenticated_at, started.expires_at, first.issued_at, first.expires_at, clock.now,
           (SELECT count(*) FROM authflow.sessions s WHERE s.user_id = owner.id AND s.revoked_at IS NULL),
           owner.password_version
    FROM owner, clock, started, first"
}

statement! {
    /// The session that an earlier run of the same start committed.
    FindStarted { session_id: SqlUuid = Uuid, digest: Binary = Vec<u8> }
    -> StartedColumns,
    " SELECT u.id, u.email, u.external_id, u.created_at, u.roles, u.scopes, s.persistent, s.authenticated_at, s.expires_at,
             t.issued_at, t.expires_at, clock_timestamp(),
             (SELECT count(*) FROM authflow.sessions o WHERE o.user_id = u.id AND o.revoked_at IS NULL),
             u.password_version
      FROM input
      JOIN authflow.sessions s ON s.id = input.session_id AND s.revoked_at IS NULL
      JOIN authflow.users u ON u.id = s.user_id
      JOIN authflow.refresh_tokens t ON t.session_id = s.id AND t.generation = 0 AND t.digest = input.digest"
}

statement! {
    /// Ends one session. Has its lock before it takes the time: reuse ends a session in no transaction of its own, and so
    /// nothing else bounds how long after its timestamp the row becomes visible to the nodes that look for it.
    Revoke { session_id: SqlUuid = Uuid, reason: Text = &'static str } -> SqlUuid,
    ", own AS MATERIALIZED (
        SELECT s.id FROM authflow.sessions s, input
        WHERE s.id = input.session_id AND s.revoked_at IS NULL
        FOR NO KEY UPDATE OF s
    )
    UPDATE authflow.sessions s SET revoked_at = clock_timestamp(), revoked_reason = input.reason
    FROM input, own WHERE s.id = own.id AND s.revoked_at IS NULL
    RETURNING s.user_id"
}

statement! {
    /// Ends the sessions of a user, all or all but one.
    RevokeAll { user_id: SqlUuid = Uuid, kept: Nullable<SqlUuid> = Option<Uuid>, reason: Text = &'static str }
    -> (SqlUuid, Text),
    " UPDATE authflow.sessions s SET revoked_at = clock_timestamp(), revoked_reason = input.reason
      FROM input
      WHERE s.user_id = input.user_id AND s.revoked_at IS NULL AND s.id IS DISTINCT FROM input.kept
      RETURNING s.id, s.transport"
}

statement! {
    /// Looks at the next sessions in the order of their identifiers, ends those that live, and says how far that went. How
    /// many are looked at is bounded, not how many are ended: where most have ended, looking is what takes the time.
    ///
    /// They are many users', none of whom is locked. That can be a deadlock with what ends the sessions of one of them, and
    /// either side tries again.
    RevokeNext { after: SqlUuid = Uuid, reason: Text = &'static str, most: BigInt = i64 }
    -> (Nullable<SqlUuid>, Array<SqlUuid>),
    ", next AS MATERIALIZED (
        SELECT s.id FROM authflow.sessions s, input
        WHERE s.id > input.after
        ORDER BY s.id LIMIT (SELECT most FROM input)
    ), ended AS (
        UPDATE authflow.sessions s SET revoked_at = clock_timestamp(), revoked_reason = input.reason
        FROM input, next WHERE s.id = next.id AND s.revoked_at IS NULL
        RETURNING s.id
    )
    SELECT (SELECT id FROM next ORDER BY id DESC LIMIT 1), coalesce(array_agg(id), '{}') FROM ended"
}

statement! {
    /// The sessions revoked in the last `window` microseconds, the database's time, and whether the server takes writes: one
    /// row at least.
    RecentlyRevoked { window: BigInt = i64 } -> (Timestamptz, Bool, Nullable<SqlUuid>, Nullable<Timestamptz>),
    " SELECT clock_timestamp(), current_setting('transaction_read_only') = 'off', s.id, s.revoked_at
      FROM input
      LEFT JOIN authflow.sessions s ON s.revoked_at > now() - input.window * interval '1 microsecond'"
}

/// The database's time, and the sessions revoked of late with the moment of their end.
pub(crate) struct Revocations {
    pub(crate) now: DateTime<Utc>,
    /// Whether the server takes writes. One that does not may be the primary of yesterday.
    pub(crate) from_primary: bool,
    pub(crate) sessions: Vec<(SessionId, DateTime<Utc>)>,
}

impl Session<'_> {
    pub(crate) fn start_session(&mut self, new: &NewSession) -> Result<Started, StoreError> {
        let statement = StartSession {
            session_id: new.id.0,
            user_id: new.user.0,
            credentials_version: new.credentials_version,
            transport: new.transport.as_str(),
            persistent: new.persistent,
            device_name: new.device.name.clone(),
            user_agent: new.device.user_agent.clone(),
            ip: new.device.ip.clone(),
            life: microseconds(new.life),
            refresh_life: microseconds(new.refresh_life),
            digest: new.digest.0.to_vec(),
            nonce: new.nonce.0.to_vec(),
            signed_by: new.signed_by.clone(),
        };
        let row: Option<StartedRow> = statement.get_result(self.connection).optional()?;
        match row {
            Some(row) => Ok(Started::Live(row.into_started(new))),
            None => self.find_started(new),
        }
    }

    /// The session, if an earlier run of the same start has committed it.
    pub(crate) fn find_started(&mut self, new: &NewSession) -> Result<Started, StoreError> {
        let own = FindStarted { session_id: new.id.0, digest: new.digest.0.to_vec() };
        let row: Option<StartedRow> = own.get_result(self.connection).optional()?;
        Ok(row.map_or(Started::Refused, |row| Started::Live(row.into_started(new))))
    }

    /// Ends a session. Answers whose it was, or `None` if it had ended before or is not known.
    pub(crate) fn revoke(
        &mut self,
        session: SessionId,
        reason: RevocationReason,
    ) -> Result<Option<UserId>, StoreError> {
        let statement = Revoke { session_id: session.0, reason: reason.as_str() };
        let user: Option<Uuid> = statement.get_result(self.connection).optional()?;
        Ok(user.map(UserId))
    }

    /// Ends every session of a user, but for the kept one, and answers which they were.
    pub(crate) fn revoke_all(
        &mut self,
        user: UserId,
        kept: Option<SessionId>,
        reason: RevocationReason,
    ) -> Result<Vec<EndedSession>, StoreError> {
        let kept = kept.map(|kept| kept.0);
        let statement = RevokeAll { user_id: user.0, kept, reason: reason.as_str() };
        let rows: Vec<(Uuid, String)> = statement.load(self.connection)?;
        rows.into_iter()
            .map(|(id, word)| Ok(EndedSession { id: SessionId(id), transport: transport(&word)? }))
            .collect()
    }

    /// Ends the next live sessions after this one, so many at most. Answers with the last that it looked at, if there was
    /// any, and with those that it has ended.
    pub(crate) fn revoke_next(
        &mut self,
        after: SessionId,
        reason: RevocationReason,
        most: i64,
    ) -> Result<(Option<SessionId>, Vec<SessionId>), StoreError> {
        let statement = RevokeNext { after: after.0, reason: reason.as_str(), most };
        let (last, ended): (Option<Uuid>, Vec<Uuid>) = statement.get_result(self.connection)?;
        Ok((last.map(SessionId), ended.into_iter().map(SessionId).collect()))
    }

    pub(crate) fn recently_revoked(&mut self, window: TimeDelta) -> Result<Revocations, StoreError> {
        type Row = (DateTime<Utc>, bool, Option<Uuid>, Option<DateTime<Utc>>);
        let rows: Vec<Row> = RecentlyRevoked { window: microseconds(window) }.load(self.connection)?;
        // The last, because many rows take a while to arrive, and each has the time at which it was read.
        let (now, from_primary, ..) =
            *rows.last().ok_or(StoreError::Corrupt("no row from RecentlyRevoked"))?;
        let sessions = rows.into_iter().filter_map(|(.., id, at)| Some((SessionId(id?), at?))).collect();
        Ok(Revocations { now, from_primary, sessions })
    }
}

/// The word in `sessions.transport`.
pub(super) fn transport(word: &str) -> Result<Transport, StoreError> {
    word.parse().map_err(|()| StoreError::Corrupt("sessions.transport"))
}

/// Spans of configuration are far below the 292,000 years that fit.
pub(super) fn microseconds(span: TimeDelta) -> i64 {
    span.num_microseconds().unwrap_or(i64::MAX)
}
