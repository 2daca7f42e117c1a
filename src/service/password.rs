//! The change of a password by its owner, in three steps like a login: no connection is held while passwords are hashed.

use secrecy::SecretString;

use super::accounts::{end_all, ends, ids};
use super::attempts::Reservation;
use super::error::{Rejected, ServiceError};
use super::issue::Admitted;
use super::login::{failure, logged_in};
use super::{Grant, Outcome, Service, SessionRequest};
use crate::domain::event::{CredentialFailure, EventKind, Fact};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::password::NormalizedPassword;
use crate::domain::password::hash::Verification;
use crate::domain::session::{Device, EndedSession, RevocationReason};
use crate::domain::throttle::Network;
use crate::domain::user::Credentials;
use crate::store::{Change, NewSession, OwnAccount, Session, Started, StoreError};

/// A change whose current password was right, with the new one hashed.
pub(crate) struct PasswordChange {
    account: OwnAccount,
    new_hash: String,
}

/// What the transaction came to.
enum Changed {
    /// A new session, under the password of this version.
    Live(Admitted, i32),
    Refused(Rejected),
}

impl Service {
    /// First step: finds the account of a user with a live session, and counts the attempt.
    pub(crate) fn begin_change(
        &self,
        user: UserId,
        session: SessionId,
        network: Option<Network>,
    ) -> Outcome<(OwnAccount, Reservation)> {
        let account = match self.store.run(|connection| connection.find_own_account(user, session)) {
            Ok(Some(account)) => account,
            Ok(None) => return Outcome::from(ServiceError::from(Rejected::SessionRevoked(None))),
            Err(error) => return Outcome::from(ServiceError::from(error)),
        };
        let counters = self.throttle.as_ref().map(|throttle| throttle.password_change(user, network));
        self.reserve(counters.unwrap_or_default(), Some(user)).map(|reservation| (account, reservation))
    }

    /// Second step: checks the current password and hashes the new one. A weak new one is refused first: otherwise whoever
    /// has an access token could try current passwords without ever changing anything. A user without password costs
    /// as much as a wrong one.
    pub(crate) fn check_change(
        &self,
        account: OwnAccount,
        current: &SecretString,
        new: &SecretString,
    ) -> Outcome<PasswordChange> {
        let new = match self.accept_new(new, &account.email) {
            Ok(new) => new,
            Err(error) => return Outcome::from(error),
        };
        // Too long to be anybody's password, whoever asks.
        let Some(current) = NormalizedPassword::for_verification(current) else {
            return refused(&account, CredentialFailure::WrongPassword);
        };
        match self.hasher.verify(&current, account.credentials.password_hash.as_deref()) {
            Verification::Correct { .. } => {
                Outcome::from(self.hash(&new).map(|new_hash| PasswordChange { account, new_hash }))
            }
            verification @ (Verification::Wrong | Verification::Unusable) => {
                refused(&account, failure(&account.credentials, verification))
            }
        }
    }

    /// Third step: sets the password, ends every session of the user and starts a new one like the one it was asked for in,
    /// all or nothing. The device is the one that asks, under the name that it has.
    pub(crate) fn change_password(&self, change: &PasswordChange, device: Device) -> Outcome<Grant> {
        let (account, reason) = (&change.account, RevocationReason::PasswordChanged);
        let OwnAccount { credentials, session: own, .. } = account;
        let request = SessionRequest {
            transport: account.transport,
            persistent: account.persistent,
            device: Device { name: account.device_name.clone(), ..device },
            replaces: None,
        };
        let key = self.keyring.signing_key();
        let (new, token) = self.new_session(credentials.user, None, &request, &key);
        let mut ended = Vec::new();
        match self.store.transaction(|session| self.replace_password(session, change, &new, &mut ended)) {
            Ok(Changed::Live(admitted, password_version)) => {
                let changed =
                    Fact::new(EventKind::PasswordChanged).of_user(credentials.user).in_session(*own);
                let grant = self.grant_to_device(admitted, token, &key, password_version);
                Outcome::new(grant, ids(&ended))
                    .telling([changed])
                    .telling(ends(&ended, credentials.user, reason))
                    .telling([logged_in(&new)])
            }
            Ok(Changed::Refused(Rejected::WrongPassword)) => {
                refused(account, CredentialFailure::ChangedMeanwhile)
            }
            Ok(Changed::Refused(rejected)) => Outcome::from(ServiceError::from(rejected)),
            Err(StoreError::Refused) => Outcome::from(ServiceError::from(Rejected::HostRefused))
                .telling([failed(account, CredentialFailure::HostRefused)]),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// What is done in the transaction. Adds to `ended` what it ends.
    fn replace_password(
        &self,
        session: &mut Session<'_>,
        change: &PasswordChange,
        new: &NewSession,
        ended: &mut Vec<EndedSession>,
    ) -> Result<Changed, StoreError> {
        let OwnAccount { credentials, session: own, .. } = &change.account;
        let &Credentials { user, password_version, .. } = credentials;
        let started = match session.change_password(user, *own, password_version, &change.new_hash)? {
            Change::Done => {
                end_all(session, user, None, RevocationReason::PasswordChanged, ended)?;
                let Started::Live(started) = session.start_session(new)? else {
                    return Err(StoreError::Corrupt("a user locked in this transaction has no session"));
                };
                started
            }
            Change::SessionEnded => match session.find_started(new)? {
                // By this very change, whose answer was lost.
                Started::Live(started) => started,
                Started::Refused => return Ok(Changed::Refused(Rejected::SessionRevoked(None))),
            },
            Change::Outdated => return Ok(Changed::Refused(Rejected::WrongPassword)),
        };
        Ok(Changed::Live(self.admit(started.session)?, started.password_version))
    }
}

/// The password is not changed, and the client is told that the current one is wrong.
fn refused<T>(account: &OwnAccount, failure: CredentialFailure) -> Outcome<T> {
    Outcome::from(ServiceError::from(Rejected::WrongPassword)).telling([failed(account, failure)])
}

fn failed(account: &OwnAccount, failure: CredentialFailure) -> Fact {
    let kind = EventKind::PasswordChangeFailed { reason: failure };
    Fact::new(kind).of_user(account.credentials.user).in_session(account.session)
}
