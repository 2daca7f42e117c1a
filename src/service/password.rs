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
use crate::domain::session::RevocationReason;
use crate::domain::throttle::Network;
use crate::store::{Change, OwnAccount, Started, StoreError};

/// A change whose current password was right, with the new one hashed.
pub(crate) struct PasswordChange {
    account: OwnAccount,
    new_hash: String,
}

/// What the transaction came to.
enum Changed {
    Live(Admitted),
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
    /// all or nothing.
    pub(crate) fn change_password(&self, change: &PasswordChange) -> Outcome<Grant> {
        let PasswordChange { account, new_hash } = change;
        let OwnAccount { credentials, session: own, .. } = account;
        let request = SessionRequest {
            transport: account.transport,
            persistent: account.persistent,
            device: account.device.clone(),
            replaces: None,
        };
        let key = self.keyring.signing_key();
        let (new, token) = self.new_session(credentials.user, None, &request, &key);
        let mut ended = Vec::new();
        let changed = self.store.transaction(|session| {
            match session.change_password(credentials.user, *own, credentials.version, new_hash)? {
                Change::Done => {
                    let reason = RevocationReason::PasswordChanged;
                    end_all(session, credentials.user, None, reason, &mut ended)?;
                    let Started::Live { session: live, .. } = session.start_session(&new)? else {
                        return Err(StoreError::Corrupt("a user locked in this transaction has no session"));
                    };
                    Ok(Changed::Live(self.admit(live)?))
                }
                Change::SessionEnded => Ok(match session.find_started(&new)? {
                    // By this very change, whose answer was lost.
                    Started::Live { session: live, .. } => Changed::Live(self.admit(live)?),
                    Started::Refused => Changed::Refused(Rejected::SessionRevoked(None)),
                }),
                Change::Outdated => Ok(Changed::Refused(Rejected::WrongPassword)),
            }
        });
        match changed {
            Ok(Changed::Live(admitted)) => {
                let changed =
                    Fact::new(EventKind::PasswordChanged).of_user(credentials.user).in_session(*own);
                // Raised by the change.
                let version = credentials.version.wrapping_add(1);
                Outcome::new(self.grant_to_device(admitted, token, &key, version), ids(&ended))
                    .telling([changed])
                    .telling(ends(&ended, credentials.user, RevocationReason::PasswordChanged))
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
}

/// The password is not changed, and the client is told that the current one is wrong.
fn refused<T>(account: &OwnAccount, failure: CredentialFailure) -> Outcome<T> {
    Outcome::from(ServiceError::from(Rejected::WrongPassword)).telling([failed(account, failure)])
}

fn failed(account: &OwnAccount, failure: CredentialFailure) -> Fact {
    let kind = EventKind::PasswordChangeFailed { reason: failure };
    Fact::new(kind).of_user(account.credentials.user).in_session(account.session)
}
