//! For hosts with users of their own: users and sessions made, found and ended by the application.

use secrecy::{ExposeSecret as _, SecretString};

use super::{Auth, Error};
use crate::domain::email::Email;
use crate::domain::event::Actor;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session::{Device, RevocationReason, Transport};
use crate::domain::user::User;
use crate::http::answer::{self, SessionTokens};
use crate::service::error::{Rejected, ServiceError};
use crate::service::{Service, SessionRequest};
use crate::store::NewUser;

/// A user to be made by the host application.
///
/// ```
/// use actix_authflow::UserDraft;
///
/// let by_password = UserDraft::new().email("alice@example.com").password("correct horse battery");
/// let by_the_hosts_own_login = UserDraft::new().external_id("customer-4711").roles(["admin"]);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct UserDraft {
    email: Option<String>,
    password: Option<SecretString>,
    password_hash: Option<SecretString>,
    external_id: Option<String>,
    roles: Vec<String>,
    scopes: Vec<String>,
}

impl UserDraft {
    /// A user with nothing but an id.
    pub fn new() -> Self {
        Self::default()
    }

    /// An e-mail address, by which the user logs in.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// A password, which has to meet the policy.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(SecretString::from(password.into()));
        self
    }

    /// A password hash made elsewhere: an Argon2id PHC string, or what the hook of
    /// [`AuthConfig::verify_foreign_hash`](crate::AuthConfig::verify_foreign_hash) understands. At most 1,024 bytes.
    pub fn password_hash(mut self, hash: impl Into<String>) -> Self {
        self.password_hash = Some(SecretString::from(hash.into()));
        self
    }

    /// The user's key in the host's own tables. 1 to 255 bytes.
    pub fn external_id(mut self, id: impl Into<String>) -> Self {
        self.external_id = Some(id.into());
        self
    }

    /// The user's roles, for the `roles` claim. Defaults to none.
    pub fn roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// The user's scopes, for the `scope` claim. Defaults to none.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }
}

impl Auth {
    /// Makes a user.
    ///
    /// # Errors
    ///
    /// [`Error::Taken`], [`Error::Invalid`], [`Error::Refused`] by the registration hook, or what can befall any call
    /// ([`Error`]).
    pub async fn create_user(&self, draft: UserDraft) -> Result<User, Error> {
        let user = self.prepare(draft).await?;
        Ok(self.state.run(Actor::Application, move |service| service.create_user(&user)).await?)
    }

    /// The user with this external id, made if there is none. For hosts that log users in by themselves.
    ///
    /// # Errors
    ///
    /// As [`create_user`](Self::create_user).
    pub async fn ensure_user(&self, external_id: &str) -> Result<User, Error> {
        let user = self.prepare(UserDraft::new().external_id(external_id)).await?;
        Ok(self.state.run(Actor::Application, move |service| service.ensure_user(&user)).await?)
    }

    /// The user with this id, whether enabled or not. `None` if there is none, or if it was deleted.
    ///
    /// # Errors
    ///
    /// What can befall any call ([`Error`]).
    pub async fn find_user(&self, user: UserId) -> Result<Option<User>, Error> {
        Ok(self.state.run(Actor::Application, move |service| service.find_any_user(user).into()).await?)
    }

