//! Where the host application takes part.

use std::sync::Arc;

use diesel::PgConnection;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::event::SecurityEvent;
use crate::domain::ids::SessionId;
use crate::domain::password::hash::ForeignVerifier;
use crate::domain::user::User;

/// Why a registration hook stops a registration. Either way the transaction is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The host does not want this user: answered with 403 `forbidden`.
    #[error("the registration was refused")]
    Refused,
    /// The host's own query failed: answered with 503, or tried again after a lost race.
    #[error(transparent)]
    Failed(#[from] diesel::result::Error),
}

/// Whom a token is about to be issued to, for the hook that adds claims.
#[derive(Debug)]
#[non_exhaustive]
pub struct TokenSubject<'a> {
    /// The user.
    pub user: &'a User,
    /// The session the token is for.
    pub session_id: SessionId,
    /// The user's roles.
    pub roles: &'a [String],
    /// The user's scopes.
    pub scopes: &'a [String],
}

/// The host does not want this token to be issued: answered with 403 `forbidden`; no refresh token is consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host refused to issue a token")]
pub struct ClaimsRefused;

/// What the claims hook came to.
pub(crate) enum ExtraClaims {
    Add(Map<String, Value>),
    Refused,
    /// The hook gave something that cannot be added to a token.
    Unusable(String),
}

/// The names that are ours: a host's claim must not replace one.
const RESERVED: [&str; 14] = [
    "iss",
    "aud",
    "sub",
    "client_id",
    "sid",
    "jti",
    "iat",
    "exp",
    "nbf",
    "auth_time",
    "roles",
    "scope",
    "cnf",
    "act",
];

impl ExtraClaims {
    /// What a host's typed value is as claims: the members of an object.
    pub(crate) fn from_typed<T: Serialize>(typed: Result<T, ClaimsRefused>) -> Self {
        let Ok(typed) = typed else { return Self::Refused };
        let object = match serde_json::to_value(typed) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Self::Unusable("the claims are no JSON object".into()),
            Err(error) => return Self::Unusable(error.to_string()),
        };
        match RESERVED.iter().find(|name| object.contains_key(**name)) {
            Some(name) => Self::Unusable(format!("the claim {name:?} is reserved")),
            None => Self::Add(object),
        }
    }
}

pub(crate) type ClaimsHook = dyn Fn(&TokenSubject<'_>) -> ExtraClaims + Send + Sync;

pub(crate) type RegistrationHook =
    dyn Fn(&mut PgConnection, &User) -> Result<(), RegistrationError> + Send + Sync;

pub(crate) type EventHook = dyn Fn(&SecurityEvent) + Send + Sync;

/// The hooks a host may set.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    /// Runs in the transaction that makes a user.
    pub(crate) on_registration: Option<Arc<RegistrationHook>>,
    /// Adds claims of the host's own to access tokens.
    pub(crate) claims: Option<Arc<ClaimsHook>>,
    /// Hears of security events.
    pub(crate) on_event: Option<Arc<EventHook>>,
    /// Verifies password hashes that are not ours.
    pub(crate) foreign_verifier: Option<Arc<ForeignVerifier>>,
}
