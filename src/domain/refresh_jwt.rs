//! Refresh tokens in the form of a JWT, for clients that want one: an envelope around the same token.
//!
//! The envelope has a `typ`, an audience and a symmetric key of its own, so that no verifier of access tokens can take it for
//! one (RFC 8725 §3.11-3.12). It follows from the token and its row alone: a retry gets the identical text.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::clock::UnixSeconds;
use crate::domain::compact::Header;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::keys::{SigningKey, VerifyingKey};
use crate::domain::refresh_token::{Generation, RefreshToken, RefreshTokenKeys};
use crate::domain::secret::ServerSecret;
use crate::domain::{compact, json};

const TYP: &str = "rt+jwt";
const LABEL: &str = "refresh token JWT";

/// The form in which body sessions get their refresh tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RefreshFormat {
    /// `rt_` and base64url: nothing for the client to read. The default.
    #[default]
    Opaque,
    /// A JWT whose `exp`, `sid` and `sub` the client can read.
    Jwt,
}

/// What the envelope says about the token in it, from the token's row.
pub(crate) struct Contents {
    pub(crate) user: UserId,
    pub(crate) issued_at: DateTime<Utc>,
    /// The idle or absolute end, whichever is nearer.
    pub(crate) expires_at: DateTime<Utc>,
}

/// Seals and opens envelopes, under the current master secret; opens those under a second one too.
pub(crate) struct Envelopes {
    signing: SigningKey,
    previous: Option<SigningKey>,
    issuer: String,
    audience: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    generation: Generation,
    iat: UnixSeconds,
    exp: UnixSeconds,
    token: String,
}

impl Envelopes {
    pub(crate) fn new(current: &ServerSecret, previous: Option<&ServerSecret>, issuer: &str) -> Self {
        Self {
            signing: SigningKey::derive_hmac(current, LABEL),
            previous: previous.map(|secret| SigningKey::derive_hmac(secret, LABEL)),
            issuer: issuer.to_owned(),
            audience: format!("{issuer}/refresh"),
        }
    }

    pub(crate) fn seal(
        &self,
        token: &RefreshToken,
        contents: &Contents,
    ) -> Result<Zeroizing<String>, jsonwebtoken::errors::Error> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: contents.user,
            sid: token.session(),
            generation: token.generation(),
            iat: contents.issued_at.timestamp(),
            exp: contents.expires_at.timestamp(),
            token: token.expose().to_string(),
        };
        self.signing.sign(TYP, &claims).map(Zeroizing::new)
    }

    /// The token in an envelope that is genuine, whole and ours. Its times are not looked at: the database decides.
    pub(crate) fn open(&self, text: &[u8], tokens: &RefreshTokenKeys) -> Option<RefreshToken> {
        let envelope = compact::split(std::str::from_utf8(text).ok()?)?;
        let header: Header = json::from_slice(&envelope.header).ok()?;
        let key = self.keys().find(|key| key.kid() == header.kid)?;
        let pinned = header.alg == key.algorithm().as_str() && header.typ == TYP;
        if !pinned || !key.verify(envelope.signed, envelope.signature) {
            return None;
        }
        let claims: Claims = json::from_slice(&envelope.payload).ok()?;
        let token = tokens.parse(claims.token.as_bytes())?;
        let consistent = claims.iss == self.issuer
            && claims.aud == self.audience
            && claims.sid == token.session()
            && claims.generation == token.generation();
        consistent.then_some(token)
    }

    fn keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        std::iter::once(&self.signing).chain(&self.previous).map(SigningKey::verifying)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: char) -> ServerSecret {
        ServerSecret::new(format!("{letter}m9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA")).unwrap()
    }

    fn contents() -> Contents {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        Contents { user: UserId::new(), issued_at: at(1_000), expires_at: at(2_000) }
    }

    #[test]
    fn an_envelope_is_the_same_every_time_and_gives_its_token_back() {
        let (tokens, envelopes) = set_up(&secret('Z'), None);
        let (token, contents) = (tokens.first(SessionId::new()), contents());
        let sealed = envelopes.seal(&token, &contents).unwrap();
        assert_eq!(sealed, envelopes.seal(&token, &contents).unwrap());
        assert_eq!(envelopes.open(sealed.as_bytes(), &tokens).unwrap().digest(), token.digest());
    }

    #[test]
    fn the_previous_secret_opens_and_no_other() {
        let (tokens, envelopes) = set_up(&secret('Z'), None);
        let sealed = envelopes.seal(&tokens.first(SessionId::new()), &contents()).unwrap();
        let (tokens, envelopes) = set_up(&secret('Y'), Some(&secret('Z')));
        assert!(envelopes.open(sealed.as_bytes(), &tokens).is_some());
        let (tokens, envelopes) = set_up(&secret('Y'), None);
        assert!(envelopes.open(sealed.as_bytes(), &tokens).is_none());
    }

    #[test]
    fn no_changed_byte_is_accepted() {
        let (tokens, envelopes) = set_up(&secret('Z'), None);
        let sealed = envelopes.seal(&tokens.first(SessionId::new()), &contents()).unwrap();
        for position in 0..sealed.len() {
            let mut changed = sealed.as_bytes().to_vec();
            changed[position] ^= 1;
            assert!(envelopes.open(&changed, &tokens).is_none(), "{position}");
        }
    }

    #[test]
    fn an_access_token_under_the_very_key_is_no_envelope() {
        let (tokens, envelopes) = set_up(&secret('Z'), None);
        let token = tokens.first(SessionId::new());
        let claims = Claims {
            iss: "issuer".into(),
            aud: "issuer/refresh".into(),
            sub: UserId::new(),
            sid: token.session(),
            generation: 0,
            iat: 1,
            exp: 2,
            token: token.expose().to_string(),
        };
        let right = envelopes.signing.sign(TYP, &claims).unwrap();
        assert!(envelopes.open(right.as_bytes(), &tokens).is_some());
        let wrong = envelopes.signing.sign("at+jwt", &claims).unwrap();
        assert!(envelopes.open(wrong.as_bytes(), &tokens).is_none());
        for wrong in [
            Claims { iss: "other".into(), ..copy(&claims) },
            Claims { aud: "issuer".into(), ..copy(&claims) },
            Claims { generation: 1, ..copy(&claims) },
            Claims { sid: SessionId::new(), ..copy(&claims) },
        ] {
            let sealed = envelopes.signing.sign(TYP, &wrong).unwrap();
            assert!(envelopes.open(sealed.as_bytes(), &tokens).is_none());
        }
    }

    fn set_up(current: &ServerSecret, previous: Option<&ServerSecret>) -> (RefreshTokenKeys, Envelopes) {
        (RefreshTokenKeys::new(current, previous), Envelopes::new(current, previous, "issuer"))
    }

    fn copy(claims: &Claims) -> Claims {
        serde_json::from_value(serde_json::to_value(claims).unwrap()).unwrap()
    }
}
