//! `authflow.users`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::schema::authflow::users;
use super::statement::statement;
use super::{Session, StoreError};
use crate::domain::email::Email;
use crate::domain::ids::UserId;
use crate::domain::user::{Credentials, User};

/// A user to be made. The id is drawn by the caller, so that a repeated insertion knows its own row.
pub(crate) struct NewUser {
    pub(crate) id: UserId,
    pub(crate) email: Option<Email>,
    pub(crate) external_id: Option<String>,
    pub(crate) password_hash: Option<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Vec<String>,
}

/// An account that somebody wants to log in to.
pub(crate) struct Account {
    pub(crate) credentials: Credentials,
    /// Where not, no password is right.
    pub(crate) enabled: bool,
    /// The database's time.
    pub(crate) now: DateTime<Utc>,
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

diesel::define_sql_function! {
    /// The time of this moment, not of the transaction's start.
    fn clock_timestamp() -> Timestamptz;
}

/// Changes a user's row and answers whether there is one. The bare row of a deleted user is none.
macro_rules! change {
    ($session:ident, $id:ident, $($change:expr),+ $(,)?) => {{
        let set = ($($change,)+ users::updated_at.eq(clock_timestamp()));
        let known = users::table.find($id.0).filter(users::erased_at.is_null());
        Ok(diesel::update(known).set(set).execute($session.connection)? == 1)
    }};
}

/// Sessions that are being started by a login that was checked before will not be.
macro_rules! outdate_logins {
    () => {
        users::credentials_version.eq(users::credentials_version + 1)
    };
}

const USER: (users::id, users::email, users::external_id, users::created_at) =
    (users::id, users::email, users::external_id, users::created_at);

type UserRow = (Uuid, Option<String>, Option<String>, DateTime<Utc>);

fn user((id, email, external_id, created_at): UserRow) -> User {
    User { id: UserId(id), email, external_id, created_at }
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
    } -> (Bool, (SqlUuid, Nullable<Text>, Nullable<Text>, Timestamptz)),
    ", inserted AS (
        INSERT INTO authflow.users (id, email, email_canonical, external_id, password_hash, roles, scopes)
        SELECT id, email, email_canonical, external_id, password_hash, roles, scopes FROM input
        ON CONFLICT DO NOTHING
        RETURNING id, email, external_id, created_at
    )
    SELECT true, inserted.* FROM inserted
    UNION ALL
    SELECT false, u.id, u.email, u.external_id, u.created_at FROM authflow.users u, input WHERE u.id = input.id"
}

impl Session<'_> {
    pub(crate) fn insert_user(&mut self, new: &NewUser) -> Result<UserInsertion, StoreError> {
        let (email, email_canonical) = match &new.email {
            Some(email) => (Some(email.typed().to_owned()), Some(email.canonical().to_owned())),
            None => (None, None),
        };
        let row: Option<(bool, UserRow)> = InsertUser {
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
            Some((true, row)) => UserInsertion::Inserted(user(row)),
            Some((false, row)) => UserInsertion::OwnCommit(user(row)),
            None => UserInsertion::Taken,
        })
    }

    /// An enabled user.
    pub(crate) fn find_user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        let enabled = users::table.find(id.0).filter(users::disabled_at.is_null());
        let row: Option<UserRow> = enabled.select(USER).first(self.connection).optional()?;
        Ok(row.map(user))
    }

    /// A user, whether enabled or not.
    pub(crate) fn find_any_user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        let known = users::table.find(id.0).filter(users::erased_at.is_null());
        let row: Option<UserRow> = known.select(USER).first(self.connection).optional()?;
        Ok(row.map(user))
    }

    pub(crate) fn find_user_by_external_id(&mut self, external_id: &str) -> Result<Option<User>, StoreError> {
        let known = users::table.filter(users::external_id.eq(external_id));
        let row: Option<UserRow> = known.select(USER).first(self.connection).optional()?;
        Ok(row.map(user))
    }

    pub(crate) fn find_user_by_email(&mut self, canonical: &str) -> Result<Option<User>, StoreError> {
        let known = users::table.filter(users::email_canonical.eq(canonical));
        let row: Option<UserRow> = known.select(USER).first(self.connection).optional()?;
        Ok(row.map(user))
    }

    /// The account behind a canonical e-mail address.
    pub(crate) fn find_account(&mut self, canonical: &str) -> Result<Option<Account>, StoreError> {
        type Row = (Uuid, Option<String>, i32, i32, bool, DateTime<Utc>);
        let row: Option<Row> = users::table
            .filter(users::email_canonical.eq(canonical))
            .select((
                users::id,
                users::password_hash,
                users::credentials_version,
                users::password_version,
                users::disabled_at.is_null(),
                clock_timestamp(),
            ))
            .first(self.connection)
            .optional()?;
        Ok(row.map(|(id, password_hash, version, password_version, enabled, now)| {
            let credentials = Credentials { user: UserId(id), password_hash, version, password_version };
            Account { credentials, enabled, now }
        }))
    }

    /// Stores a better hash of the same password. Not a new credential: the version stays.
    pub(crate) fn rehash(
        &mut self,
        credentials: &Credentials,
        password_hash: &str,
    ) -> Result<(), StoreError> {
        let same =
            users::table.find(credentials.user.0).filter(users::credentials_version.eq(credentials.version));
        diesel::update(same)
            .set((users::password_hash.eq(password_hash), users::updated_at.eq(clock_timestamp())))
            .execute(self.connection)?;
        Ok(())
    }

    /// Sets the password. Like every change here it answers whether the user exists.
    pub(crate) fn set_password(&mut self, id: UserId, hash: &str) -> Result<bool, StoreError> {
        let next_password = users::password_version.eq(users::password_version + 1);
        change!(self, id, users::password_hash.eq(hash), next_password, outdate_logins!())
    }

    pub(crate) fn disable_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        change!(self, id, users::disabled_at.eq(clock_timestamp().nullable()), outdate_logins!())
    }

    pub(crate) fn enable_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        change!(self, id, users::disabled_at.eq(None::<DateTime<Utc>>))
    }

    /// Removes what identifies a person. The bare row stays for as long as sessions refer to it. May be repeated, so that a
    /// deletion whose answer was lost is no unknown user.
    pub(crate) fn erase_user(&mut self, id: UserId) -> Result<bool, StoreError> {
        let nothing_left = (
            users::email.eq(None::<&str>),
            users::email_canonical.eq(None::<&str>),
            users::external_id.eq(None::<&str>),
            users::password_hash.eq(None::<&str>),
            users::roles.eq(Vec::<Option<&str>>::new()),
            users::scopes.eq(Vec::<Option<&str>>::new()),
            users::disabled_at.eq(clock_timestamp().nullable()),
            users::erased_at.eq(clock_timestamp().nullable()),
            outdate_logins!(),
            users::updated_at.eq(clock_timestamp()),
        );
        let bare = diesel::update(users::table.find(id.0)).set(nothing_left);
        Ok(bare.execute(self.connection)? == 1)
    }

    pub(crate) fn set_roles(&mut self, id: UserId, roles: &[String]) -> Result<bool, StoreError> {
        change!(self, id, users::roles.eq(roles.iter().map(Some).collect::<Vec<_>>()))
    }

    pub(crate) fn set_scopes(&mut self, id: UserId, scopes: &[String]) -> Result<bool, StoreError> {
        change!(self, id, users::scopes.eq(scopes.iter().map(Some).collect::<Vec<_>>()))
    }
}
