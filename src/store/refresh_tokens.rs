//! `authflow.refresh_tokens`: the chains.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::sessions::{LiveColumns, LiveRow, microseconds};
use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::refresh_token::{Generation, Nonce, TokenDigest};
use crate::domain::rotation::{Chain, Link, Presented};
use crate::domain::session::LiveSession;

/// One attempt to add the next generation.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    pub(crate) session: SessionId,
    /// Whose session it must be; `None` where no access token came along.
    pub(crate) user: Option<UserId>,
    pub(crate) presented: Presented,
    /// Of the successor that this request derived.
    pub(crate) successor: TokenDigest,
    pub(crate) grace: TimeDelta,
    pub(crate) refresh_life: TimeDelta,
    /// The key that will sign the access token.
    pub(crate) signed_by: String,
}

statement! {
    /// The rotation: one guarded insertion. It requires the presented row with its digest as the head of its chain, not
    /// younger than the grace window (unless it is the first), the session live and the user enabled.
    ///
    /// `FOR SHARE` on the session waits for a logout that is under way and sees what it did, and makes a later one wait
    /// and see this row. Of several rotations of one generation the primary key admits one. The time is taken after
    /// the lock. Each table is looked at once: the fewer nodes a plan has, the less Postgres sets up each time.
    Rotate {
        session_id: SqlUuid = Uuid,
        user_id: Nullable<SqlUuid> = Option<Uuid>,
        transport: Text = &'static str,
        generation: Integer = i32,
        digest: Binary = Vec<u8>,
        successor: Binary = Vec<u8>,
        nonce: Binary = Vec<u8>,
        grace: BigInt = i64,
        refresh_life: BigInt = i64,
        signed_by: Text = String,
    } -> LiveColumns,
    ", live AS MATERIALIZED (
        SELECT u.id AS user_id, u.email, u.created_at, u.roles, u.scopes, s.id, s.persistent, s.authenticated_at, s.expires_at
        FROM authflow.sessions s, authflow.users u, input
        WHERE s.id = input.session_id AND s.revoked_at IS NULL AND s.transport = input.transport
          AND (input.user_id IS NULL OR s.user_id = input.user_id)
          AND u.id = s.user_id AND u.disabled_at IS NULL
        FOR SHARE OF s
    ), successor AS (
        INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at, signed_by)
        SELECT timed.id, head.generation + 1, input.successor, input.nonce, timed.now,
               least(timed.expires_at, timed.now + input.refresh_life * interval '1 microsecond'), ARRAY[input.signed_by]
        FROM input, (SELECT live.id, live.expires_at, clock_timestamp() AS now FROM live) timed, (
            SELECT t.generation, t.digest, t.issued_at, t.expires_at FROM authflow.refresh_tokens t, input
            WHERE t.session_id = input.session_id
            ORDER BY t.generation DESC LIMIT 1
        ) head
        WHERE head.generation = input.generation AND head.digest = input.digest
          AND head.expires_at > timed.now AND timed.expires_at > timed.now
          AND (head.generation = 0 OR timed.now - head.issued_at >= input.grace * interval '1 microsecond')
        ON CONFLICT (session_id, generation) DO NOTHING
        RETURNING issued_at, expires_at
    )
    SELECT live.user_id, live.email, live.created_at, live.roles, live.scopes, live.persistent, live.authenticated_at,
           live.expires_at, successor.issued_at, successor.expires_at, successor.issued_at
    FROM live, successor"
}

statement! {
    /// All that the rule asks about, in one snapshot; and whether the key is noted as one that signed for the newest row.
    ReadChain { session_id: SqlUuid = Uuid, generation: Integer = i32, signed_by: Text = String }
    -> (Text, Nullable<Text>, Bool, Bool, LiveColumns, LinkColumns, LinkColumns),
    " SELECT s.transport, s.revoked_reason, u.disabled_at IS NOT NULL,
             coalesce(input.signed_by = ANY (newest.signed_by), false),
             u.id, u.email, u.created_at, u.roles, u.scopes, s.persistent, s.authenticated_at, s.expires_at,
             coalesce(newest.issued_at, s.created_at), coalesce(newest.expires_at, s.expires_at), clock_timestamp(),
             newest.generation, newest.digest, newest.nonce, newest.issued_at, newest.expires_at,
             presented.generation, presented.digest, presented.nonce, presented.issued_at, presented.expires_at
      FROM input
      JOIN authflow.sessions s ON s.id = input.session_id
      JOIN authflow.users u ON u.id = s.user_id
      LEFT JOIN LATERAL (
          SELECT * FROM authflow.refresh_tokens t WHERE t.session_id = s.id ORDER BY t.generation DESC LIMIT 1
      ) newest ON true
      LEFT JOIN authflow.refresh_tokens presented
          ON presented.session_id = s.id AND presented.generation = input.generation"
}

