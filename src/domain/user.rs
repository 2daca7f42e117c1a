//! Users as the rest of the crate sees them.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::ids::UserId;

/// A user, as answered by `/me` and beside every issued token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct User {
    /// The `sub` claim of the user's access tokens.
    pub id: UserId,
    /// The e-mail address as it was typed. Absent for users known by an external id only.
    pub email: Option<String>,
    /// The user's key in the host's own tables, where the host has given one. Not told to clients.
    #[serde(skip)]
    pub external_id: Option<String>,
    /// When the user was created.
    pub created_at: DateTime<Utc>,
}

/// What a login needs to know about an account.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user: UserId,
    /// Absent: no login by password.
    pub(crate) password_hash: Option<String>,
    /// Raised by whatever is to outdate this check; a session is started only if it is still the same.
    pub(crate) version: i32,
    /// Raised by each new password and nothing else.
    pub(crate) password_version: i32,
}
