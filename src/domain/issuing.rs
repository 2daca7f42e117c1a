//! Issuing access tokens.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::access_token::TYP;
use crate::domain::claims::{Audience, Claims};
use crate::domain::clock::UnixSeconds;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::keys::SigningKey;

/// Whom a token is about.
pub(crate) struct Subject {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) authenticated_at: UnixSeconds,
    pub(crate) roles: Vec<String>,
    pub(crate) scopes: Vec<String>,
    /// The host's own claims.
    pub(crate) extra: Map<String, Value>,
}

#[cfg(test)]
impl Subject {
    /// Somebody without roles, scopes and claims of the host's.
    pub(crate) fn plain(session: SessionId, authenticated_at: UnixSeconds) -> Self {
        let (user, extra) = (UserId::new(), Map::new());
        Self { user, session, authenticated_at, roles: Vec::new(), scopes: Vec::new(), extra }
    }
}

/// Signs access tokens for one application.
pub(crate) struct TokenIssuer {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) client_id: String,
}

impl TokenIssuer {
    /// An access token signed with `key` that lives `life` seconds from `now`, which is the database's time.
    pub(crate) fn issue(
        &self,
        key: &SigningKey,
        subject: Subject,
        now: UnixSeconds,
        life: UnixSeconds,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: Audience::One(self.audience.clone()),
            sub: subject.user,
            client_id: self.client_id.clone(),
            sid: subject.session,
            jti: Uuid::new_v4(),
            iat: now,
            exp: now + life,
            nbf: None,
            auth_time: subject.authenticated_at,
            roles: subject.roles,
            scope: subject.scopes.join(" "),
            extra: subject.extra,
        };
        key.sign(TYP, &claims)
    }
}