statement! {
    DeleteChains { session_ids: Array<SqlUuid> = Vec<Uuid> } -> BigInt,
    ", deleted AS (
        DELETE FROM authflow.refresh_tokens t USING input WHERE t.session_id = ANY (input.session_ids) RETURNING 1
    )
    SELECT count(*) FROM deleted"
}

type LinkColumns =
    (Nullable<Integer>, Nullable<Binary>, Nullable<Binary>, Nullable<Timestamptz>, Nullable<Timestamptz>);

/// A row of the chain, or nulls where there is none.
#[derive(Queryable)]
struct LinkRow {
    generation: Option<i32>,
    digest: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
    issued_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
}

/// What was read of a session and its chain.
pub(crate) struct ChainRead {
    /// As the rule sees it.
    pub(crate) chain: Chain,
    /// As its tokens would need it.
    pub(crate) live: LiveSession,
    /// Whether the newest row says that this key signed.
    pub(crate) signer_noted: bool,
}

#[derive(Queryable)]
struct ChainRow {
    transport: String,
    revoked_reason: Option<String>,
    user_disabled: bool,
    signer_noted: bool,
    live: LiveRow,
    newest: LinkRow,
    presented: LinkRow,
}

impl Session<'_> {
    /// Adds the next generation if the rule allows it; `None` says nothing but that no row was added.
    pub(crate) fn rotate(&mut self, rotation: &Rotation) -> Result<Option<LiveSession>, StoreError> {
        let Rotation { presented, session, .. } = rotation;
        let Ok(generation) = i32::try_from(presented.generation) else { return Ok(None) };
        let statement = Rotate {
            session_id: session.0,
            user_id: rotation.user.map(|user| user.0),
            transport: presented.transport.as_str(),
            generation,
            digest: presented.digest.0.to_vec(),
            successor: rotation.successor.0.to_vec(),
            nonce: presented.own_nonce.0.to_vec(),
            grace: microseconds(rotation.grace),
            refresh_life: microseconds(rotation.refresh_life),
            signed_by: rotation.signed_by.clone(),
        };
        let row: Option<LiveRow> = statement.get_result(self.connection).optional()?;
        Ok(row.map(|row| row.into_session(*session, presented.transport)))
    }

    /// The session and its chain, for the one who presented this generation and would sign with this key.
    pub(crate) fn read_chain(
        &mut self,
        session: SessionId,
        generation: Generation,
        signed_by: &str,
    ) -> Result<Option<ChainRead>, StoreError> {
        // A generation beyond the column's range names no row.
        let generation = i32::try_from(generation).unwrap_or(i32::MAX);
        let statement = ReadChain { session_id: session.0, generation, signed_by: signed_by.to_owned() };
        let row: Option<ChainRow> = statement.get_result(self.connection).optional()?;
        row.map(|row| row.into_chain(session)).transpose()
    }

    /// Deletes every generation of the sessions, which must have been ended before in the same transaction.
    pub(crate) fn delete_chains(&mut self, sessions: &[SessionId]) -> Result<(), StoreError> {
        let session_ids = sessions.iter().map(|session| session.0).collect();
        DeleteChains { session_ids }.get_result::<i64>(self.connection)?;
        Ok(())
    }
}

impl ChainRow {
    fn into_chain(self, session: SessionId) -> Result<ChainRead, StoreError> {
        let transport = super::sessions::transport(&self.transport)?;
        let revoked = self.revoked_reason.map(|reason| reason.parse()).transpose();
        let chain = Chain {
            now: self.live.now,
            transport,
            revoked: revoked.map_err(|()| StoreError::Corrupt("sessions.revoked_reason"))?,
            user_disabled: self.user_disabled,
            expires_at: self.live.expires_at,
            newest: self.newest.into_link()?,
            presented: self.presented.into_link()?,
        };
        let live = self.live.into_session(session, transport);
        Ok(ChainRead { chain, live, signer_noted: self.signer_noted })
    }
}

impl LinkRow {
    fn into_link(self) -> Result<Option<Link>, StoreError> {
        let (Some(generation), Some(digest), Some(nonce), Some(issued_at), Some(expires_at)) =
            (self.generation, self.digest, self.nonce, self.issued_at, self.expires_at)
        else {
            return Ok(None);
        };
        Ok(Some(Link {
            generation: Generation::try_from(generation).map_err(|_| StoreError::Corrupt("generation"))?,
            digest: TokenDigest(digest.try_into().map_err(|_| StoreError::Corrupt("digest"))?),
            nonce: Nonce(nonce.try_into().map_err(|_| StoreError::Corrupt("nonce"))?),
            issued_at,
            expires_at,
        }))
    }
}
