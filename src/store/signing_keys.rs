//! `authflow.signing_keys`.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Bool, Nullable, Text, Timestamptz};

use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::keys::lifecycle::KeyRecord;

/// The advisory lock of whoever changes keys: the ASCII letters `authkeys`.
const LOCK: i64 = i64::from_be_bytes(*b"authkeys");

statement! {
    /// Every key, and the database's time: one row at least.
    ReadKeys {} -> (Timestamptz, KeyColumns),
    " SELECT clock_timestamp(), k.kid, k.algorithm, k.origin, k.state, k.public_jwk, k.sealed_private_key, k.tag,
             k.created_at, k.signs_from, k.retired_at, k.expires_at, k.compromised_at
      FROM input LEFT JOIN authflow.signing_keys k ON true
      ORDER BY k.created_at, k.kid"
}

statement! {
    /// A key with this `kid` stays as it is.
    InsertKey {
        kid: Text = String,
        algorithm: Text = &'static str,
        origin: Text = &'static str,
        state: Text = &'static str,
        public_jwk: Nullable<Text> = Option<String>,
        sealed_private_key: Nullable<Binary> = Option<Vec<u8>>,
        tag: Nullable<Binary> = Option<Vec<u8>>,
        created_at: Timestamptz = DateTime<Utc>,
        signs_from: Timestamptz = DateTime<Utc>,
        retired_at: Nullable<Timestamptz> = Option<DateTime<Utc>>,
        expires_at: Nullable<Timestamptz> = Option<DateTime<Utc>>,
    } -> Text,
    " INSERT INTO authflow.signing_keys
          (kid, algorithm, origin, state, public_jwk, sealed_private_key, tag, created_at, signs_from, retired_at, expires_at)
      SELECT kid, algorithm, origin, state, public_jwk, sealed_private_key, tag, created_at, signs_from, retired_at, expires_at
      FROM input
      ON CONFLICT (kid) DO NOTHING
      RETURNING kid"
}

statement! {
    /// Retires the keys in these states, except one. The private part goes with that.
    RetireOthers {
        kid: Text = String,
        states: Array<Text> = Vec<&'static str>,
        now: Timestamptz = DateTime<Utc>,
        expires_at: Timestamptz = DateTime<Utc>,
    } -> Text,
    " UPDATE authflow.signing_keys k
      SET state = 'retired', sealed_private_key = NULL, retired_at = input.now, expires_at = input.expires_at
      FROM input WHERE k.state = ANY (input.states) AND k.kid <> input.kid
      RETURNING k.kid"
}

statement! {
    /// Lets a key sign that was announced or, if it comes from elsewhere, had been retired.
    SignWith { kid: Text = String, now: Timestamptz = DateTime<Utc> } -> Text,
    " UPDATE authflow.signing_keys k
      SET state = 'signing', signs_from = input.now, retired_at = NULL, expires_at = NULL
      FROM input WHERE k.kid = input.kid AND k.state IN ('announced', 'retired')
      RETURNING k.kid"
}

statement! {
    Reschedule { kid: Text = String, signs_from: Timestamptz = DateTime<Utc> } -> Text,
    " UPDATE authflow.signing_keys k SET signs_from = input.signs_from
      FROM input WHERE k.kid = input.kid AND k.state = 'announced'
      RETURNING k.kid"
}

statement! {
    Reseal {
        kid: Text = String,
        public_jwk: Nullable<Text> = Option<String>,
        sealed: Nullable<Binary> = Option<Vec<u8>>,
        tag: Nullable<Binary> = Option<Vec<u8>>,
    } -> Text,
    " UPDATE authflow.signing_keys k SET public_jwk = input.public_jwk, sealed_private_key = input.sealed, tag = input.tag
      FROM input WHERE k.kid = input.kid
      RETURNING k.kid"
}

statement! {
    Compromise { kid: Text = String } -> Text,
    " UPDATE authflow.signing_keys k
      SET state = 'compromised', sealed_private_key = NULL, tag = NULL, compromised_at = clock_timestamp()
      FROM input WHERE k.kid = input.kid AND k.state <> 'compromised'
      RETURNING k.kid"
}

statement! {
    ForgetRetired { now: Timestamptz = DateTime<Utc> } -> Text,
    " DELETE FROM authflow.signing_keys k USING input
      WHERE k.state = 'retired' AND k.expires_at <= input.now
      RETURNING k.kid"
}

/// Every key, at one moment of the database.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) now: DateTime<Utc>,
    pub(crate) keys: Vec<KeyRecord>,
}

type KeyColumns = (
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Binary>,
    Nullable<Binary>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
);

