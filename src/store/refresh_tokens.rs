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
}

/// What rotations have in common.
#[derive(Debug, Clone)]
pub(crate) struct RotationTerms {
    pub(crate) grace: TimeDelta,
    pub(crate) refresh_life: TimeDelta,
    /// The key that will sign the access tokens.
    pub(crate) signed_by: String,
}

/// The rotation, of several sessions at once: one guarded insertion. It requires the presented row with its digest as the
/// head of its chain, not younger than the grace window (unless it is the first), the session live and the user enabled.
///
/// `FOR SHARE` on the session makes a later logout wait and see this row. Of several rotations of one generation the
/// primary key admits one, and makes the others wait until it has committed; in the order of the sessions, so that no two
/// nodes wait for each other. The time is taken after the lock. Each table is looked at once: the fewer nodes a plan has, the
/// less Postgres sets up each time. How long the lists are shows only after the plan is made, so that one plan does for all.
macro_rules! rotation {
    ($(#[$doc:meta])* $name:ident, $lock:literal) => {
        statement! {
            $(#[$doc])*
            $name {
                session_ids: Array<SqlUuid> = Vec<Uuid>,
                user_ids: Array<Nullable<SqlUuid>> = Vec<Option<Uuid>>,
                transports: Array<Text> = Vec<&'static str>,
                generations: Array<Integer> = Vec<i32>,
                digests: Array<Binary> = Vec<Vec<u8>>,
                successors: Array<Binary> = Vec<Vec<u8>>,
                nonces: Array<Binary> = Vec<Vec<u8>>,
                grace: BigInt = i64,
                refresh_life: BigInt = i64,
                signed_by: Text = String,
            } -> (Binary, LiveColumns),
            concat!(", lists AS MATERIALIZED (
                SELECT * FROM input
            ), live AS MATERIALIZED (
                SELECT u.id AS user_id, u.email, u.external_id, u.created_at, u.roles, u.scopes, s.id, s.persistent,
                       s.authenticated_at, s.expires_at, asked.generation, asked.digest, asked.successor, asked.nonce
                FROM lists, unnest(lists.session_ids, lists.user_ids, lists.transports, lists.generations, lists.digests,
                                   lists.successors, lists.nonces)
                         AS asked (session_id, user_id, transport, generation, digest, successor, nonce),
                     authflow.sessions s, authflow.users u
                WHERE s.id = asked.session_id AND s.revoked_at IS NULL AND s.transport = asked.transport
                  AND (asked.user_id IS NULL OR s.user_id = asked.user_id)
                  AND u.id = s.user_id AND u.disabled_at IS NULL
                ", $lock, "
            ), successor AS (
                INSERT INTO authflow.refresh_tokens (session_id, generation, digest, nonce, issued_at, expires_at, signed_by)
                SELECT timed.id, head.generation + 1, timed.successor, timed.nonce, timed.now,
                       least(timed.expires_at, timed.now + input.refresh_life * interval '1 microsecond'),
                       ARRAY[input.signed_by]
                FROM input, (SELECT live.*, clock_timestamp() AS now FROM live) timed, LATERAL (
                    SELECT t.generation, t.digest, t.issued_at, t.expires_at FROM authflow.refresh_tokens t
                    WHERE t.session_id = timed.id
                    ORDER BY t.generation DESC LIMIT 1
                ) head
                WHERE head.generation = timed.generation AND head.digest = timed.digest
                  AND head.expires_at > timed.now AND timed.expires_at > timed.now
                  AND (head.generation = 0 OR timed.now - head.issued_at >= input.grace * interval '1 microsecond')
                ORDER BY timed.id
                ON CONFLICT (session_id, generation) DO NOTHING
                RETURNING session_id, digest, issued_at, expires_at
            )
            SELECT successor.digest, live.user_id, live.email, live.external_id, live.created_at, live.roles, live.scopes,
                   live.persistent, live.authenticated_at, live.expires_at, successor.issued_at, successor.expires_at, successor.issued_at
            FROM live JOIN successor ON successor.session_id = live.id AND successor.digest = live.successor")
        }

        impl $name {
            fn of(asked: &[&Rotation], terms: &RotationTerms) -> Self {
                // A generation beyond the column's range names no row.
                let generation = |presented: &Presented| i32::try_from(presented.generation).unwrap_or(-1);
                Self {
                    session_ids: asked.iter().map(|rotation| rotation.session.0).collect(),
                    user_ids: asked.iter().map(|rotation| rotation.user.map(|user| user.0)).collect(),
                    transports: asked.iter().map(|rotation| rotation.presented.transport.as_str()).collect(),
                    generations: asked.iter().map(|rotation| generation(&rotation.presented)).collect(),
                    digests: asked.iter().map(|rotation| rotation.presented.digest.0.to_vec()).collect(),
                    successors: asked.iter().map(|rotation| rotation.successor.0.to_vec()).collect(),
                    nonces: asked.iter().map(|rotation| rotation.presented.own_nonce.0.to_vec()).collect(),
                    grace: microseconds(terms.grace),
                    refresh_life: microseconds(terms.refresh_life),
                    signed_by: terms.signed_by.clone(),
                }
            }
        }
    };
}

rotation! {
    /// Waits for a logout that is under way, and sees what it did.
    Rotate, "FOR SHARE OF s"
}

rotation! {
    /// Leaves out a session that somebody is about to end, so that those of others need not wait for it.
    RotateTogether, "FOR SHARE OF s SKIP LOCKED"
}

statement! {
    /// All that the rule asks about, in one snapshot; and whether the key is noted as one that signed for the newest row.
    ReadChain { session_id: SqlUuid = Uuid, generation: Integer = i32, signed_by: Text = String }
    -> (Text, Nullable<Text>, Bool, Bool, LiveColumns, LinkColumns, LinkColumns),
    " SELECT s.transport, s.revoked_reason, u.disabled_at IS NOT NULL,
             coalesce(input.signed_by = ANY (newest.signed_by), false),
             u.id, u.email, u.external_id, u.created_at, u.roles, u.scopes, s.persistent, s.authenticated_at, s.expires_at,
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
    pub(crate) fn rotate(
        &mut self,
        rotation: &Rotation,
        terms: &RotationTerms,
    ) -> Result<Option<LiveSession>, StoreError> {
        let rows = Rotate::of(&[rotation], terms).load(self.connection)?;
        Ok(rotated(&[rotation], rows).pop().flatten())
    }

    /// The same for several at once, with one wait for the disk. Each stands for itself; the answers are in the order of the
    /// questions. Waits for no session that somebody is about to end.
    pub(crate) fn rotate_together(
        &mut self,
        asked: &[&Rotation],
        terms: &RotationTerms,
    ) -> Result<Vec<Option<LiveSession>>, StoreError> {
        let rows = RotateTogether::of(asked, terms).load(self.connection)?;
        Ok(rotated(asked, rows))
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

/// To each rotation the row that it came to. The successor's digest tells which that is: also of two for one session.
fn rotated(asked: &[&Rotation], mut rows: Vec<(Vec<u8>, LiveRow)>) -> Vec<Option<LiveSession>> {
    let row_of = |rotation: &&Rotation| {
        let place = rows.iter().position(|(digest, _)| *digest == rotation.successor.0)?;
        let (_, row) = rows.swap_remove(place);
        Some(row.into_session(rotation.session, rotation.presented.transport))
    };
    asked.iter().map(row_of).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::Transport;

    /// The rotation of this number.
    fn rotation(number: u8) -> Rotation {
        let own_nonce = Nonce::random();
        let digest = TokenDigest([0; 32]);
        let presented = Presented { generation: 0, digest, transport: Transport::Cookie, own_nonce };
        let successor = TokenDigest([number; 32]);
        Rotation { session: SessionId::new(), user: None, presented, successor }
    }

    /// The row that it comes to.
    fn row(number: u8) -> (Vec<u8>, LiveRow) {
        let now = Utc::now();
        let row = LiveRow {
            user_id: Uuid::from_u128(number.into()),
            email: None,
            external_id: None,
            user_created_at: now,
            roles: Vec::new(),
            scopes: Vec::new(),
            persistent: true,
            authenticated_at: now,
            expires_at: now,
            refresh_issued_at: now,
            refresh_expires_at: now,
            now,
        };
        (vec![number; 32], row)
    }

    #[test]
    fn in_whatever_order_rows_come_each_is_its_rotations() {
        let rotations = [1, 2, 3, 4].map(rotation);
        let asked = rotations.each_ref();
        for order in [vec![1, 2, 3, 4], vec![4, 3, 2, 1], vec![3, 1], vec![2, 4, 1], vec![]] {
            let answers = rotated(&asked, order.iter().copied().map(row).collect());
            let expected = [1, 2, 3, 4].map(|number| order.contains(&number).then(|| u128::from(number)));
            let users = answers.iter().map(|answer| answer.as_ref().map(|live| live.user.0.as_u128()));
            assert!(users.eq(expected), "{order:?}");
            let sessions = answers.iter().zip(asked);
            assert!(
                sessions.flat_map(|(live, asked)| Some(live.as_ref()?.id == asked.session)).all(|own| own)
            );
        }
    }
}
