//! The change of a password by its owner, in three steps like a login: no connection is held while passwords are hashed.

use secrecy::SecretString;

use super::accounts::{end_all, ids};
use super::error::{Rejected, ServiceError};
use super::issue::Admitted;
use super::{Grant, Outcome, Service, SessionRequest};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::password::NormalizedPassword;
use crate::domain::password::hash::Verification;
use crate::domain::session::RevocationReason;
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
    /// First step: the account of a user with a live session.
    pub(crate) fn find_own_account(
        &self,
        user: UserId,
        session: SessionId,
    ) -> Result<OwnAccount, ServiceError> {
        let account = self.store.run(|connection| connection.find_own_account(user, session))?;
        account.ok_or(Rejected::SessionRevoked.into())
    }

    /// Second step: checks the current password and hashes the new one. A weak new one is refused first: otherwise whoever
    /// has an access token could try current passwords without ever changing anything. A user without password costs
    /// as much as a wrong one.
    pub(crate) fn check_change(
        &self,
        account: OwnAccount,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<PasswordChange, ServiceError> {
        let new = self.accept_new(new, &account.email)?;
        // Too long to be anybody's password, whoever asks.
        let current = NormalizedPassword::for_verification(current).ok_or(Rejected::WrongPassword)?;
        match self.hasher.verify(&current, account.credentials.password_hash.as_deref()) {
            Verification::Correct { .. } => Ok(PasswordChange { account, new_hash: self.hash(&new)? }),
            Verification::Wrong => Err(Rejected::WrongPassword.into()),
            Verification::Unusable => {
                tracing::warn!(user = %account.credentials.user, "the stored password hash cannot be used");
                Err(Rejected::WrongPassword.into())
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
                    Started::Refused => Changed::Refused(Rejected::SessionRevoked),
                }),
                Change::Outdated => Ok(Changed::Refused(Rejected::WrongPassword)),
            }
        });
        match changed {
            Ok(Changed::Live(admitted)) => Outcome::new(self.grant(admitted, token, &key), ids(&ended)),
            Err(StoreError::Refused) => Outcome::from(ServiceError::from(Rejected::HostRefused)),
            Ok(Changed::Refused(rejected)) => Outcome::from(ServiceError::from(rejected)),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }
}