/// A row of [`KeyColumns`], all null where there is no key.
#[derive(Queryable)]
struct KeyRow {
    kid: Option<String>,
    algorithm: Option<String>,
    origin: Option<String>,
    state: Option<String>,
    public_jwk: Option<String>,
    sealed_private_key: Option<Vec<u8>>,
    tag: Option<Vec<u8>>,
    created_at: Option<DateTime<Utc>>,
    signs_from: Option<DateTime<Utc>>,
    retired_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    compromised_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = Bool)]
    taken: bool,
}

impl Session<'_> {
    pub(crate) fn read_keys(&mut self) -> Result<Keys, StoreError> {
        let rows: Vec<(DateTime<Utc>, KeyRow)> = ReadKeys {}.load(self.connection)?;
        let now = rows.first().ok_or(StoreError::Corrupt("no row from ReadKeys"))?.0;
        let keys: Result<Vec<_>, _> = rows.into_iter().filter_map(|(_, row)| row.into_record()).collect();
        Ok(Keys { now, keys: keys? })
    }

    /// Waits for whoever else is changing keys, and makes others wait until this transaction ends.
    pub(crate) fn lock_keys(&mut self) -> Result<(), StoreError> {
        Ok(self.connection.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})"))?)
    }

    /// Takes the lock unless somebody has it, and answers whether it was taken.
    pub(crate) fn try_lock_keys(&mut self) -> Result<bool, StoreError> {
        let query = diesel::sql_query(format!("SELECT pg_try_advisory_xact_lock({LOCK}) AS taken"));
        Ok(query.get_result::<Taken>(self.connection)?.taken)
    }

    /// Answers whether the row is new.
    pub(crate) fn insert_key(&mut self, key: &KeyRecord) -> Result<bool, StoreError> {
        let statement = InsertKey {
            kid: key.kid.clone(),
            algorithm: key.algorithm.as_str(),
            origin: key.origin.as_str(),
            state: key.state.as_str(),
            public_jwk: key.public_jwk.clone(),
            sealed_private_key: key.sealed.clone(),
            tag: key.tag.clone(),
            created_at: key.created_at,
            signs_from: key.signs_from,
            retired_at: key.retired_at,
            expires_at: key.expires_at,
        };
        Ok(statement.get_result::<String>(self.connection).optional()?.is_some())
    }

    /// Retires the signing key, and with `announced` also what was to sign next, unless it is `kid`.
    pub(crate) fn retire_other_keys(
        &mut self,
        kid: &str,
        announced: bool,
        now: DateTime<Utc>,
        keep: TimeDelta,
    ) -> Result<(), StoreError> {
        let states = if announced { vec!["signing", "announced"] } else { vec!["signing"] };
        let expires_at = now.checked_add_signed(keep).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let statement = RetireOthers { kid: kid.to_owned(), states, now, expires_at };
        statement.load::<String>(self.connection)?;
        Ok(())
    }

    pub(crate) fn sign_with(&mut self, kid: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        SignWith { kid: kid.to_owned(), now }.load::<String>(self.connection)?;
        Ok(())
    }

    pub(crate) fn reschedule_key(&mut self, kid: &str, signs_from: DateTime<Utc>) -> Result<(), StoreError> {
        Reschedule { kid: kid.to_owned(), signs_from }.load::<String>(self.connection)?;
        Ok(())
    }

    /// Stores the key's new seal and tag.
    pub(crate) fn reseal_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        let statement = Reseal {
            kid: key.kid.clone(),
            public_jwk: key.public_jwk.clone(),
            sealed: key.sealed.clone(),
            tag: key.tag.clone(),
        };
        statement.load::<String>(self.connection)?;
        Ok(())
    }

    pub(crate) fn compromise_key(&mut self, kid: &str) -> Result<(), StoreError> {
        Compromise { kid: kid.to_owned() }.load::<String>(self.connection)?;
        Ok(())
    }

    pub(crate) fn forget_retired_keys(&mut self, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        Ok(ForgetRetired { now }.load(self.connection)?)
    }
}

impl KeyRow {
    /// `None` for the row that says only what time it is.
    fn into_record(self) -> Option<Result<KeyRecord, StoreError>> {
        let (Some(kid), Some(created_at), Some(signs_from)) = (self.kid, self.created_at, self.signs_from)
        else {
            return None;
        };
        let words = (self.algorithm?.parse(), self.origin?.parse(), self.state?.parse());
        let (Ok(algorithm), Ok(origin), Ok(state)) = words else {
            return Some(Err(StoreError::Corrupt("signing_keys")));
        };
        Some(Ok(KeyRecord {
            kid,
            algorithm,
            origin,
            state,
            public_jwk: self.public_jwk,
            sealed: self.sealed_private_key,
            tag: self.tag,
            created_at,
            signs_from,
            retired_at: self.retired_at,
            expires_at: self.expires_at,
            compromised_at: self.compromised_at,
        }))
    }
}
