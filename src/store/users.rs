//! `authflow.users`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::user::{Credentials, User};

/// A user to be made. The id is drawn by the caller, so that a repeated insertion knows its own row.
#[derive(Debug, Clone)]
pub(crate) struct NewUser {
    pub(crate) id: UserId,
    pub(crate) email: Option<Email>,
    pub(crate) external_id: Option<String>,
    pub(crate) password_hash: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Vec<String>,
}

/// What became of an insertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UserInsertion {
    Inserted(User),
    /// The row was there already: an earlier run of the same work committed it, and its answer was lost.
    OwnCommit(User),
    /// Another user has this e-mail address or external id.
    Taken,
}

type UserRow = (Uuid, Option<String>, DateTime<Utc>);

fn user((id, email, created_at): UserRow) -> User {
    User { id: UserId(id), email, created_at }
}

statement! {
    /// Adds a user unless the e-mail address or the external id is taken; answers with the row if it is this user's.
    InsertUser {
        id: SqlUuid = Uuid,
        email: Nullable<Text> = Option<String>,
        email_canonical: Nullable<Text> = Option<String>,
        external_id: Nullable<Text> = Option<String>,
        password_hash: Nullable<Text> = Option<String>,
        roles: Array<Text> = Vec<String>,
        scopes: Array<Text> = Vec<String>,
    } -> (Bool, SqlUuid, Nullable<Text>, Timestamptz),
    ", inserted AS (
        INSERT INTO authflow.users (id, email, email_canonical, external_id, password_hash, roles, scopes)
        SELECT id, email, email_canonical, external_id, password_hash, roles, scopes FROM input
        ON CONFLICT DO NOTHING
        RETURNING id, email, created_at
    )
    SELECT true, inserted.* FROM inserted
    UNION ALL
    SELECT false, u.id, u.email, u.created_at FROM authflow.users u, input WHERE u.id = input.id"
}

statement! {
    FindUser { id: SqlUuid = Uuid } -> (SqlUuid, Nullable<Text>, Timestamptz),
    " SELECT u.id, u.email, u.created_at FROM authflow.users u, input WHERE u.id = input.id AND u.disabled_at IS NULL"
}

statement! {
    FindByExternalId { external_id: Text = String } -> (SqlUuid, Nullable<Text>, Timestamptz),
    " SELECT u.id, u.email, u.created_at FROM authflow.users u, input WHERE u.external_id = input.external_id"
}

statement! {
    FindCredentials { email_canonical: Text = String } -> (SqlUuid, Nullable<Text>, Integer, Bool),
    " SELECT u.id, u.password_hash, u.credentials_version, u.disabled_at IS NULL
      FROM authflow.users u, input WHERE u.email_canonical = input.email_canonical"
}

statement! {
    /// A better hash of the same password. Not a new credential: the version stays.
    Rehash { id: SqlUuid = Uuid, version: Integer = i32, password_hash: Text = String } -> SqlUuid,
    " UPDATE authflow.users u SET password_hash = input.password_hash, updated_at = clock_timestamp()
      FROM input WHERE u.id = input.id AND u.credentials_version = input.version RETURNING u.id"
}

statement! {
    SetPassword { id: SqlUuid = Uuid, password_hash: Nullable<Text> = Option<String> } -> SqlUuid,
    " UPDATE authflow.users u
      SET password_hash = input.password_hash, credentials_version = u.credentials_version + 1,
          updated_at = clock_timestamp()
      FROM input WHERE u.id = input.id RETURNING u.id"
}

statement! {
    Disable { id: SqlUuid = Uuid } -> SqlUuid,
    " UPDATE authflow.users u
      SET disabled_at = coalesce(u.disabled_at, clock_timestamp()), credentials_version = u.credentials_version + 1,
          updated_at = clock_timestamp()
      FROM input WHERE u.id = input.id RETURNING u.id"
}

statement! {
    Enable { id: SqlUuid = Uuid } -> SqlUuid,
    " UPDATE authflow.users u SET disabled_at = NULL, updated_at = clock_timestamp()
      FROM input WHERE u.id = input.id RETURNING u.id"
}

statement! {
    /// Removes what identifies a person. The bare row stays for as long as sessions refer to it.
    Erase { id: SqlUuid = Uuid } -> SqlUuid,
    " UPDATE authflow.users u
      SET email = NULL, email_canonical = NULL, external_id = NULL, password_hash = NULL, roles = '{}', scopes = '{}',
          disabled_at = coalesce(u.disabled_at, clock_timestamp()), credentials_version = u.credentials_version + 1,
          updated_at = clock_timestamp()
      FROM input WHERE u.id = input.id RETURNING u.id"
}

