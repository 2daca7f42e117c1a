//! What can happen.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::ids::SessionId;
use crate::domain::keys::lifecycle::KeyState;
use crate::domain::session::RevocationReason;

/// What has happened. Names and members are stable; there may be more of either in later versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A user was made: by a client, who registered, or by the application.
    UserCreated,
    /// A user was disabled. Each session that ended with it has an event of its own.
    UserDisabled,
    /// A user was enabled again.
    UserEnabled,
    /// A user was deleted. Each session that ended with it has an event of its own.
    UserDeleted,
    /// A user's roles were replaced.
    RolesChanged,
    /// A user's scopes were replaced.
    ScopesChanged,
    /// A session was started: by a client, who gave the password, or by the application.
    LoggedIn,
    /// A login was refused.
    #[non_exhaustive]
    LoginFailed {
        /// Why.
        reason: CredentialFailure,
    },
    /// The password was set anew. Each session that ended with it has an event of its own.
    PasswordChanged,
    /// A change of the password was refused.
    #[non_exhaustive]
    PasswordChangeFailed {
        /// Why.
        reason: CredentialFailure,
    },
    /// A refresh was answered with a token that had been given before: another tab, or an answer that was lost.
    #[non_exhaustive]
    RefreshRetried {
        /// Which of the two it was.
        reason: Retry,
    },
    /// A refresh came with the JWT of another session or user than its refresh token. User and session are those that the
    /// JWT names.
    #[non_exhaustive]
    TokenMismatch {
        /// The session that the refresh token names.
        refresh_session_id: SessionId,
    },
    /// A retired refresh token was presented: somebody has a copy. The session has ended.
    RefreshTokenReused,
    /// A refresh token came that is newer than the database, which is an older copy of itself then. The session has ended.
    DatabaseRestored,
    /// A session was ended.
    #[non_exhaustive]
    SessionEnded {
        /// Why, as in `authflow.sessions.revoked_reason`.
        reason: RevocationReason,
    },
    /// The sessions of everybody were ended, by the application or its operator. They have no events of their own. Where
    /// the call failed on its way these are as many as it came to, and its repetition has an event too.
    #[non_exhaustive]
    AllSessionsEnded {
        /// Why, as in `authflow.sessions.revoked_reason`.
        reason: RevocationReason,
        /// How many they were.
        sessions: u64,
    },
    /// A request was refused because there had been too many attempts.
    #[non_exhaustive]
    Throttled {
        /// Which budget is used up.
        reason: AttemptBudget,
        /// When to come again, in seconds.
        retry_after: u64,
    },
    /// So many logins in a row have failed on an account from devices that have never logged in to it, that these have to wait.
    /// Somebody guesses at it. Without a user: at an address that nobody has.
    LoginCeilingReached,
    /// A signing key came into another state.
    #[non_exhaustive]
    SigningKeyChanged {
        /// The state.
        reason: KeyState,
        /// Which key.
        kid: String,
    },
    /// A state-changing request was refused because of the origin that a browser says it comes from.
    #[non_exhaustive]
    OriginRejected {
        /// Why.
        reason: OriginFault,
    },
}

/// Why a password did not let somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CredentialFailure {
    /// No account has this address, or it is disabled.
    NoAccount,
    /// The account has no password.
    NoPassword,
    /// The password is another one.
    WrongPassword,
    /// The stored hash is malformed or of an unknown kind. The user cannot log in until it is set anew.
    UnusableHash,
    /// The account was changed or disabled while the password was being checked.
    ChangedMeanwhile,
    /// The claims hook of the application refused.
    HostRefused,
}

/// How a refresh was answered once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// The current token came while it was young, and was given back.
    SameToken,
    /// The previous token came soon after it was replaced, and its successor was given again.
    SameSuccessor,
}

/// What attempts are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptBudget {
    /// A device that the user has logged in on before.
    Device,
    /// An account, from one address.
    AccountAndAddress,
    /// An account, from one site: the /24 of an IPv4 address, or the /48 of an IPv6 address.
    AccountAndSite,
    /// An account, from all unknown devices together.
    Account,
    /// An address, whatever the account.
    Address,
    /// Registrations from an address.
    Registrations,
    /// Changes of a user's password.
    PasswordChange,
}

/// What is wrong with the origin that a browser says a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OriginFault {
    /// `Origin`, `Sec-Fetch-Site` or `Host` more than once, which no browser sends.
    Repeated,
    /// `Origin: null`: a sandboxed frame, a local file or a redirect between sites.
    Opaque,
    /// The origin is not on the list or, without one, not at the requested host.
    ForeignOrigin,
    /// No `Origin`, and `Sec-Fetch-Site` names another site or origin.
    ForeignSite,
    /// Nothing shows where the request comes from, and evidence is required.
    NoEvidence,
}

/// How much an event calls for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Frequent, and of interest only when looking for something. Logged at the level `debug`.
    Detail,
    /// Part of the normal course. Logged at the level `info`.
    Routine,
    /// Somebody should look at it. Logged at the level `warn`.
    Alarm,
}

/// Names and reasons of the kinds that are alarms.
pub(crate) const ALARMS: [(&str, &str); 7] = [
    ("refresh_token_reused", ""),
    ("database_restored", ""),
    ("all_sessions_ended", "revoked_by_host"),
    ("login_ceiling_reached", ""),
    ("login_failed", "unusable_hash"),
    ("password_change_failed", "unusable_hash"),
    ("signing_key_changed", "compromised"),
];

