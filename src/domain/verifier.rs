//! The verifier: what a guard needs, and all a service needs that only checks tokens.

#[cfg(feature = "jwks-fetch")]
mod following;

use std::sync::Arc;
#[cfg(feature = "jwks-fetch")]
use std::sync::OnceLock;
use std::time::Duration;

use arc_swap::ArcSwap;

#[cfg(feature = "jwks-fetch")]
pub(crate) use self::following::WeakVerifier;
use crate::domain::access_token::{AccessTokenRules, TimeCheck, TokenRefused};
use crate::domain::claims::Claims;
use crate::domain::clock::{Clock, UnixSeconds};
use crate::domain::keys::{KeyError, KeySet, PublicKey};
use crate::domain::revocations::Revocations;
use crate::domain::token_cache::TokenCache;

/// Verifies access tokens. Cheap to clone; touches no database and no network.
///
/// An application that issues tokens gets one from its `Auth`. A service that only checks them builds one from the issuer's
/// public keys:
///
/// ```
/// use actix_authflow::Verifier;
///
/// let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"2026",
///     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
/// let verifier = Verifier::from_jwks(jwks, "https://login.example.com", "my-api")?;
/// assert!(verifier.verify("not a token").is_err());
/// # Ok::<(), actix_authflow::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    trusted: ArcSwap<Trusted>,
    rules: AccessTokenRules,
    clock: Arc<Clock>,
    revocations: Revocations,
    #[cfg(feature = "jwks-fetch")]
    on_unknown_key: OnceLock<following::UnknownKeyHook>,
}

/// Keys, and what was verified by them. They change together: a new set of keys starts with nothing verified, so that
/// nothing outlives the key it was signed with.
pub(crate) struct Trusted {
    keys: KeySet,
    verified: TokenCache,
}

