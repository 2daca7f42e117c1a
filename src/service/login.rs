//! Login, in three steps so that no connection is held while the password is hashed.

use secrecy::SecretString;

use super::attempts::Reservation;
use super::error::{Rejected, ServiceError};
use super::issue::Admitted;
use super::{Grant, Outcome, Service, SessionRequest};
use crate::domain::device::PresentedDevice;
use crate::domain::email::Email;
use crate::domain::event::{CredentialFailure, EventKind, Fact};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::password::NormalizedPassword;
use crate::domain::password::hash::Verification;
use crate::domain::session::RevocationReason;
use crate::domain::throttle::Network;
use crate::domain::user::Credentials;
use crate::store::{NewSession, Session, Started, StartedSession, StoreError};

/// Who wants to log in, and from where.
pub(crate) struct LoginAttempt {
    /// The address as it was typed.
    pub(crate) email: String,
    /// Where it comes from, if that is known.
    pub(crate) network: Option<Network>,
    /// A genuine device token that came along. Whether it is one of this account is yet to be seen.
    pub(crate) device: Option<PresentedDevice>,
}

/// A password that was right.
pub(crate) struct Authenticated {
    credentials: Credentials,
    /// A better hash to store, where the old one is below today's parameters.
    rehash: Option<String>,
}

/// A session that was started in a transaction that may still fail.
pub(super) struct Beginning {
    pub(super) admitted: Admitted,
    pub(super) password_version: i32,
    /// The user's other live sessions.
    others: i64,
    /// The end of the session it replaces, if that had not ended before.
    pub(super) replaced: Option<Fact>,
}

impl Service {
    /// First step: finds the account behind an address, if there is one that can log in, and counts the attempt.
    /// An address that cannot exist takes the same statements, for the same time, and has counts like any other.
    pub(crate) fn begin_login(&self, attempt: &LoginAttempt) -> Outcome<(Option<Credentials>, Reservation)> {
        let email = Email::parse(&attempt.email).ok();
        let canonical = email.as_ref().map_or("", Email::canonical);
        let found = match self.store.run(|session| session.find_account(canonical)) {
            Ok(found) => found,
            Err(error) => return Outcome::from(ServiceError::from(error)),
        };
        let known_device = found
            .as_ref()
            .and_then(|account| attempt.device.as_ref()?.known_to(&account.credentials, account.now));
        // A disabled user has counts like any other: whether there is one shows nowhere.
        let version = found.as_ref().map_or(0, |account| account.credentials.password_version);
        let account = (email.as_ref().map_or(attempt.email.as_str(), Email::canonical), version);
        let counters =
            self.throttle.as_ref().map(|throttle| throttle.login(account, attempt.network, known_device));
        let credentials = found.filter(|account| account.enabled).map(|account| account.credentials);
        let user = credentials.as_ref().map(|known| known.user);
        self.reserve(counters.unwrap_or_default(), user).map(|reservation| (credentials, reservation))
    }

    /// Second step: checks the password. Costs the same hash whether or not the account exists.
    pub(crate) fn check_password(
        &self,
        credentials: Option<Credentials>,
        password: &SecretString,
    ) -> Outcome<Authenticated> {
        let stored = credentials.as_ref().and_then(|credentials| credentials.password_hash.as_deref());
        // One that is too long is nobody's, whoever asks.
        let password = NormalizedPassword::for_verification(password);
        let verification =
            password.as_ref().map_or(Verification::Wrong, |password| self.hasher.verify(password, stored));
        let (user, failure) = match (credentials, verification) {
            (Some(credentials), Verification::Correct { rehash }) => {
                let rehash = password.filter(|_| rehash).map(|password| self.hash(&password)).transpose();
                return Outcome::from(rehash.map(|rehash| Authenticated { credentials, rehash }));
            }
            (Some(credentials), verification) => {
                (Some(credentials.user), failure(&credentials, verification))
            }
            (None, _) => (None, CredentialFailure::NoAccount),
        };
        Outcome::from(ServiceError::from(Rejected::InvalidCredentials))
            .telling([Fact::login_failed(user, failure)])
    }

    /// Third step: starts the session, unless the credentials have changed in the meantime.
    pub(crate) fn log_in(&self, authenticated: &Authenticated, request: &SessionRequest) -> Outcome<Grant> {
        let Authenticated { credentials, rehash } = authenticated;
        if let Some(hash) = rehash
            && let Err(error) = self.store.run(|session| session.rehash(credentials, hash))
        {
            tracing::warn!(user = %credentials.user, %error, "the better hash was not stored");
        }
        let started =
            self.start(credentials.user, Some(credentials.version), request, Rejected::InvalidCredentials);
        let failure = match &started.result {
            Err(ServiceError::Rejected(Rejected::InvalidCredentials)) => CredentialFailure::ChangedMeanwhile,
            Err(ServiceError::Rejected(Rejected::HostRefused)) => CredentialFailure::HostRefused,
            _ => return started,
        };
        started.telling([Fact::login_failed(Some(credentials.user), failure)])
    }

    /// Starts a session for a user whom the host has authenticated itself. That makes the device known, as a password would:
    /// so a host can let its user in by a link while strangers keep everything else used up.
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
            Ok(Some(Beginning { admitted, password_version, others, replaced })) => {
                let evicted = self.evict_oldest(user, others);
                let facts =
                    evicted.iter().map(|id| Fact::session_ended(*id, user, RevocationReason::Evicted));
                let facts: Vec<_> = std::iter::once(logged_in(&new)).chain(replaced).chain(facts).collect();
                let ended = request.replaces.into_iter().chain(evicted);
                let grant = self.grant_to_device(admitted, token, &key, password_version);
                Outcome::new(grant, ended).telling(facts)
            }
            Ok(None) => Outcome::from(ServiceError::from(refused)),
            Err(StoreError::Refused) => Outcome::from(ServiceError::from(Rejected::HostRefused)),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// Starts a session and ends the one it replaces. `None` if the user may not have one.
    pub(super) fn start_and_replace(
        &self,
        session: &mut Session<'_>,
        new: &NewSession,
        replaces: Option<SessionId>,
    ) -> Result<Option<Beginning>, StoreError> {
        let Started::Live(started) = session.start_session(new)? else { return Ok(None) };
        let StartedSession { session: live, others, password_version } = *started;
        let mut replaced = None;
        if let Some(id) = replaces {
            let owner = session.revoke(id, RevocationReason::Replaced)?;
            session.delete_chains(&[id])?;
            replaced = owner.map(|owner| Fact::session_ended(id, owner, RevocationReason::Replaced));
        }
        Ok(Some(Beginning { admitted: self.admit(live)?, password_version, others, replaced }))
    }
}

/// What there is to tell of a session that was started.
pub(super) fn logged_in(new: &NewSession) -> Fact {
    Fact::new(EventKind::LoggedIn).of_user(new.user).in_session(new.id)
}

/// Why a known user's password was not accepted. A right one has no failure.
pub(super) fn failure(credentials: &Credentials, verification: Verification) -> CredentialFailure {
    match verification {
        Verification::Unusable => CredentialFailure::UnusableHash,
        _ if credentials.password_hash.is_none() => CredentialFailure::NoPassword,
        Verification::Wrong | Verification::Correct { .. } => CredentialFailure::WrongPassword,
    }
}
