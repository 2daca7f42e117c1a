//! Which key signed the access tokens of which session: `signed_by` in `authflow.refresh_tokens`.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::refresh_token::Generation;
use crate::domain::session::RevocationReason;

statement! {
    /// Ends live sessions, so many at most, whose newest generation was given with an access token of this key.
    ///
    /// They are many users', none of whom is locked. That can be a deadlock with what ends the sessions of one of them, and
    /// either side tries again. A session that is being started in this moment is not seen, as little as one that a node
    /// starts which has not heard of the key yet: whoever ends these asks again afterwards.
    EndSignedBy { kid: Text = String, reason: Text = &'static str, most: BigInt = i64 } -> (SqlUuid, SqlUuid),
    ", ended AS (
        SELECT s.id
        FROM input, authflow.sessions s
        CROSS JOIN LATERAL (
            SELECT t.signed_by FROM authflow.refresh_tokens t
            WHERE t.session_id = s.id ORDER BY t.generation DESC LIMIT 1
        ) newest
        WHERE s.revoked_at IS NULL AND input.kid = ANY (newest.signed_by)
        LIMIT (SELECT most FROM input)
    )
    UPDATE authflow.sessions s SET revoked_at = clock_timestamp(), revoked_reason = input.reason
    FROM input, ended WHERE s.id = ended.id AND s.revoked_at IS NULL
    RETURNING s.id, s.user_id"
}

statement! {
    /// Notes that a retry was given an access token of another key than the rotation.
    AddSigner { session_id: SqlUuid = Uuid, generation: Integer = i32, kid: Text = String } -> Integer,
    " UPDATE authflow.refresh_tokens t SET signed_by = t.signed_by || input.kid
      FROM input
      WHERE t.session_id = input.session_id AND t.generation = input.generation AND input.kid <> ALL (t.signed_by)
      RETURNING t.generation"
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

impl Session<'_> {
    /// Ends up to `most` sessions whose last access token this key signed, and answers which they were, and whose.
    pub(crate) fn end_sessions_signed_by(
        &mut self,
        kid: &str,
        most: i64,
    ) -> Result<Vec<(SessionId, UserId)>, StoreError> {
        let reason = RevocationReason::KeyCompromised.as_str();
        let statement = EndSignedBy { kid: kid.to_owned(), reason, most };
        let ended: Vec<(Uuid, Uuid)> = statement.load(self.connection)?;
        Ok(ended.into_iter().map(|(id, user)| (SessionId(id), UserId(user))).collect())
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
