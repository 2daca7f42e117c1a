//! What is deleted when nobody needs it any more, in small batches that wait for nobody.
//!
//! Rows that somebody else has locked are skipped, and no lock is taken on a session that may still live, so neither a
//! rotation nor a logout ever waits for more than the few rows of a batch.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::sessions::microseconds;
use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::RevocationReason;

/// The advisory lock of whoever has the turn, until the end of its batch: the ASCII letters `af-prune`.
pub(super) const LOCK: i64 = i64::from_be_bytes(*b"af-prune");

/// What there is to do for some sessions that follow on one another.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The last of them; `None` past the end.
    pub(crate) last: Option<SessionId>,
    /// Those that look idle or absolutely over, but are not marked so.
    pub(crate) over: Vec<SessionId>,
    /// Those with generations that nobody needs.
    pub(crate) superseded: Vec<SessionId>,
}

/// What became of a user that is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deleted {
    Gone,
    /// A session has come up, the row is gone already, or another node has the turn.
    NotNow,
    /// A table of the host's refers to the row and does not let it go.
    HeldByHost,
}

statement! {
    /// Looks at 500 sessions in the order of their identifiers, if no other node has the turn. A generation is needed until
    /// `keep` after it was replaced, and of an ended session nothing is.
    SurveySessions { turn: BigInt = i64, after: SqlUuid = Uuid, keep: BigInt = i64 }
    -> (Bool, Nullable<SqlUuid>, Array<SqlUuid>, Array<SqlUuid>),
    ", turn AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(turn) AS mine FROM input
    ), batch AS MATERIALIZED (
        SELECT s.id, s.revoked_at, s.expires_at FROM authflow.sessions s, input
        WHERE s.id > input.after AND (SELECT mine FROM turn)
        ORDER BY s.id LIMIT 500
    ), looked_at AS (
        SELECT b.id,
               b.revoked_at IS NULL AND least(b.expires_at, head.expires_at) <= now() AS over,
               CASE WHEN b.revoked_at IS NOT NULL THEN head.generation IS NOT NULL
                    ELSE EXISTS (
                        SELECT FROM authflow.refresh_tokens old
                        JOIN authflow.refresh_tokens next ON next.session_id = old.session_id
                        WHERE old.session_id = b.id AND next.generation > old.generation
                          AND next.issued_at <= now() - input.keep * interval '1 microsecond'
                    )
               END AS superseded
        FROM input, batch b
        LEFT JOIN LATERAL (
            SELECT * FROM authflow.refresh_tokens t WHERE t.session_id = b.id ORDER BY t.generation DESC LIMIT 1
        ) head ON true
    )
    SELECT (SELECT mine FROM turn), (SELECT id FROM batch ORDER BY id DESC LIMIT 1),
           coalesce(array_agg(id) FILTER (WHERE over), '{}'),
           coalesce(array_agg(id) FILTER (WHERE superseded), '{}')
    FROM looked_at"
}

statement! {
    /// Locks sessions against rotation. A rotation that holds one proves that it is not over.
    LockSessions { ids: Array<SqlUuid> = Vec<Uuid> } -> SqlUuid,
    " SELECT s.id FROM authflow.sessions s, input
      WHERE s.id = ANY (input.ids) AND s.revoked_at IS NULL
      FOR NO KEY UPDATE OF s SKIP LOCKED"
}

statement! {
    /// Marks locked sessions as ended if they are over; the nearer end is the reason. Reads the heads anew: a rotation may
    /// have been committed before the lock was had, after the first look.
    EndOver { ids: Array<SqlUuid> = Vec<Uuid> } -> (SqlUuid, SqlUuid, Text),
    ", over AS (
        SELECT s.id, CASE WHEN head.expires_at < s.expires_at THEN 'idle' ELSE 'expired' END AS reason
        FROM input, authflow.sessions s
        LEFT JOIN LATERAL (
            SELECT t.expires_at FROM authflow.refresh_tokens t
            WHERE t.session_id = s.id ORDER BY t.generation DESC LIMIT 1
        ) head ON true
        WHERE s.id = ANY (input.ids) AND least(s.expires_at, head.expires_at) <= now()
    )
    UPDATE authflow.sessions s SET revoked_at = clock_timestamp(), revoked_reason = over.reason
    FROM over WHERE s.id = over.id AND s.revoked_at IS NULL
    RETURNING s.id, s.user_id, over.reason"
}

