//! The last step of every operation that gives tokens.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::error::ServiceError;
use super::hooks::{ExtraClaims, TokenSubject};
use super::{Grant, Service};
use crate::domain::issuing::Subject;
use crate::domain::keys::SigningKey;
use crate::domain::refresh_jwt::{Contents, RefreshFormat};
use crate::domain::refresh_token::RefreshToken;
use crate::domain::session::{LiveSession, Transport};
use crate::domain::user::User;
use crate::store::StoreError;

/// A session that is about to get an access token, and the host's own claims for it.
pub(super) struct Admitted {
    pub(super) session: LiveSession,
    pub(super) claims: Map<String, Value>,
}

impl Service {
    /// Asks the host for its claims. To be done while the operation can still be undone, because the host may refuse.
    pub(super) fn admit(&self, session: LiveSession) -> Result<Admitted, StoreError> {
        let claims = self.host_claims(&session)?;
        Ok(Admitted { session, claims })
    }

    pub(super) fn host_claims(&self, session: &LiveSession) -> Result<Map<String, Value>, StoreError> {
        let Some(hook) = &self.hooks.claims else { return Ok(Map::new()) };
        let user = user(session);
        let subject = TokenSubject {
            user: &user,
            session_id: session.id,
            roles: &session.roles,
            scopes: &session.scopes,
        };
        match hook(&subject) {
            ExtraClaims::Add(claims) => Ok(claims),
            ExtraClaims::Refused => Err(StoreError::Refused),
            ExtraClaims::Unusable(reason) => Err(StoreError::Hook(reason)),
        }
    }

    /// Signs the access token that goes with `refresh_token`, with the key that is noted for it. No connection is held
    /// meanwhile.
    pub(super) fn grant(
        &self,
        admitted: Admitted,
        refresh_token: RefreshToken,
        key: &SigningKey,
    ) -> Result<Grant, ServiceError> {
        let Admitted { session, claims } = admitted;
        let refresh_token = self.wrap(&session, &refresh_token)?;
        let life = match session.transport {
            Transport::Cookie => self.lifetimes.access,
            Transport::Body => self.lifetimes.mobile_access,
        };
        let user = user(&session);
        let subject = Subject {
            user: session.user,
            session: session.id,
            authenticated_at: session.authenticated_at.timestamp(),
            roles: session.roles,
            scopes: session.scopes,
            extra: claims,
        };
        let access_token = self
            .issuer
            .issue(key, subject, session.now.timestamp(), life.num_seconds())
            .map_err(signing_failed)?;
        self.keyring.remember(&access_token);
        Ok(Grant {
            access_token,
            expires_in: life.num_seconds(),
            session: session.id,
            user,
            transport: session.transport,
            persistent: session.persistent,
            refresh_token,
            refresh_expires_in: (session.refresh_expires_at - session.now).num_seconds(),
            device: None,
        })
    }

    /// The same for a client that has shown who it is, and whose device is known from now on.
    pub(super) fn grant_to_device(
        &self,
        admitted: Admitted,
        refresh_token: RefreshToken,
        key: &SigningKey,
        password_version: i32,
    ) -> Result<Grant, ServiceError> {
        let (user, now) = (admitted.session.user, admitted.session.now);
        let grant = self.grant(admitted, refresh_token, key)?;
        let device = self.throttle.as_ref().map(|_| self.devices.issue(user, password_version, now));
        Ok(Grant { device, ..grant })
    }
}

impl Service {
    /// The refresh token as the client gets it.
    fn wrap(&self, session: &LiveSession, token: &RefreshToken) -> Result<Zeroizing<String>, ServiceError> {
        match (session.transport, self.refresh_format) {
            (Transport::Cookie, _) | (Transport::Body, RefreshFormat::Opaque) => Ok(token.expose()),
            (Transport::Body, RefreshFormat::Jwt) => {
                let contents = Contents {
                    user: session.user,
                    issued_at: session.refresh_issued_at,
                    expires_at: session.refresh_expires_at,
                };
                self.envelopes.seal(token, &contents).map_err(signing_failed)
            }
        }
    }
}

fn signing_failed(error: jsonwebtoken::errors::Error) -> ServiceError {
    ServiceError::Internal(format!("signing failed: {error}"))
}

fn user(session: &LiveSession) -> User {
    User {
        id: session.user,
        email: session.email.clone(),
        external_id: session.external_id.clone(),
        created_at: session.user_created_at,
    }
}
