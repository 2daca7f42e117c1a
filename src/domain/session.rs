//! Words about sessions that every layer uses.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::ids::{SessionId, UserId};

/// How the refresh token of a session travels, for the session's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In an HttpOnly cookie: browsers.
    #[default]
    Cookie,
    /// In the JSON body: mobile and other native clients.
    Body,
}

impl Transport {
    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Body => "body",
        }
    }
}

impl FromStr for Transport {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Cookie, Self::Body].into_iter().find(|transport| transport.as_str() == name).ok_or(())
    }
}

/// By hand, because what serde derives takes `{"cookie": null}` as well.
impl<'de> Deserialize<'de> for Transport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|()| D::Error::unknown_variant(&name, &["cookie", "body"]))
    }
}

/// Why a session was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RevocationReason {
    /// The user logged out.
    LoggedOut,
    /// A new login came with the old session's refresh token.
    Replaced,
    /// The user ended it from another session.
    RevokedByUser,
    /// The host application ended it.
    RevokedByHost,
    /// The password was set anew.
    PasswordChanged,
    /// A retired refresh token was presented: somebody has a copy.
    Reuse,
    /// The user was disabled.
    UserDisabled,
    /// The user was deleted.
    UserDeleted,
    /// The user had too many sessions.
    Evicted,
    /// Unused for longer than the refresh token lives.
    Idle,
    /// The absolute life was over.
    Expired,
    /// A refresh token came that is newer than the database: the database is an older copy.
    DatabaseRestored,
    /// Its last access token was signed with a key that is compromised.
    KeyCompromised,
}

impl RevocationReason {
    const ALL: [(Self, &'static str); 13] = [
        (Self::LoggedOut, "logged_out"),
        (Self::Replaced, "replaced"),
        (Self::RevokedByUser, "revoked_by_user"),
        (Self::RevokedByHost, "revoked_by_host"),
        (Self::PasswordChanged, "password_changed"),
        (Self::Reuse, "reuse"),
        (Self::UserDisabled, "user_disabled"),
        (Self::UserDeleted, "user_deleted"),
        (Self::Evicted, "evicted"),
        (Self::Idle, "idle"),
        (Self::Expired, "expired"),
        (Self::DatabaseRestored, "database_restored"),
        (Self::KeyCompromised, "key_compromised"),
    ];

    /// Every reason there is.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|(reason, _)| reason)
    }

    /// The word in `authflow.sessions.revoked_reason`.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(reason, _)| *reason == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for RevocationReason {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(reason, _)| *reason).ok_or(())
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is remembered about the device a session was started on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Device {
    pub(crate) name: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) ip: Option<String>,
}

/// A live session as its user sees it in a list.
#[derive(Debug, Clone)]
pub(crate) struct ListedSession {
    pub(crate) id: SessionId,
    pub(crate) transport: Transport,
    pub(crate) device: Device,
    pub(crate) created_at: DateTime<Utc>,
    /// When its newest refresh token was issued.
    pub(crate) last_seen_at: DateTime<Utc>,
    /// The nearer of its idle and its absolute end.
    pub(crate) expires_at: DateTime<Utc>,
}

/// A session that an operation has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedSession {
    pub(crate) id: SessionId,
    pub(crate) transport: Transport,
}

/// A live session as its tokens need it, read in the moment `now` of the database.
#[derive(Debug, Clone)]
pub(crate) struct LiveSession {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) email: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) user_created_at: DateTime<Utc>,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) transport: Transport,
    pub(crate) persistent: bool,
    pub(crate) authenticated_at: DateTime<Utc>,
    /// When the current generation was added.
    pub(crate) refresh_issued_at: DateTime<Utc>,
    /// The idle end of the current generation.
    pub(crate) refresh_expires_at: DateTime<Utc>,
    pub(crate) now: DateTime<Utc>,
}