statement! {
    /// Deletes generations that nobody needs, oldest first: never the head of a session that has not ended, and never one
    /// whose place in the key a slow rotation might still want to take.
    DeleteSuperseded { ids: Array<SqlUuid> = Vec<Uuid>, keep: BigInt = i64, most: BigInt = i64 } -> BigInt,
    ", superseded AS (
        SELECT t.session_id, t.generation
        FROM input, authflow.sessions s
        LEFT JOIN LATERAL (
            SELECT n.generation FROM authflow.refresh_tokens n
            WHERE n.session_id = s.id AND n.issued_at <= now() - input.keep * interval '1 microsecond'
            ORDER BY n.generation DESC LIMIT 1
        ) settled ON true
        JOIN authflow.refresh_tokens t ON t.session_id = s.id
        WHERE s.id = ANY (input.ids)
          AND (s.revoked_at IS NOT NULL OR t.generation < settled.generation)
        ORDER BY t.session_id, t.generation
        LIMIT (SELECT most FROM input)
        FOR UPDATE OF t SKIP LOCKED
    ), deleted AS (
        DELETE FROM authflow.refresh_tokens t USING superseded
        WHERE t.session_id = superseded.session_id AND t.generation = superseded.generation
        RETURNING 1
    )
    SELECT count(*) FROM deleted"
}

statement! {
    /// Deletes sessions that ended longer ago than `kept`, if no other node has the turn.
    DeleteEnded { turn: BigInt = i64, kept: BigInt = i64, most: BigInt = i64 } -> (Bool, BigInt),
    ", turn AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(turn) AS mine FROM input
    ), ended AS (
        SELECT s.id FROM authflow.sessions s, input
        WHERE s.revoked_at < now() - input.kept * interval '1 microsecond' AND (SELECT mine FROM turn)
        ORDER BY s.revoked_at
        LIMIT (SELECT most FROM input)
        FOR UPDATE OF s SKIP LOCKED
    ), deleted AS (
        DELETE FROM authflow.sessions s USING ended WHERE s.id = ended.id RETURNING 1
    )
    SELECT (SELECT mine FROM turn), (SELECT count(*) FROM deleted)"
}

statement! {
    /// Deletes counts of attempts that no longer matter, if no other node has the turn.
    DeleteForgotten { turn: BigInt = i64, most: BigInt = i64 } -> (Bool, BigInt),
    ", turn AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(turn) AS mine FROM input
    ), forgotten AS (
        SELECT a.key FROM authflow.attempts a
        WHERE a.forgotten_at <= now() AND (SELECT mine FROM turn)
        ORDER BY a.forgotten_at
        LIMIT (SELECT most FROM input)
        FOR UPDATE OF a SKIP LOCKED
    ), deleted AS (
        DELETE FROM authflow.attempts a USING forgotten WHERE a.key = forgotten.key RETURNING 1
    )
    SELECT (SELECT mine FROM turn), (SELECT count(*) FROM deleted)"
}

statement! {
    /// Deleted users to whom no session refers any more, if no other node has the turn.
    FindErased { turn: BigInt = i64, after: SqlUuid = Uuid, most: BigInt = i64 } -> (Bool, Array<SqlUuid>),
    ", turn AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(turn) AS mine FROM input
    ), erased AS (
        SELECT u.id FROM authflow.users u, input
        WHERE u.erased_at IS NOT NULL AND u.id > input.after AND (SELECT mine FROM turn)
          AND NOT EXISTS (SELECT FROM authflow.sessions s WHERE s.user_id = u.id)
        ORDER BY u.id LIMIT (SELECT most FROM input)
    )
    SELECT (SELECT mine FROM turn), coalesce((SELECT array_agg(id ORDER BY id) FROM erased), '{}')"
}

