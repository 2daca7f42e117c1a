//! `authflow.events`: the audit trail.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::housekeeping::LOCK;
use super::sessions::microseconds;
use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::event::SecurityEvent;

statement! {
    /// Adds events, a column of each, but for those that are there already.
    InsertEvents {
        event_id: Array<SqlUuid> = Vec<Uuid>,
        occurred_at: Array<Timestamptz> = Vec<DateTime<Utc>>,
        event: Array<Text> = Vec<&'static str>,
        reason: Array<Nullable<Text>> = Vec<Option<&'static str>>,
        actor: Array<Text> = Vec<&'static str>,
        address: Array<Nullable<Text>> = Vec<Option<String>>,
        user_id: Array<Nullable<SqlUuid>> = Vec<Option<Uuid>>,
        session_id: Array<Nullable<SqlUuid>> = Vec<Option<Uuid>>,
        details: Array<Nullable<Text>> = Vec<Option<String>>,
    } -> BigInt,
    ", added AS (
        INSERT INTO authflow.events
            (event_id, occurred_at, event, reason, actor, address, user_id, session_id, details)
        SELECT e.event_id, e.occurred_at, e.event, e.reason, e.actor, e.address, e.user_id, e.session_id, e.details::jsonb
        FROM input, unnest(input.event_id, input.occurred_at, input.event, input.reason, input.actor, input.address,
                           input.user_id, input.session_id, input.details)
             AS e (event_id, occurred_at, event, reason, actor, address, user_id, session_id, details)
        ON CONFLICT (event_id) DO NOTHING
        RETURNING 1
    )
    SELECT count(*) FROM added"
}

statement! {
    /// Deletes events that are older than `kept`, if no other node has the turn.
    DeleteEvents { turn: BigInt = i64, kept: BigInt = i64, most: BigInt = i64 } -> (Bool, BigInt),
    ", turn AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(turn) AS mine FROM input
    ), old AS (
        SELECT e.id FROM authflow.events e, input
        WHERE e.occurred_at < now() - input.kept * interval '1 microsecond' AND (SELECT mine FROM turn)
        ORDER BY e.occurred_at
        LIMIT (SELECT most FROM input)
    ), deleted AS (
        DELETE FROM authflow.events e USING old WHERE e.id = old.id RETURNING 1
    )
    SELECT (SELECT mine FROM turn), (SELECT count(*) FROM deleted)"
}

impl Session<'_> {
    /// Stores events under these identifiers, one for each. May be repeated, as long as they are the same.
    pub(crate) fn insert_events(&mut self, ids: &[Uuid], events: &[SecurityEvent]) -> Result<(), StoreError> {
        let statement = InsertEvents {
            event_id: ids.to_vec(),
            occurred_at: events.iter().map(|event| event.time).collect(),
            event: events.iter().map(|event| event.kind.name()).collect(),
            reason: events.iter().map(|event| event.kind.reason()).collect(),
            actor: events.iter().map(|event| event.by.as_str()).collect(),
            address: events.iter().map(|event| Some(event.address()?.to_string())).collect(),
            user_id: events.iter().map(|event| Some(event.user_id?.0)).collect(),
            session_id: events.iter().map(|event| Some(event.session_id?.0)).collect(),
            details: events.iter().map(|event| Some(event.kind.details()?.to_string())).collect(),
        };
        statement.get_result::<i64>(self.connection)?;
        Ok(())
    }

    /// Deletes at most so many events that are older than `kept`. `None` if another node has the turn.
    pub(crate) fn delete_events(&mut self, kept: TimeDelta, most: i64) -> Result<Option<i64>, StoreError> {
        let statement = DeleteEvents { turn: LOCK, kept: microseconds(kept), most };
        let (mine, deleted): (bool, i64) = statement.get_result(self.connection)?;
        Ok(mine.then_some(deleted))
    }
}
