//! The operations, in plain blocking Rust: one method each. Only here are transactions started.

mod accounts;
pub(crate) mod attempts;
pub(crate) mod error;
pub(crate) mod event_log;
pub(crate) mod events;
mod everybody;
pub(crate) mod hooks;
pub(crate) mod housekeeper;
pub(crate) mod housekeeping;
mod issue;
pub(crate) mod keyring;
pub(crate) mod login;
mod logout;
mod password;
mod refresh;
mod register;
pub(crate) mod revocations;
mod sessions;
pub(crate) mod upkeep;

use std::sync::Arc;
use std::time::Instant;

use chrono::TimeDelta;
use zeroize::Zeroizing;

use self::error::ServiceError;
use self::events::Events;
use self::hooks::Hooks;
use self::keyring::Keyring;
pub(crate) use self::refresh::{RefreshRequest, Rotated};
pub(crate) use self::register::Registration;
use self::upkeep::Upkeep;
use crate::domain::device::{DeviceKeys, DeviceToken};
use crate::domain::event::Fact;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::issuing::TokenIssuer;
use crate::domain::keys::SigningKey;
use crate::domain::password::hash::Hasher;
use crate::domain::password::policy::PasswordPolicy;
use crate::domain::refresh_jwt::{Envelopes, RefreshFormat};
use crate::domain::refresh_token::{Nonce, RefreshToken, RefreshTokenKeys};
use crate::domain::session::{Device, Transport};
use crate::domain::throttle::Throttle;
use crate::domain::user::User;
use crate::store::{self, NewSession, Store, StoreError};

/// How long things live, and the window of the rule.
#[derive(Debug, Clone)]
pub(crate) struct Lifetimes {
    /// Of an access token, for cookie sessions.
    pub(crate) access: TimeDelta,
    /// Of an access token, for body sessions.
    pub(crate) mobile_access: TimeDelta,
    /// Of an unused refresh token (idle).
    pub(crate) refresh: TimeDelta,
    /// Of a session (absolute).
    pub(crate) session: TimeDelta,
    /// The window in which a predecessor still counts.
    pub(crate) grace: TimeDelta,
}

/// The operations and all they need.
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) refresh_keys: RefreshTokenKeys,
    /// Envelopes for the refresh tokens of body sessions; `refresh_format` says whether new ones have any.
    pub(crate) envelopes: Envelopes,
    pub(crate) refresh_format: RefreshFormat,
    pub(crate) issuer: TokenIssuer,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) hasher: Hasher,
    /// None where attempts are not counted.
    pub(crate) throttle: Option<Throttle>,
    pub(crate) devices: DeviceKeys,
    pub(crate) policy: PasswordPolicy,
    pub(crate) lifetimes: Lifetimes,
    /// Of one user, at once.
    pub(crate) max_sessions: u32,
    pub(crate) hooks: Hooks,
    pub(crate) events: Arc<Events>,
    pub(crate) upkeep: Arc<Upkeep>,
}

/// What a client asks for with a new session.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionRequest {
    pub(crate) transport: Transport,
    pub(crate) persistent: bool,
    pub(crate) device: Device,
    /// The session whose genuine refresh token came along: it is ended.
    pub(crate) replaces: Option<SessionId>,
}

/// Tokens for a session.
pub(crate) struct Grant {
    pub(crate) access_token: String,
    /// Seconds until the access token expires.
    pub(crate) expires_in: i64,
    pub(crate) session: SessionId,
    pub(crate) user: User,
    pub(crate) transport: Transport,
    pub(crate) persistent: bool,
    /// As the client keeps it: a live credential.
    pub(crate) refresh_token: Zeroizing<String>,
    /// Seconds until the refresh token expires unused, or the session does.
    pub(crate) refresh_expires_in: i64,
    /// By which the device is known again, where a password was given on it.
    pub(crate) device: Option<DeviceToken>,
}

/// A result, the sessions that were ended on the way, for this node's memory, and what else there is to tell. They count
/// even if the result is a rejection.
pub(crate) struct Outcome<T> {
    pub(crate) result: Result<T, ServiceError>,
    pub(crate) ended: Vec<SessionId>,
    pub(crate) facts: Vec<Fact>,
}

impl<T> Outcome<T> {
    fn new(result: Result<T, ServiceError>, ended: impl IntoIterator<Item = SessionId>) -> Self {
        Self { result, ended: ended.into_iter().collect(), facts: Vec::new() }
    }

    /// The same with another result, if there is one.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        Outcome { result: self.result.map(change), ended: self.ended, facts: self.facts }
    }

    /// Adds what has happened.
    pub(crate) fn telling(mut self, facts: impl IntoIterator<Item = Fact>) -> Self {
        self.facts.extend(facts);
        self
    }

    /// Adds what has happened if the operation succeeded.
    fn telling_if_done(self, fact: impl FnOnce(&T) -> Fact) -> Self {
        let fact = self.result.as_ref().ok().map(fact);
        self.telling(fact)
    }
}

/// For operations that end no session.
impl<T, E: Into<ServiceError>> From<Result<T, E>> for Outcome<T> {
    fn from(result: Result<T, E>) -> Self {
        Self::new(result.map_err(Into::into), [])
    }
}

impl<T> From<ServiceError> for Outcome<T> {
    fn from(error: ServiceError) -> Self {
        Self::new(Err(error), [])
    }
}

impl Service {
    /// Runs an operation that begins nothing in the database after `deadline`, when its caller has been answered.
    pub(crate) fn until<T>(&self, deadline: Instant, operation: impl FnOnce(&Self) -> T) -> T {
        store::until(deadline, || operation(self))
    }

    /// Asks the database for a sign of life.
    pub(crate) fn ping(&self) -> Result<(), StoreError> {
        self.store.run(|session| session.ping())
    }

    /// The genuine refresh token in what a client presented. Only body sessions have envelopes.
    pub(crate) fn recognise(&self, transport: Transport, text: &[u8]) -> Option<RefreshToken> {
        let opaque = self.refresh_keys.parse(text);
        match transport {
            Transport::Cookie => opaque,
            Transport::Body => opaque.or_else(|| self.envelopes.open(text, &self.refresh_keys)),
        }
    }

    /// An enabled user.
    pub(crate) fn find_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.store.run(|session| session.find_user(id))
    }

    /// A session yet to be stored, and its first refresh token. `key` will sign the access token.
    fn new_session(
        &self,
        user: UserId,
        credentials_version: Option<i32>,
        request: &SessionRequest,
        key: &SigningKey,
    ) -> (NewSession, RefreshToken) {
        let id = SessionId::new();
        let token = self.refresh_keys.first(id);
        let session = NewSession {
            id,
            user,
            credentials_version,
            transport: request.transport,
            persistent: request.persistent,
            device: request.device.clone(),
            life: self.lifetimes.session,
            refresh_life: self.lifetimes.refresh,
            digest: token.digest(),
            nonce: Nonce::random(),
            signed_by: key.kid().to_owned(),
        };
        (session, token)
    }
}
