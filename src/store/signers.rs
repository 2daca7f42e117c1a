//! Which key signed the access tokens of which session: `signed_by` in `authflow.refresh_tokens`.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::refresh_token::Generation;
use crate::domain::session::RevocationReason;

statement! {
    /// Looks at the next sessions in the order of their identifiers, ends those that live and whose newest generation was given
    /// with an access token of this key, and says how far that went. How many are looked at is bounded, not how many are
    /// ended: a key that signed few would else be looked for in all of them at once.
    ///
    /// They are many users', none of whom is locked. That can be a deadlock with what ends the sessions of one of them, and
    /// either side tries again. A session that is being started in this moment is not seen, as little as one that a node
    /// starts which has not heard of the key yet: whoever ends these asks again afterwards.
    EndSignedBy { after: SqlUuid = Uuid, kid: Text = String, reason: Text = &'static str, most: BigInt = i64 }
    -> (Nullable<SqlUuid>, Array<SqlUuid>, Array<SqlUuid>),
    ", next AS MATERIALIZED (
        SELECT s.id FROM authflow.sessions s, input
        WHERE s.id > input.after
        ORDER BY s.id LIMIT (SELECT most FROM input)
    ), signed AS (
        SELECT next.id
        FROM input, next
        CROSS JOIN LATERAL (
            SELECT t.signed_by FROM authflow.refresh_tokens t
            WHERE t.session_id = next.id ORDER BY t.generation DESC LIMIT 1
        ) newest
        WHERE input.kid = ANY (newest.signed_by)
    ), ended AS (
        UPDATE authflow.sessions s SET revoked_at = clock_timestamp(), revoked_reason = input.reason
        FROM input, signed WHERE s.id = signed.id AND s.revoked_at IS NULL
        RETURNING s.id, s.user_id
    )
    SELECT (SELECT id FROM next ORDER BY id DESC LIMIT 1),
           coalesce(array_agg(id), '{}'), coalesce(array_agg(user_id), '{}')
    FROM ended"
}

statement! {
    /// Notes that a retry was given an access token of another key than the rotation.
    AddSigner { session_id: SqlUuid = Uuid, generation: Integer = i32, kid: Text = String } -> Integer,
    " UPDATE authflow.refresh_tokens t SET signed_by = t.signed_by || input.kid
      FROM input
      WHERE t.session_id = input.session_id AND t.generation = input.generation AND input.kid <> ALL (t.signed_by)
      RETURNING t.generation"
}

/// A session, and whose it is.
pub(crate) type OwnedSession = (SessionId, UserId);

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

impl Session<'_> {
    /// Looks at so many sessions after this one, ends those whose last access token this key signed, and answers the last that
    /// was looked at, `None` past the end, and which were ended, and whose.
    pub(crate) fn end_next_signed_by(
        &mut self,
        after: SessionId,
        kid: &str,
        most: i64,
    ) -> Result<(Option<SessionId>, Vec<OwnedSession>), StoreError> {
        let reason = RevocationReason::KeyCompromised.as_str();
        let statement = EndSignedBy { after: after.0, kid: kid.to_owned(), reason, most };
        let (last, ids, users): (Option<Uuid>, Vec<Uuid>, Vec<Uuid>) =
            statement.get_result(self.connection)?;
        let ended = ids.into_iter().map(SessionId).zip(users.into_iter().map(UserId));
        Ok((last.map(SessionId), ended.collect()))
    }

    pub(crate) fn add_signer(
        &mut self,
        session: SessionId,
        generation: Generation,
        kid: &str,
    ) -> Result<(), StoreError> {
        let Ok(generation) = i32::try_from(generation) else { return Ok(()) };
        let statement = AddSigner { session_id: session.0, generation, kid: kid.to_owned() };
        statement.load::<i32>(self.connection)?;
        Ok(())
    }

    /// Whether any session lives.
    pub(crate) fn has_sessions(&mut self) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT FROM authflow.sessions WHERE revoked_at IS NULL) AS found";
        Ok(diesel::sql_query(query).get_result::<Found>(self.connection)?.found)
    }
}