statement! {
    /// Deletes one of them, if no other node has the turn.
    DeleteErased { turn: BigInt = i64, id: SqlUuid = Uuid } -> SqlUuid,
    ", turn AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(turn) AS mine FROM input
    )
    DELETE FROM authflow.users u USING input
    WHERE u.id = input.id AND u.erased_at IS NOT NULL AND (SELECT mine FROM turn)
      AND NOT EXISTS (SELECT FROM authflow.sessions s WHERE s.user_id = u.id)
    RETURNING u.id"
}

impl Session<'_> {
    /// What there is to do for the next sessions after this one, and the turn until the end of the transaction. `None` if
    /// another node has the turn.
    pub(crate) fn survey_sessions(
        &mut self,
        after: SessionId,
        keep: TimeDelta,
    ) -> Result<Option<Survey>, StoreError> {
        let statement = SurveySessions { turn: LOCK, after: after.0, keep: microseconds(keep) };
        let (mine, last, over, superseded): (bool, Option<Uuid>, Vec<Uuid>, Vec<Uuid>) =
            statement.get_result(self.connection)?;
        let last = last.map(SessionId);
        Ok(mine.then(|| Survey { last, over: sessions(over), superseded: sessions(superseded) }))
    }

    /// Marks those of the sessions that are over as ended, and answers which they were, whose, and why.
    pub(crate) fn end_over(
        &mut self,
        ids: &[SessionId],
    ) -> Result<Vec<(SessionId, UserId, RevocationReason)>, StoreError> {
        let locked: Vec<Uuid> = LockSessions { ids: uuids(ids) }.load(self.connection)?;
        let ended: Vec<(Uuid, Uuid, String)> = EndOver { ids: locked }.load(self.connection)?;
        let ended = ended.into_iter().map(|(id, user, reason)| {
            let reason = reason.parse().map_err(|()| StoreError::Corrupt("sessions.revoked_reason"))?;
            Ok((SessionId(id), UserId(user), reason))
        });
        ended.collect()
    }

    /// Deletes at most so many generations of these sessions that nobody needs, and answers how many they were.
    pub(crate) fn delete_superseded(
        &mut self,
        ids: &[SessionId],
        keep: TimeDelta,
        most: i64,
    ) -> Result<i64, StoreError> {
        let statement = DeleteSuperseded { ids: uuids(ids), keep: microseconds(keep), most };
        Ok(statement.get_result(self.connection)?)
    }

    /// Deletes at most so many sessions that ended longer ago than `kept`. `None` if another node has the turn.
    pub(crate) fn delete_ended(&mut self, kept: TimeDelta, most: i64) -> Result<Option<i64>, StoreError> {
        let statement = DeleteEnded { turn: LOCK, kept: microseconds(kept), most };
        let (mine, deleted): (bool, i64) = statement.get_result(self.connection)?;
        Ok(mine.then_some(deleted))
    }

    /// Deletes at most so many counts of attempts that no longer matter. `None` if another node has the turn.
    pub(crate) fn delete_forgotten(&mut self, most: i64) -> Result<Option<i64>, StoreError> {
        let (mine, deleted): (bool, i64) =
            DeleteForgotten { turn: LOCK, most }.get_result(self.connection)?;
        Ok(mine.then_some(deleted))
    }

    /// The next deleted users after this one to whom no session refers. `None` if another node has the turn.
    pub(crate) fn find_erased(
        &mut self,
        after: UserId,
        most: i64,
    ) -> Result<Option<Vec<UserId>>, StoreError> {
        let statement = FindErased { turn: LOCK, after: after.0, most };
        let (mine, ids): (bool, Vec<Uuid>) = statement.get_result(self.connection)?;
        Ok(mine.then(|| ids.into_iter().map(UserId).collect()))
    }

    /// Deletes the bare row of a deleted user.
    pub(crate) fn delete_erased(&mut self, id: UserId) -> Result<Deleted, StoreError> {
        let statement = DeleteErased { turn: LOCK, id: id.0 };
        match statement.get_result::<Uuid>(self.connection).optional() {
            Ok(Some(_)) => Ok(Deleted::Gone),
            Ok(None) => Ok(Deleted::NotNow),
            Err(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => {
                Ok(Deleted::HeldByHost)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn sessions(ids: Vec<Uuid>) -> Vec<SessionId> {
    ids.into_iter().map(SessionId).collect()
}

fn uuids(ids: &[SessionId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
