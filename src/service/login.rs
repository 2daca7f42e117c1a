//! Login, in three steps so that no connection is held while the password is hashed.

use super::error::{Rejected, ServiceError};
use super::issue::Admitted;
use super::{Grant, Outcome, Service, SessionRequest};
use crate::domain::email::Email;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::password::NormalizedPassword;
use crate::domain::password::hash::Verification;
use crate::domain::session::RevocationReason;
use crate::domain::user::Credentials;
use crate::store::{NewSession, Session, Started, StoreError};

/// A password that was right.
pub(crate) struct Authenticated {
    credentials: Credentials,
    /// A better hash to store, where the old one is below today's parameters.
    rehash: Option<String>,
}

impl Service {
    /// First step: the account behind an address, if there is one that can log in.
    /// An address that cannot exist takes the same query, for the same time.
    pub(crate) fn find_credentials(&self, email: Option<&Email>) -> Result<Option<Credentials>, StoreError> {
        let canonical = email.map_or("", Email::canonical);
        self.store.run(|session| session.find_credentials(canonical))
    }

    /// Second step: checks the password. Costs the same hash whether or not the account exists.
    pub(crate) fn check_password(
        &self,
        credentials: Option<Credentials>,
        password: &NormalizedPassword,
    ) -> Result<Authenticated, ServiceError> {
        let stored = credentials.as_ref().and_then(|credentials| credentials.password_hash.as_deref());
        let verification = self.hasher.verify(password, stored);
        match (credentials, verification) {
            (Some(credentials), Verification::Correct { rehash }) => {
                let rehash = rehash.then(|| self.hash(password)).transpose()?;
                Ok(Authenticated { credentials, rehash })
            }
            (Some(credentials), Verification::Unusable) => {
                tracing::warn!(user = %credentials.user, "the stored password hash cannot be used");
                Err(Rejected::InvalidCredentials.into())
            }
            _ => Err(Rejected::InvalidCredentials.into()),
        }
    }

    /// Third step: starts the session, unless the credentials have changed in the meantime.
    pub(crate) fn log_in(&self, authenticated: &Authenticated, request: &SessionRequest) -> Outcome<Grant> {
        let Authenticated { credentials, rehash } = authenticated;
        if let Some(hash) = rehash
            && let Err(error) = self.store.run(|session| session.rehash(credentials, hash))
        {
            tracing::warn!(user = %credentials.user, %error, "the better hash was not stored");
        }
        self.start(credentials.user, Some(credentials.version), request, Rejected::InvalidCredentials)
    }

    /// Starts a session for a user whom the host has authenticated itself.
    pub(crate) fn start_session(&self, user: UserId, request: &SessionRequest) -> Outcome<Grant> {
        self.start(user, None, request, Rejected::UnknownUser)
    }

    fn start(
        &self,
        user: UserId,
        version: Option<i32>,
        request: &SessionRequest,
        refused: Rejected,
    ) -> Outcome<Grant> {
        let key = self.keyring.signing_key();
        let (new, token) = self.new_session(user, version, request, &key);
        let start = |session: &mut Session<'_>| self.start_and_replace(session, &new, request.replaces);
        // What is one statement needs no transaction around it, which would cost two round trips.
        let alone = request.replaces.is_none() && self.hooks.claims.is_none();
        let started = if alone { self.store.run(start) } else { self.store.transaction(start) };
        match started {
            Ok(Some((admitted, others))) => {
                let evicted = self.evict_oldest(user, others);
                let ended = request.replaces.into_iter().chain(evicted);
                Outcome::new(self.grant(admitted, token, &key), ended)
            }
            Ok(None) => Outcome::from(ServiceError::from(refused)),
            Err(StoreError::Refused) => Outcome::from(ServiceError::from(Rejected::HostRefused)),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// Starts a session and ends the one it replaces; says how many others there are. `None` if the user may not have one.
    pub(super) fn start_and_replace(
        &self,
        session: &mut Session<'_>,
        new: &NewSession,
        replaces: Option<SessionId>,
    ) -> Result<Option<(Admitted, i64)>, StoreError> {
        let Started::Live { session: live, others } = session.start_session(new)? else { return Ok(None) };
        if let Some(replaced) = replaces {
            session.revoke(replaced, RevocationReason::Replaced)?;
            session.delete_chains(&[replaced])?;
        }
        Ok(Some((self.admit(live)?, others)))
    }
}