statement! {
    SetRoles { id: SqlUuid = Uuid, roles: Array<Text> = Vec<String> } -> SqlUuid,
    " UPDATE authflow.users u SET roles = input.roles, updated_at = clock_timestamp()
      FROM input WHERE u.id = input.id RETURNING u.id"
}

statement! {
    SetScopes { id: SqlUuid = Uuid, scopes: Array<Text> = Vec<String> } -> SqlUuid,
    " UPDATE authflow.users u SET scopes = input.scopes, updated_at = clock_timestamp()
      FROM input WHERE u.id = input.id RETURNING u.id"
}

impl Session<'_> {
    pub(crate) fn insert_user(&mut self, new: &NewUser) -> Result<UserInsertion, StoreError> {
        let (email, email_canonical) = match &new.email {
            Some(email) => (Some(email.typed().to_owned()), Some(email.canonical().to_owned())),
            None => (None, None),
        };
        let row: Option<(bool, Uuid, Option<String>, DateTime<Utc>)> = InsertUser {
            id: new.id.0,
            email,
            email_canonical,
            external_id: new.external_id.clone(),
            password_hash: new.password_hash.clone(),
            roles: new.roles.clone(),
            scopes: new.scopes.clone(),
        }
        .get_result(self.connection)
        .optional()?;
        Ok(match row {
            Some((true, id, email, created_at)) => UserInsertion::Inserted(user((id, email, created_at))),
            Some((false, id, email, created_at)) => UserInsertion::OwnCommit(user((id, email, created_at))),
            None => UserInsertion::Taken,
        })
    }

    /// An enabled user.
    pub(crate) fn find_user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        let row: Option<UserRow> = FindUser { id: id.0 }.get_result(self.connection).optional()?;
        Ok(row.map(user))
    }

    pub(crate) fn find_user_by_external_id(&mut self, external_id: &str) -> Result<Option<User>, StoreError> {
        let statement = FindByExternalId { external_id: external_id.to_owned() };
        let row: Option<UserRow> = statement.get_result(self.connection).optional()?;
        Ok(row.map(user))
    }

    /// The credentials behind a canonical e-mail address. A disabled user has none.
    pub(crate) fn find_credentials(&mut self, canonical: &str) -> Result<Option<Credentials>, StoreError> {
        let statement = FindCredentials { email_canonical: canonical.to_owned() };
        let row: Option<(Uuid, Option<String>, i32, bool)> =
            statement.get_result(self.connection).optional()?;
        Ok(row.filter(|(.., enabled)| *enabled).map(|(id, password_hash, version, _)| Credentials {
            user: UserId(id),
            password_hash,
            version,
        }))
    }

    pub(crate) fn rehash(
        &mut self,
        credentials: &Credentials,
        password_hash: &str,
    ) -> Result<(), StoreError> {
        let statement = Rehash {
            id: credentials.user.0,
            version: credentials.version,
            password_hash: password_hash.to_owned(),
        };
        statement.get_result::<Uuid>(self.connection).optional()?;
        Ok(())
    }

    /// Sets (or removes) the password. Answers whether the user exists.
    pub(crate) fn set_password(&mut self, id: UserId, hash: Option<&str>) -> Result<bool, StoreError> {
        let statement = SetPassword { id: id.0, password_hash: hash.map(str::to_owned) };
        Ok(statement.get_result::<Uuid>(self.connection).optional()?.is_some())
    }

    pub(crate) fn disable_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        Ok(Disable { id: id.0 }.get_result::<Uuid>(self.connection).optional()?.is_some())
    }

    pub(crate) fn enable_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        Ok(Enable { id: id.0 }.get_result::<Uuid>(self.connection).optional()?.is_some())
    }

    pub(crate) fn erase_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        Ok(Erase { id: id.0 }.get_result::<Uuid>(self.connection).optional()?.is_some())
    }

    pub(crate) fn set_roles(&mut self, id: UserId, roles: &[String]) -> Result<bool, StoreError> {
        let statement = SetRoles { id: id.0, roles: roles.to_vec() };
        Ok(statement.get_result::<Uuid>(self.connection).optional()?.is_some())
    }

    pub(crate) fn set_scopes(&mut self, id: UserId, scopes: &[String]) -> Result<bool, StoreError> {
        let statement = SetScopes { id: id.0, scopes: scopes.to_vec() };
        Ok(statement.get_result::<Uuid>(self.connection).optional()?.is_some())
    }
}
