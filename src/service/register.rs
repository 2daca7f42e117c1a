//! Registration: a user and the user's first session in one transaction.

use secrecy::SecretString;

use super::attempts::Reservation;
use super::error::{Rejected, ServiceError};
use super::hooks::RegistrationError;
use super::login::{Beginning, logged_in};
use super::{Grant, Outcome, Service, SessionRequest};
use crate::domain::email::Email;
use crate::domain::event::{EventKind, Fact};
use crate::domain::ids::UserId;
use crate::domain::password::NormalizedPassword;
use crate::domain::throttle::Network;
use crate::domain::user::User;
use crate::store::{NewUser, Session, StoreError, UserInsertion};

/// A user to be registered, with the password hashed already.
pub(crate) struct Registration {
    pub(crate) email: Email,
    pub(crate) password_hash: String,
}

impl Service {
    /// First step: counts the registration. One whose password is refused is given back. One whose address is taken counts:
    /// it tells who has an account.
    pub(crate) fn begin_registration(&self, network: Option<Network>) -> Outcome<((), Reservation)> {
        let counters = self.throttle.as_ref().map(|throttle| throttle.registration(network));
        self.reserve(counters.unwrap_or_default(), None).map(|reservation| ((), reservation))
    }

    /// Checks a new password against the policy and hashes it. Neither the user's address nor the application's name may be
    /// the password.
    pub(crate) fn hash_new(&self, password: &SecretString, email: &str) -> Result<String, ServiceError> {
        self.hash(&self.accept_new(password, email)?)
    }

    /// Checks a new password against the policy.
    pub(super) fn accept_new(
        &self,
        password: &SecretString,
        email: &str,
    ) -> Result<NormalizedPassword, ServiceError> {
        let local_part = email.rsplit_once('@').map_or(email, |(local_part, _)| local_part);
        let accepted = self.policy.accept(password, &[email, local_part, &self.issuer.client_id]);
        Ok(accepted.map_err(|weak| Rejected::WeakPassword(weak.detail()))?)
    }

    pub(super) fn hash(&self, password: &NormalizedPassword) -> Result<String, ServiceError> {
        self.hasher.hash(password).map_err(|error| ServiceError::Internal(format!("hashing failed: {error}")))
    }

    /// Makes the user, runs the host's hook and starts the first session: all or nothing.
    pub(crate) fn register(&self, registration: &Registration, request: &SessionRequest) -> Outcome<Grant> {
        let user = NewUser {
            id: UserId::new(),
            email: Some(registration.email.clone()),
            external_id: None,
            password_hash: Some(registration.password_hash.clone()),
            roles: Vec::new(),
            scopes: Vec::new(),
        };
        let key = self.keyring.signing_key();
        let (new, token) = self.new_session(user.id, None, request, &key);
        let registered = self.store.transaction(|session| {
            if self.insert_user(session, &user)?.is_none() {
                return Ok(None);
            }
            let started = self.start_and_replace(session, &new, request.replaces)?;
            let impossible = StoreError::Corrupt("a user made in this transaction has no session");
            started.map(Some).ok_or(impossible)
        });
        match registered {
            Ok(Some(Beginning { admitted, password_version, replaced, .. })) => {
                let grant = self.grant_to_device(admitted, token, &key, password_version);
                let created = Fact::new(EventKind::UserCreated).of_user(user.id);
                let facts = [created, logged_in(&new)].into_iter().chain(replaced);
                Outcome::new(grant, request.replaces).telling(facts)
            }
            // A refusal is a value, because an `Err` would say that something went wrong.
            Ok(None) => Outcome::from(ServiceError::from(Rejected::EmailTaken)),
            Err(StoreError::Refused) => Outcome::from(ServiceError::from(Rejected::HostRefused)),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// Adds a user and lets the host take part. `None` if the address or external id is taken.
    pub(super) fn insert_user(
        &self,
        session: &mut Session<'_>,
        user: &NewUser,
    ) -> Result<Option<User>, StoreError> {
        let inserted = match session.insert_user(user)? {
            UserInsertion::Inserted(inserted) => inserted,
            // The hook took part in the commit whose answer was lost.
            UserInsertion::OwnCommit(user) => return Ok(Some(user)),
            UserInsertion::Taken => return Ok(None),
        };
        if let Some(hook) = &self.hooks.on_registration {
            hook(session.connection(), &inserted).map_err(|error| match error {
                RegistrationError::Refused => StoreError::Refused,
                RegistrationError::Failed(error) => StoreError::Failed(error),
            })?;
        }
        Ok(Some(inserted))
    }
}