impl Verifier {
    /// A verifier for tokens of `issuer` meant for `audience`, by the public keys in a JSON Web Key Set (RFC 7517 §5).
    ///
    /// It knows of no revocations: a token of an ended session is accepted until it expires.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the document is malformed or a key in it cannot be used.
    pub fn from_jwks(
        jwks: &str,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self, KeyError> {
        let keys = KeySet::from_jwks(jwks.as_bytes())?;
        Ok(Self::new(keys, AccessTokenRules::new(issuer, audience), Clock::System))
    }

    /// A verifier for tokens of `issuer` meant for `audience`, by public keys that are given by hand.
    ///
    /// Like [`from_jwks`](Self::from_jwks) it knows of no revocations.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if there is no key, or two of them have one name.
    pub fn from_keys(
        keys: impl IntoIterator<Item = PublicKey>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self, KeyError> {
        let keys = KeySet::new(keys.into_iter().map(PublicKey::into_verifying))?;
        Ok(Self::new(keys, AccessTokenRules::new(issuer, audience), Clock::System))
    }

    /// Lets clocks differ by so much, in whole seconds: a token counts for that long beyond its `exp`, and before its `iat` and
    /// `nbf` (RFC 7519 §4.1.4). Defaults to 5 seconds; more than 30 are taken for 30. Clones heed it as well.
    #[must_use]
    pub fn with_leeway(self, leeway: Duration) -> Self {
        self.0.rules.set_leeway(leeway);
        self
    }

    pub(crate) fn new(keys: KeySet, rules: AccessTokenRules, clock: impl Into<Arc<Clock>>) -> Self {
        let revocations = Revocations::new();
        let trusted = ArcSwap::from_pointee(Trusted { keys, verified: TokenCache::new() });
        Self(Arc::new(Inner {
            trusted,
            rules,
            clock: clock.into(),
            revocations,
            #[cfg(feature = "jwks-fetch")]
            on_unknown_key: OnceLock::new(),
        }))
    }

    /// Verifies an access token (RFC 9068 §4) and that its session is not known to have ended.
    ///
    /// # Errors
    ///
    /// [`TokenRefused`] says whether the token is invalid, expired or of an ended session.
    pub fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenRefused> {
        let Inner { trusted, rules, clock, revocations, .. } = &*self.0;
        let (trusted, now) = (trusted.load(), clock.now());
        let claims = match trusted.verified.get(token) {
            Some(claims) => {
                rules.check_time(&claims, now)?;
                claims
            }
            None => {
                let verified = rules.verify(&trusted.keys, token, TimeCheck::At(now));
                #[cfg(feature = "jwks-fetch")]
                let verified = verified.inspect_err(|_| self.report_unknown_key(token));
                let claims = Arc::new(verified?);
                trusted.verified.insert(token, &claims);
                claims
            }
        };
        if revocations.contains(claims.sid) { Err(TokenRefused::Revoked) } else { Ok(claims) }
    }

    /// For how long a session may have ended elsewhere without being known here; `None` if such news never arrives.
    pub(crate) fn revocation_lag(&self) -> Option<Duration> {
        self.0.revocations.lag()
    }

    /// The time by which tokens are judged here.
    pub(crate) fn now(&self) -> UnixSeconds {
        self.0.clock.now()
    }

    /// Verifies everything but the time claims and the life of the session, as refresh and logout do.
    pub(crate) fn verify_even_if_expired(&self, token: &str) -> Result<Arc<Claims>, TokenRefused> {
        let trusted = self.0.trusted.load();
        match trusted.verified.get(token) {
            Some(claims) => Ok(claims),
            None => self.0.rules.verify(&trusted.keys, token, TimeCheck::Skipped).map(Arc::new),
        }
    }

    /// Remembers a token that this process has signed a moment ago, so that its first call costs no more than those that
    /// follow. One that would not be accepted later is not remembered: of a key that has gone meanwhile, for one.
    #[cfg(feature = "issuer")]
    pub(crate) fn remember_own(&self, token: &str) {
        let trusted = self.0.trusted.load();
        if let Ok(claims) = self.0.rules.read_own(&trusted.keys, token) {
            trusted.verified.insert(token, &Arc::new(claims));
        }
    }

    /// Looks at the keys as they are now.
    pub(crate) fn with_keys<T>(&self, look: impl FnOnce(&KeySet) -> T) -> T {
        look(&self.0.trusted.load().keys)
    }

    /// Verifies by other keys from now on. Tokens of a key that is no longer among them are refused at once.
    ///
    /// Answers with what was trusted before, because dropping so many remembered tokens takes its time: the caller does
    /// first what must not wait.
    pub(crate) fn set_keys(&self, keys: KeySet) -> Arc<Trusted> {
        self.0.trusted.swap(Arc::new(Trusted { keys, verified: TokenCache::new() }))
    }

    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.0.clock
    }

    pub(crate) fn revocations(&self) -> &Revocations {
        &self.0.revocations
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::ids::SessionId;
    use crate::domain::issuing::{Subject, TokenIssuer};
    use crate::domain::keys::{SigningAlgorithm, SigningKey};
    use crate::domain::secret::ServerSecret;

    const NOW: i64 = 1_800_000_000;

    /// A verifier at that time, and what issues tokens for it.
    fn world(now: i64) -> (Verifier, (TokenIssuer, SigningKey)) {
        let secret = ServerSecret::new("Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA").unwrap();
        let key = SigningKey::derive(&secret, SigningAlgorithm::EdDsa).unwrap();
        let keys = KeySet::new([key.verifying().clone()]).unwrap();
        let [issuer, audience, client_id] = ["issuer", "api", "app"].map(str::to_owned);
        let rules = AccessTokenRules::new(&issuer, &audience);
        let clock = Clock::database(DateTime::from_timestamp(now, 0).unwrap());
        (Verifier::new(keys, rules, clock), (TokenIssuer { issuer, audience, client_id }, key))
    }

    fn token((issuer, key): &(TokenIssuer, SigningKey), session: SessionId) -> String {
        let subject = Subject::plain(session, NOW);
        issuer.issue(key, subject, NOW, 60).unwrap()
    }

    #[test]
    fn every_token_of_a_session_that_has_ended_is_refused() {
        let (verifier, issuer) = world(NOW);
        let (ended, other) = (SessionId::new(), SessionId::new());
        let tokens = [token(&issuer, ended), token(&issuer, ended)];
        assert!(tokens.iter().all(|token| verifier.verify(token).is_ok()));
        verifier.revocations().insert(ended, NOW + 1_000);
        assert!(tokens.iter().all(|token| verifier.verify(token) == Err(TokenRefused::Revoked)));
        assert_eq!(
            verifier.verify(&token(&issuer, ended)),
            Err(TokenRefused::Revoked),
            "one issued later as well"
        );
        assert!(verifier.verify(&token(&issuer, other)).is_ok());
    }

    #[test]
    fn what_was_verified_before_goes_with_its_key() {
        let (verifier, issuer) = world(NOW);
        let token = token(&issuer, SessionId::new());
        assert!(verifier.verify(&token).is_ok());
        let secret = ServerSecret::new("Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA").unwrap();
        let other = SigningKey::derive(&secret, SigningAlgorithm::Es256).unwrap();
        drop(verifier.set_keys(KeySet::new([other.verifying().clone()]).unwrap()));
        assert_eq!(verifier.verify(&token), Err(TokenRefused::Invalid));
    }

    #[test]
    fn what_was_signed_here_is_remembered_as_if_it_had_been_verified() {
        let (verifier, issuer) = world(NOW);
        let signed = token(&issuer, SessionId::new());
        // Whether the signature was checked shows by one that is none.
        let unchecked = signed.rsplit_once('.').map(|(text, _)| format!("{text}.AAAA")).unwrap();
        assert_eq!(verifier.verify(&unchecked), Err(TokenRefused::Invalid));
        verifier.remember_own(&unchecked);
        assert!(verifier.verify(&unchecked).is_ok());
        assert!(verifier.verify_even_if_expired(&unchecked).is_ok());
        let claims = verifier.verify(&signed).unwrap();
        assert_eq!(verifier.verify(&unchecked), Ok(Arc::clone(&claims)));
        verifier.revocations().insert(claims.session_id(), NOW + 1_000);
        assert_eq!(verifier.verify(&unchecked), Err(TokenRefused::Revoked));
    }

    #[test]
    fn what_others_would_refuse_is_not_remembered() {
        let (verifier, (issuer, key)) = world(NOW);
        let elsewhere =
            TokenIssuer { issuer: "issuer".into(), audience: "other".into(), client_id: "app".into() };
        let foreign = token(&(elsewhere, key), SessionId::new());
        verifier.remember_own(&foreign);
        assert_eq!(verifier.verify(&foreign), Err(TokenRefused::Invalid));

        let (verifier, (_, key)) = world(NOW);
        let of_a_gone_key = token(&(issuer, key), SessionId::new());
        let secret = ServerSecret::new("Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA").unwrap();
        let other = SigningKey::derive(&secret, SigningAlgorithm::Es256).unwrap();
        drop(verifier.set_keys(KeySet::new([other.verifying().clone()]).unwrap()));
        verifier.remember_own(&of_a_gone_key);
        assert_eq!(verifier.verify(&of_a_gone_key), Err(TokenRefused::Invalid));
    }

    #[test]
    fn a_clone_knows_what_the_original_knows() {
        let (verifier, issuer) = world(NOW);
        let (copy, session) = (verifier.clone(), SessionId::new());
        verifier.revocations().insert(session, NOW + 1_000);
        assert_eq!(copy.verify(&token(&issuer, session)), Err(TokenRefused::Revoked));
    }

    #[test]
    fn refresh_and_logout_do_not_ask_for_the_time() {
        let (verifier, issuer) = world(NOW + 1_000);
        let session = SessionId::new();
        let token = token(&issuer, session);
        assert_eq!(verifier.verify(&token), Err(TokenRefused::Expired));
        assert_eq!(verifier.verify_even_if_expired(&token).unwrap().session_id(), session);
        assert_eq!(verifier.verify_even_if_expired(&format!("{token}A")), Err(TokenRefused::Invalid));
    }

    #[test]
    fn a_verifier_of_published_keys_takes_the_issuers_tokens() {
        let (verifier, issuer) = world(NOW);
        let jwks = verifier.with_keys(|keys| serde_json::json!({ "keys": keys.public() })).to_string();
        let elsewhere = Verifier::from_jwks(&jwks, "issuer", "api").unwrap();
        let subject = |session| Subject::plain(session, 0);
        let (issuer, key) = issuer;
        let fresh =
            issuer.issue(&key, subject(SessionId::new()), chrono::Utc::now().timestamp(), 60).unwrap();
        assert!(elsewhere.verify(&fresh).is_ok());
        assert!(Verifier::from_jwks(&jwks, "issuer", "other").unwrap().verify(&fresh).is_err());
        assert!(Verifier::from_jwks(&jwks, "other", "api").unwrap().verify(&fresh).is_err());
        assert!(Verifier::from_jwks(r#"{"keys":[]}"#, "issuer", "api").is_err());
    }
}
