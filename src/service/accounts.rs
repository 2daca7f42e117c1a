//! Users, for hosts that manage them: made, found, disabled, deleted.

use super::error::{Rejected, ServiceError};
use super::{Outcome, Service};
use crate::domain::event::{EventKind, Fact};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::{EndedSession, RevocationReason};
use crate::domain::user::User;
use crate::store::{NewUser, Session, StoreError};

impl Service {
    /// Makes a user.
    pub(crate) fn create_user(&self, user: &NewUser) -> Outcome<User> {
        let created = match self.store.transaction(|session| self.insert_user(session, user)) {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(Rejected::EmailTaken.into()),
            Err(StoreError::Refused) => Err(Rejected::HostRefused.into()),
            Err(error) => Err(ServiceError::from(error)),
        };
        Outcome::from(created)
            .telling_if_done(|created| Fact::new(EventKind::UserCreated).of_user(created.id))
    }

    /// The user with this external id, made if there is none. Two that ask at once get the same one.
    pub(crate) fn ensure_user(&self, user: &NewUser) -> Outcome<User> {
        let external_id = user.external_id.as_deref().unwrap_or_default();
        let find = || self.store.run(|session| session.find_user_by_external_id(external_id));
        match find() {
            Ok(Some(user)) => return Outcome::from(Ok::<_, ServiceError>(user)),
            Ok(None) => {}
            Err(error) => return Outcome::from(ServiceError::from(error)),
        }
        let created = self.create_user(user);
        match created.result {
            Err(ServiceError::Rejected(Rejected::EmailTaken)) => {
                let known = find().map_err(ServiceError::from);
                Outcome::from(known.and_then(|known| known.ok_or(Rejected::EmailTaken.into())))
            }
            _ => created,
        }
    }

    /// A user, whether enabled or not.
    pub(crate) fn find_any_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.store.run(|session| session.find_any_user(id))
    }

    /// The user with this canonical e-mail address, whether enabled or not.
    pub(crate) fn find_user_by_email(&self, canonical: &str) -> Result<Option<User>, StoreError> {
        self.store.run(|session| session.find_user_by_email(canonical))
    }

    /// Sets the password and ends every session that the old one started.
    pub(crate) fn set_password(&self, user: UserId, hash: &str) -> Outcome<()> {
        let reason = RevocationReason::PasswordChanged;
        let set = |session: &mut Session<'_>| session.set_password(user, hash);
        self.change_and_end_sessions(user, EventKind::PasswordChanged, reason, set)
    }

    /// Disables a user: no login, no refresh, no session.
    pub(crate) fn disable_user(&self, user: UserId) -> Outcome<()> {
        let reason = RevocationReason::UserDisabled;
        let disable = |session: &mut Session<'_>| session.disable_user(user);
        self.change_and_end_sessions(user, EventKind::UserDisabled, reason, disable)
    }

    /// Takes a disabling back. Sessions stay ended.
    pub(crate) fn enable_user(&self, user: UserId) -> Outcome<()> {
        self.change(user, EventKind::UserEnabled, |session| session.enable_user(user))
    }

    /// Ends every session and erases what identifies the person.
    pub(crate) fn delete_user(&self, user: UserId) -> Outcome<()> {
        let reason = RevocationReason::UserDeleted;
        let erase = |session: &mut Session<'_>| session.erase_user(user);
        self.change_and_end_sessions(user, EventKind::UserDeleted, reason, erase)
    }

    /// Replaces the roles. They reach tokens at the next refresh.
    pub(crate) fn set_roles(&self, user: UserId, roles: &[String]) -> Outcome<()> {
        self.change(user, EventKind::RolesChanged, |session| session.set_roles(user, roles))
    }

    /// Replaces the scopes. They reach tokens at the next refresh.
    pub(crate) fn set_scopes(&self, user: UserId, scopes: &[String]) -> Outcome<()> {
        self.change(user, EventKind::ScopesChanged, |session| session.set_scopes(user, scopes))
    }

    /// Ends every session of a user.
    pub(crate) fn revoke_sessions(&self, user: UserId, reason: RevocationReason) -> Outcome<usize> {
        let Outcome { result, ended, facts } = self.end_sessions(user, None, reason);
        Outcome { result: result.map(|ended| ended.len()), ended, facts }
    }

    /// A change of a user's row that ends no session.
    fn change(
        &self,
        user: UserId,
        kind: EventKind,
        change: impl Fn(&mut Session<'_>) -> Result<bool, StoreError>,
    ) -> Outcome<()> {
        match self.store.run(change) {
            Ok(true) => Outcome::new(Ok(()), []).telling([Fact::new(kind).of_user(user)]),
            Ok(false) => Outcome::from(ServiceError::from(Rejected::UnknownUser)),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// `users` first, then `sessions`: a login or refresh under way holds `FOR SHARE` on one of them and is either waited
    /// for and ended, or waits and finds the change.
    fn change_and_end_sessions(
        &self,
        user: UserId,
        kind: EventKind,
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
            Ok(true) => Outcome::new(Ok(()), ids(&ended))
                .telling([Fact::new(kind).of_user(user)])
                .telling(ends(&ended, user, reason)),
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

/// What there is to tell of sessions of one user that have ended together.
pub(super) fn ends(
    ended: &[EndedSession],
    user: UserId,
    reason: RevocationReason,
) -> impl Iterator<Item = Fact> {
    ended.iter().map(move |ended| Fact::session_ended(ended.id, user, reason))
}

pub(super) fn ids(ended: &[EndedSession]) -> Vec<SessionId> {
    ended.iter().map(|ended| ended.id).collect()
}
