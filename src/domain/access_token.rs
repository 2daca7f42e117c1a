//! Access tokens: signed JWTs (RFC 9068), issued with exactly these claims and verified strictly.
//!
//! `jsonwebtoken` checks signatures. Everything it is lenient about (form, `typ`, critical headers, types of
//! claims, times, duplicate members) is decided here.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::domain::claims::Claims;
use crate::domain::clock::UnixSeconds;
use crate::domain::compact::{Header, Unverified};
#[cfg(feature = "jwks-fetch")]
use crate::domain::keys::MAX_KID_BYTES;
use crate::domain::keys::{KeySet, VerifyingKey};
use crate::domain::{compact, json};

/// The `typ` of an access token (RFC 9068 §2.1).
pub(crate) const TYP: &str = "at+jwt";

/// The longest life a token may claim, in seconds. A bound of its own: lowering the configured life must not refuse
/// tokens that were issued before.
pub(crate) const MAX_LIFE: UnixSeconds = 24 * 60 * 60;

/// Why an access token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Malformed, not signed by a known key, or not meant for this service.
    #[error("the access token is invalid")]
    Invalid,
    /// In every other respect valid, but past its `exp`.
    #[error("the access token has expired")]
    Expired,
    /// In every other respect valid, but its session was ended.
    #[error("the session has ended")]
    Revoked,
}

/// Whether the clock has a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeCheck {
    /// As for every call: not yet expired, not from the future.
    At(UnixSeconds),
    /// For refresh and logout, where an expired token is as good: everything but the time claims is verified.
    Skipped,
}

/// How far clocks may differ, unless somebody says otherwise.
pub(crate) const DEFAULT_LEEWAY: Duration = Duration::from_secs(5);
/// How far they may be said to differ at most.
pub(crate) const MAX_LEEWAY: Duration = Duration::from_secs(30);

/// What an access token must say to be accepted here.
#[derive(Debug)]
pub(crate) struct AccessTokenRules {
    issuer: String,
    audience: String,
    /// How many seconds clocks may differ.
    leeway: AtomicI64,
}

impl AccessTokenRules {
    /// For tokens of this issuer, meant for this audience, with the default leeway.
    pub(crate) fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        let rules = Self { issuer: issuer.into(), audience: audience.into(), leeway: AtomicI64::default() };
        rules.set_leeway(DEFAULT_LEEWAY);
        rules
    }

    /// In whole seconds, and at most [`MAX_LEEWAY`].
    pub(crate) fn set_leeway(&self, leeway: Duration) {
        let seconds = leeway.min(MAX_LEEWAY).as_secs().cast_signed();
        self.leeway.store(seconds, Ordering::Relaxed);
    }

    /// Verifies the form, the signature and the claims, in this order: "expired" is a verdict on otherwise valid tokens
    /// only (RFC 8725 §3.3).
    pub(crate) fn verify(&self, keys: &KeySet, token: &str, time: TimeCheck) -> Result<Claims, TokenRefused> {
        let claims = self.read(keys, token, |key, token| key.verify(token.signed, token.signature))?;
        match time {
            TimeCheck::At(now) => self.check_time(&claims, now)?,
            TimeCheck::Skipped => {}
        }
        Ok(claims)
    }

    /// The claims of a token that this process has signed a moment ago. Everything but the signature and the time is verified,
    /// so that what is accepted here is accepted everywhere.
    #[cfg(feature = "issuer")]
    pub(crate) fn read_own(&self, keys: &KeySet, token: &str) -> Result<Claims, TokenRefused> {
        self.read(keys, token, |_, _| true)
    }

    fn read(
        &self,
        keys: &KeySet,
        token: &str,
        genuine: impl FnOnce(&VerifyingKey, &Unverified<'_>) -> bool,
    ) -> Result<Claims, TokenRefused> {
        let token = compact::split(token).ok_or(TokenRefused::Invalid)?;
        let header: Header = json::from_slice(&token.header).map_err(|_| TokenRefused::Invalid)?;
        let key = keys.find(&header.kid).ok_or(TokenRefused::Invalid)?;
        let pinned = header.alg == key.algorithm().as_str() && is_access_token(&header);
        if !pinned || !genuine(key, &token) {
            return Err(TokenRefused::Invalid);
        }
        let claims: Claims = json::from_slice(&token.payload).map_err(|_| TokenRefused::Invalid)?;
        self.check(&claims)?;
        Ok(claims)
    }

    fn check(&self, claims: &Claims) -> Result<(), TokenRefused> {
        let life = claims.exp - claims.iat;
        let ok = claims.iss == self.issuer
            && claims.aud.contains(&self.audience)
            && !claims.client_id.is_empty()
            && (1..=MAX_LIFE).contains(&life);
        if ok { Ok(()) } else { Err(TokenRefused::Invalid) }
    }

    /// Whether the token is valid at `now`.
    pub(crate) fn check_time(&self, claims: &Claims, now: UnixSeconds) -> Result<(), TokenRefused> {
        let leeway = self.leeway.load(Ordering::Relaxed);
        let from = claims.nbf.map_or(claims.iat, |nbf| nbf.max(claims.iat));
        if from - leeway > now {
            return Err(TokenRefused::Invalid);
        }
        if now >= claims.exp + leeway { Err(TokenRefused::Expired) } else { Ok(()) }
    }
}

/// The key that a token of the right form names. Nothing vouches for it: good for a look-up, and for nothing else.
#[cfg(feature = "jwks-fetch")]
pub(crate) fn unverified_key_id(token: &str) -> Option<String> {
    let token = compact::split(token)?;
    let header: Header = json::from_slice(&token.header).ok()?;
    is_access_token(&header).then_some(header.kid).filter(|kid| kid.len() <= MAX_KID_BYTES)
}

/// Media types are compared without case, and `application/` may be left out (RFC 7515 §4.1.9).
fn is_access_token(header: &Header) -> bool {
    let typ = header.typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == TYP
}

#[cfg(test)]
mod tests;