impl EventKind {
    /// The name, as in the member `event`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UserCreated => "user_created",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
            Self::UserDeleted => "user_deleted",
            Self::RolesChanged => "roles_changed",
            Self::ScopesChanged => "scopes_changed",
            Self::LoggedIn => "logged_in",
            Self::LoginFailed { .. } => "login_failed",
            Self::PasswordChanged => "password_changed",
            Self::PasswordChangeFailed { .. } => "password_change_failed",
            Self::RefreshRetried { .. } => "refresh_retried",
            Self::TokenMismatch { .. } => "token_mismatch",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::DatabaseRestored => "database_restored",
            Self::SessionEnded { .. } => "session_ended",
            Self::AllSessionsEnded { .. } => "all_sessions_ended",
            Self::Throttled { .. } => "throttled",
            Self::LoginCeilingReached => "login_ceiling_reached",
            Self::SigningKeyChanged { .. } => "signing_key_changed",
            Self::OriginRejected { .. } => "origin_rejected",
        }
    }

    /// The member `reason`, of the kinds that have one.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::LoginFailed { reason } | Self::PasswordChangeFailed { reason } => Some(reason.as_str()),
            Self::RefreshRetried { reason } => Some(reason.as_str()),
            Self::SessionEnded { reason } | Self::AllSessionsEnded { reason, .. } => Some(reason.as_str()),
            Self::Throttled { reason, .. } => Some(reason.as_str()),
            Self::SigningKeyChanged { reason, .. } => Some(reason.as_str()),
            Self::OriginRejected { reason } => Some(reason.as_str()),
            _ => None,
        }
    }

    /// The members that only this kind has, as a JSON object.
    pub(crate) fn details(&self) -> Option<Value> {
        match self {
            Self::TokenMismatch { refresh_session_id } => {
                Some(json!({ "refresh_session_id": refresh_session_id }))
            }
            Self::AllSessionsEnded { sessions, .. } => Some(json!({ "sessions": sessions })),
            Self::Throttled { retry_after, .. } => Some(json!({ "retry_after": retry_after })),
            Self::SigningKeyChanged { kid, .. } => Some(json!({ "kid": kid })),
            _ => None,
        }
    }

    /// Whether it costs nothing to whoever causes it: no attempt, no session, no token. There may be any number of these.
    pub(crate) fn is_free(&self) -> bool {
        matches!(
            self,
            Self::RefreshRetried { .. }
                | Self::TokenMismatch { .. }
                | Self::Throttled { .. }
                | Self::OriginRejected { .. }
        )
    }

    /// How much it calls for attention.
    pub fn severity(&self) -> Severity {
        match self {
            Self::RefreshRetried { .. } | Self::OriginRejected { .. } => Severity::Detail,
            Self::RefreshTokenReused
            | Self::DatabaseRestored
            | Self::AllSessionsEnded { .. }
            | Self::SigningKeyChanged { reason: KeyState::Compromised, .. }
            | Self::LoginFailed { reason: CredentialFailure::UnusableHash }
            | Self::PasswordChangeFailed { reason: CredentialFailure::UnusableHash }
            | Self::LoginCeilingReached => Severity::Alarm,
            _ => Severity::Routine,
        }
    }
}

/// A sentence for people. The reason is not in it.
impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserCreated => "a user was made",
            Self::UserDisabled => "a user was disabled",
            Self::UserEnabled => "a user was enabled",
            Self::UserDeleted => "a user was deleted",
            Self::RolesChanged => "the roles of a user were replaced",
            Self::ScopesChanged => "the scopes of a user were replaced",
            Self::LoggedIn => "a session was started",
            Self::LoginFailed { .. } => "a login was refused",
            Self::PasswordChanged => "a password was set",
            Self::PasswordChangeFailed { .. } => "a change of a password was refused",
            Self::RefreshRetried { .. } => "a refresh was answered once more",
            Self::TokenMismatch { .. } => "a refresh came with the access token of another session or user",
            Self::RefreshTokenReused => "a retired refresh token came back and ended its session",
            Self::DatabaseRestored => "a refresh token is newer than the database and ended its session",
            Self::SessionEnded { .. } => "a session was ended",
            Self::AllSessionsEnded { .. } => "the sessions of everybody were ended",
            Self::Throttled { .. } => "a request was refused after too many attempts",
            Self::LoginCeilingReached => "an account has no attempts left for devices that are not known",
            Self::SigningKeyChanged { .. } => "a signing key has changed",
            Self::OriginRejected { .. } => "a request was refused for its origin",
        })
    }
}

impl CredentialFailure {
    /// The word in the member `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoAccount => "no_account",
            Self::NoPassword => "no_password",
            Self::WrongPassword => "wrong_password",
            Self::UnusableHash => "unusable_hash",
            Self::ChangedMeanwhile => "changed_meanwhile",
            Self::HostRefused => "host_refused",
        }
    }
}

impl Retry {
    /// The word in the member `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameToken => "same_token",
            Self::SameSuccessor => "same_successor",
        }
    }
}

impl AttemptBudget {
    /// The word in the member `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::AccountAndAddress => "account_and_address",
            Self::AccountAndSite => "account_and_site",
            Self::Account => "account",
            Self::Address => "address",
            Self::Registrations => "registrations",
            Self::PasswordChange => "password_change",
        }
    }
}

impl OriginFault {
    /// The word in the member `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repeated => "repeated",
            Self::Opaque => "opaque",
            Self::ForeignOrigin => "foreign_origin",
            Self::ForeignSite => "foreign_site",
            Self::NoEvidence => "no_evidence",
        }
    }
}