    /// The user who logs in by this e-mail address, however it is written, whether enabled or not.
    ///
    /// # Errors
    ///
    /// What can befall any call ([`Error`]).
    pub async fn find_user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        let Ok(email) = Email::parse(email) else { return Ok(None) };
        let find = move |service: &Service| service.find_user_by_email(email.canonical()).into();
        Ok(self.state.run(Actor::Application, find).await?)
    }

    /// Sets a user's password and ends every session of theirs. Whoever calls this has checked that it may be done. A user
    /// who is disabled stays so, and has the new password when [enabled](Self::enable_user).
    ///
    /// The password is text, or a `SecretString` of the crate `secrecy`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownUser`], [`Error::Invalid`] if the password does not meet the policy,
    /// or what can befall any call ([`Error`]).
    pub async fn set_password(&self, user: UserId, password: impl Into<SecretString>) -> Result<(), Error> {
        let password = password.into();
        let email = self.find_user(user).await?.ok_or(Error::UnknownUser)?.email.unwrap_or_default();
        let hash = self
            .state
            .hash(Actor::Application, move |service| service.hash_new(&password, &email).into())
            .await?;
        Ok(self.state.run(Actor::Application, move |service| service.set_password(user, &hash)).await?)
    }

    /// Replaces a user's roles. They reach access tokens at the next refresh; end the sessions to have them at once.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownUser`], [`Error::Invalid`] for a role that is empty or has control characters,
    /// or what can befall any call ([`Error`]).
    pub async fn set_roles(&self, user: UserId, roles: Vec<String>) -> Result<(), Error> {
        check_roles(&roles)?;
        Ok(self.state.run(Actor::Application, move |service| service.set_roles(user, &roles)).await?)
    }

    /// Replaces a user's scopes. They reach access tokens at the next refresh; end the sessions to have them at once.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownUser`], [`Error::Invalid`] for what is no scope (RFC 6749 §3.3),
    /// or what can befall any call ([`Error`]).
    pub async fn set_scopes(&self, user: UserId, scopes: Vec<String>) -> Result<(), Error> {
        check_scopes(&scopes)?;
        Ok(self.state.run(Actor::Application, move |service| service.set_scopes(user, &scopes)).await?)
    }

    /// Disables a user and ends every session of theirs.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownUser`], or what can befall any call ([`Error`]).
    pub async fn disable_user(&self, user: UserId) -> Result<(), Error> {
        Ok(self.state.run(Actor::Application, move |service| service.disable_user(user)).await?)
    }

    /// Takes a disabling back. Sessions stay ended.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownUser`], or what can befall any call ([`Error`]).
    pub async fn enable_user(&self, user: UserId) -> Result<(), Error> {
        Ok(self.state.run(Actor::Application, move |service| service.enable_user(user)).await?)
    }

    /// Ends every session of a user and erases e-mail, external id, password, roles and scopes. Housekeeping deletes the rows of
    /// the sessions, with the names and addresses of devices, a day later, and then the bare row of the user.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownUser`], or what can befall any call ([`Error`]).
    pub async fn delete_user(&self, user: UserId) -> Result<(), Error> {
        Ok(self.state.run(Actor::Application, move |service| service.delete_user(user)).await?)
    }

    /// Ends every session of a user and answers how many they were. Their access tokens are dead on this node at once, and
    /// soon on the others.
    ///
    /// # Errors
    ///
    /// What can befall any call ([`Error`]).
    pub async fn revoke_sessions(&self, user: UserId) -> Result<usize, Error> {
        let reason = RevocationReason::RevokedByHost;
        Ok(self.state.run(Actor::Application, move |service| service.revoke_sessions(user, reason)).await?)
    }

    /// Ends one session.
    ///
    /// # Errors
    ///
    /// What can befall any call ([`Error`]).
    pub async fn revoke_session(&self, session: SessionId) -> Result<(), Error> {
        let reason = RevocationReason::RevokedByHost;
        Ok(self.state.run(Actor::Application, move |service| service.end_session(session, reason)).await?)
    }

    /// Starts a session for a user whom the host has authenticated by itself, and answers with its tokens.
    ///
    /// It sees no request: it stores no name or address of the device, and ends no session whose cookie came along. The
    /// device that gets the answer is known to the user from then on: its logins wait for no stranger's guesses.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownUser`] if there is none or it is disabled, [`Error::Refused`] by the claims hook,
    /// or what can befall any call ([`Error`]).
    pub async fn start_session(&self, user: UserId, transport: Transport) -> Result<SessionTokens, Error> {
        let request =
            SessionRequest { transport, persistent: true, device: Device::default(), replaces: None };
        let grant =
            self.state.run(Actor::Application, move |service| service.start_session(user, &request)).await?;
        Ok(answer::session_tokens(grant, &self.state.cookies))
    }

    async fn prepare(&self, draft: UserDraft) -> Result<NewUser, Error> {
        let unusable = |value: Option<&str>, most: usize| {
            value.is_some_and(|value| value.is_empty() || value.len() > most || value.contains('\0'))
        };
        let imported = draft.password_hash.as_ref().map(|hash| hash.expose_secret());
        if unusable(draft.external_id.as_deref(), 255) {
            return Err(Error::Invalid("an external id has 1 to 255 bytes and no NUL".into()));
        }
        if unusable(imported, 1_024) {
            return Err(Error::Invalid("a password hash has 1 to 1024 bytes and no NUL".into()));
        }
        check_roles(&draft.roles)?;
        check_scopes(&draft.scopes)?;
        let email = draft.email.as_deref().map(Email::parse).transpose();
        let email = email.map_err(|invalid| Error::Invalid(invalid.to_string()))?;
        let canonical = email.as_ref().map_or("", Email::canonical).to_owned();
        let password_hash = match draft.password {
            Some(password) => Some(
                self.state
                    .hash(Actor::Application, move |service| service.hash_new(&password, &canonical).into())
                    .await?,
            ),
            None => imported.map(str::to_owned),
        };
        let external_id = draft.external_id;
        Ok(NewUser {
            id: UserId::new(),
            email,
            external_id,
            password_hash,
            roles: draft.roles,
            scopes: draft.scopes,
        })
    }
}

fn check_roles(roles: &[String]) -> Result<(), Error> {
    let usable = |role: &String| !role.is_empty() && !role.chars().any(char::is_control);
    if roles.iter().all(usable) {
        Ok(())
    } else {
        Err(Error::Invalid("a role is text without control characters".into()))
    }
}

/// `scope-token` of RFC 6749 §3.3.
fn check_scopes(scopes: &[String]) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    let usable = |scope: &String| !scope.is_empty() && scope.bytes().all(allowed);
    let fault = "a scope is printable ASCII without spaces, quotes and backslashes";
    if scopes.iter().all(usable) { Ok(()) } else { Err(Error::Invalid(fault.into())) }
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Store(error) => error.into(),
            ServiceError::Database(reason) => Self::Database(reason.into()),
            ServiceError::Overloaded => Self::Overloaded,
            ServiceError::Internal(reason) => Self::Internal(reason),
            ServiceError::Rejected(Rejected::EmailTaken) => Self::Taken,
            ServiceError::Rejected(Rejected::UnknownUser) => Self::UnknownUser,
            ServiceError::Rejected(Rejected::HostRefused) => Self::Refused,
            ServiceError::Rejected(Rejected::WeakPassword(reason)) => Self::Invalid(reason),
            ServiceError::Rejected(other) => Self::Internal(format!("unexpected outcome: {other:?}")),
        }
    }
}
