//! What an operation may end with besides success.

use crate::domain::session::RevocationReason;
use crate::store::StoreError;

/// An outcome that the caller is told about. Nothing has gone wrong on our side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// The password does not meet the policy, for this reason.
    WeakPassword(String),
    /// Another user has this e-mail address (or external id).
    EmailTaken,
    /// Unknown user, wrong password, disabled, no password: not told apart.
    InvalidCredentials,
    /// Too much was tried; in so many seconds one may try again.
    TooManyAttempts { retry_after: u64 },
    /// The current password is not what was given for it, at its change.
    WrongPassword,
    /// A hook of the host's does not want this user or this token.
    HostRefused,
    /// Not a refresh token of a session of this transport.
    RefreshTokenInvalid,
    /// The idle or the absolute life of the session is over; which, if that is known.
    RefreshTokenExpired(Option<RevocationReason>),
    /// A retired refresh token: its session has been ended.
    RefreshTokenReused,
    /// The session was ended before, or its user disabled; why, where a genuine refresh token asks.
    SessionRevoked(Option<RevocationReason>),
    /// The access token names another user than the session's.
    TokenMismatch,
    /// No such user.
    UnknownUser,
    /// The user has no such session.
    UnknownSession,
}

/// Anything but success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// An expected outcome.
    #[error("{0:?}")]
    Rejected(Rejected),
    /// The database did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database's turn did not come, or its answer did not, in time.
    #[error("{0}")]
    Database(&'static str),
    /// Too many passwords are being hashed.
    #[error("too many passwords are being hashed")]
    Overloaded,
    /// Signing or hashing failed, which only a broken set-up can cause.
    #[error("{0}")]
    Internal(String),
}

impl From<Rejected> for ServiceError {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}
