//! Security events: what is worth an entry in an audit trail, as values.
//!
//! The operations say what has happened ([`Fact`]); when, and on whose behalf, is added where the request is known.

mod kind;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub(crate) use self::kind::ALARMS;
pub use self::kind::{AttemptBudget, CredentialFailure, EventKind, OriginFault, Retry, Severity};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::keys::lifecycle::KeyState;
use crate::domain::session::RevocationReason;

/// Something that has happened and that somebody who looks after security wants to know.
///
/// Serialises to one flat JSON object:
///
/// ```json
/// {"time":"2026-11-25T12:00:00Z","event":"session_ended","reason":"logged_out","by":"client","address":"192.0.2.7",
///  "user_id":"01a209dd-...","session_id":"01a209de-..."}
/// ```
///
/// It never holds a secret, a text that a client chose, or an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SecurityEvent {
    /// When, by the database's clock.
    pub time: DateTime<Utc>,
    /// What has happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// On whose behalf.
    #[serde(flatten)]
    pub by: Actor,
    /// The user it concerns, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The session it concerns, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
}

/// On whose behalf something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actor {
    /// A client, by a request to one of the routes.
    #[non_exhaustive]
    Client {
        /// From the socket, or from the trusted proxies. Absent where the peer has none, as on a Unix socket.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
    /// The application, by a call on [`Auth`](crate::Auth); so also the program's subcommands.
    Application,
    /// This crate by itself: housekeeping, and keys whose time has come.
    Service,
}

/// What an operation says has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) kind: EventKind,
    pub(crate) user: Option<UserId>,
    pub(crate) session: Option<SessionId>,
}

impl Fact {
    /// About nobody, so far.
    pub(crate) fn new(kind: EventKind) -> Self {
        Self { kind, user: None, session: None }
    }

    pub(crate) fn of_user(mut self, user: impl Into<Option<UserId>>) -> Self {
        self.user = user.into();
        self
    }

    pub(crate) fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// The end of a session. Two reasons have events of their own.
    pub(crate) fn session_ended(session: SessionId, user: UserId, reason: RevocationReason) -> Self {
        let kind = match reason {
            RevocationReason::Reuse => EventKind::RefreshTokenReused,
            RevocationReason::DatabaseRestored => EventKind::DatabaseRestored,
            reason => EventKind::SessionEnded { reason },
        };
        Self { kind, user: Some(user), session: Some(session) }
    }

    pub(crate) fn login_failed(user: Option<UserId>, reason: CredentialFailure) -> Self {
        Self::new(EventKind::LoginFailed { reason }).of_user(user)
    }

    pub(crate) fn key_changed(kid: &str, state: KeyState) -> Self {
        Self::new(EventKind::SigningKeyChanged { reason: state, kid: kid.to_owned() })
    }

    /// The event: this fact, at that time.
    pub(crate) fn at(self, time: DateTime<Utc>, by: Actor) -> SecurityEvent {
        SecurityEvent { time, kind: self.kind, by, user_id: self.user, session_id: self.session }
    }
}

impl SecurityEvent {
    /// The address of the client, where one asked.
    pub fn address(&self) -> Option<IpAddr> {
        self.by.address()
    }
}

impl Actor {
    /// The word in the member `by`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client { .. } => "client",
            Self::Application => "application",
            Self::Service => "service",
        }
    }

    /// The address of a client.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Client { address } => address,
            Self::Application | Self::Service => None,
        }
    }
}

#[cfg(test)]
mod tests;
