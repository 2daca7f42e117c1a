//! Users, for hosts that manage them: made, found, disabled, deleted.

use super::error::{Rejected, ServiceError};
use super::{Outcome, Service};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::{EndedSession, RevocationReason};
use crate::domain::user::User;
use crate::store::{NewUser, Session, StoreError};

impl Service {
    /// Makes a user.
    pub(crate) fn create_user(&self, user: &NewUser) -> Result<User, ServiceError> {
        match self.store.transaction(|session| self.insert_user(session, user)) {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(Rejected::EmailTaken.into()),
            Err(StoreError::Refused) => Err(Rejected::HostRefused.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The user with this external id, made if there is none. Two that ask at once get the same one.
    pub(crate) fn ensure_user(&self, user: &NewUser) -> Result<User, ServiceError> {
        let external_id = user.external_id.as_deref().unwrap_or_default();
        let known = self.store.run(|session| session.find_user_by_external_id(external_id))?;
        if let Some(user) = known {
            return Ok(user);
        }
        match self.create_user(user) {
            Err(ServiceError::Rejected(Rejected::EmailTaken)) => {
                let known = self.store.run(|session| session.find_user_by_external_id(external_id))?;
                known.ok_or(Rejected::EmailTaken.into())
            }
            other => other,
        }
    }

    /// Sets or removes the password and ends every session that the old one started.
    pub(crate) fn set_password(&self, user: UserId, hash: Option<&str>) -> Outcome<()> {
        self.change_and_end_sessions(user, RevocationReason::PasswordChanged, |session| {
            session.set_password(user, hash)
        })
    }

    /// Disables a user: no login, no refresh, no session.
    pub(crate) fn disable_user(&self, user: UserId) -> Outcome<()> {
        self.change_and_end_sessions(user, RevocationReason::UserDisabled, |session| {
            session.disable_user(user)
        })
    }

    /// Takes a disabling back. Sessions stay ended.
    pub(crate) fn enable_user(&self, user: UserId) -> Result<(), ServiceError> {
        let found = self.store.run(|session| session.enable_user(user))?;
        if found { Ok(()) } else { Err(Rejected::UnknownUser.into()) }
    }

    /// Ends every session and erases what identifies the person.
    pub(crate) fn delete_user(&self, user: UserId) -> Outcome<()> {
        self.change_and_end_sessions(user, RevocationReason::UserDeleted, |session| session.erase_user(user))
    }

    /// Replaces the roles. They reach tokens at the next refresh.
    pub(crate) fn set_roles(&self, user: UserId, roles: &[String]) -> Result<(), ServiceError> {
        let found = self.store.run(|session| session.set_roles(user, roles))?;
        if found { Ok(()) } else { Err(Rejected::UnknownUser.into()) }
    }

    /// Replaces the scopes. They reach tokens at the next refresh.
    pub(crate) fn set_scopes(&self, user: UserId, scopes: &[String]) -> Result<(), ServiceError> {
        let found = self.store.run(|session| session.set_scopes(user, scopes))?;
        if found { Ok(()) } else { Err(Rejected::UnknownUser.into()) }
    }

    /// Ends every session of a user.
    pub(crate) fn revoke_sessions(&self, user: UserId, reason: RevocationReason) -> Outcome<usize> {
        let Outcome { result, ended } = self.end_sessions(user, None, reason);
        Outcome { result: result.map(|ended| ended.len()), ended }
    }

    /// `users` first, then `sessions`: a login or refresh under way holds `FOR SHARE` on one of them and is either waited
    /// for and ended, or waits and finds the change.
    fn change_and_end_sessions(
        &self,
        user: UserId,
        reason: RevocationReason,
        change: impl Fn(&mut Session<'_>) -> Result<bool, StoreError>,
    ) -> Outcome<()> {
        let mut ended = Vec::new();
        let found = self.store.transaction(|session| {
            let found = change(session)?;
            if found {
                end_all(session, user, None, reason, &mut ended)?;
            }
            Ok(found)
        });
        match found {
            Ok(true) => Outcome::new(Ok(()), ids(&ended)),
            Ok(false) => Outcome::from(ServiceError::from(Rejected::UnknownUser)),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }
}

/// Ends every session of a user but for the kept one. The user's row has been locked before, in the same transaction.
///
/// Adds them to those that earlier runs of the transaction have ended: one whose commit went through, although its answer was
/// lost, leaves nothing to be ended by the next.
pub(super) fn end_all(
    session: &mut Session<'_>,
    user: UserId,
    kept: Option<SessionId>,
    reason: RevocationReason,
    ended: &mut Vec<EndedSession>,
) -> Result<(), StoreError> {
    let now = session.revoke_all(user, kept, reason)?;
    session.delete_chains(&ids(&now))?;
    for session in now {
        if ended.iter().all(|known| known.id != session.id) {
            ended.push(session);
        }
    }
    Ok(())
}

pub(super) fn ids(ended: &[EndedSession]) -> Vec<SessionId> {
    ended.iter().map(|ended| ended.id).collect()
}
