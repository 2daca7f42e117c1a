//! Keys for access tokens: one signs, several verify, each with exactly one algorithm.

#[cfg(feature = "issuer")]
pub(crate) mod lifecycle;
#[cfg(feature = "issuer")]
mod private_jwk;
mod public;
#[cfg(feature = "issuer")]
pub(crate) mod sealing;
#[cfg(feature = "issuer")]
mod signing;
mod verifying;
#[cfg(test)]
mod wycheproof;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::str::FromStr;

use jsonwebtoken::Algorithm;
use serde::Deserialize;

pub use self::public::PublicKey;
#[cfg(feature = "issuer")]
pub(crate) use self::signing::SigningKey;
use self::verifying::ForeignJwk;
#[cfg(feature = "jwks-fetch")]
pub(crate) use self::verifying::MAX_KID_BYTES;
pub(crate) use self::verifying::{PublicJwk, VerifyingKey};
use crate::domain::json;

/// The signature algorithms this crate speaks (RFC 8725 §3.2: an allow-list).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningAlgorithm {
    /// Ed25519 (RFC 8037). The default.
    #[default]
    EdDsa,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4), for verifiers that lack Ed25519.
    Es256,
    /// HMAC-SHA-256 (RFC 7518 §3.2): only where one service both signs and verifies. Publishes no key.
    Hs256,
}

impl SigningAlgorithm {
    /// The name in the `alg` header (RFC 7518 §3.1, RFC 8037 §3.1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Hs256 => "HS256",
        }
    }

    fn for_jsonwebtoken(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Es256 => Algorithm::ES256,
            Self::Hs256 => Algorithm::HS256,
        }
    }
}

impl FromStr for SigningAlgorithm {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::EdDsa, Self::Es256, Self::Hs256].into_iter().find(|alg| alg.as_str() == name).ok_or(())
    }
}

/// Why a key or a set of keys is refused. Never contains key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a PKCS#8 PEM with an Ed25519 or P-256 private key.
    #[error("not an Ed25519 or P-256 private key in PKCS#8 PEM form")]
    UnusablePem,
    /// Not a PEM with one Ed25519 or P-256 public key.
    #[error("not one Ed25519 or P-256 public key in PEM form (`BEGIN PUBLIC KEY`)")]
    UnusablePublicPem,
    /// Not a JSON Web Key with the private part of an Ed25519 or P-256 key (RFC 8037 §2, RFC 7518 §6.2).
    #[error("not usable as a private JSON Web Key: {0}")]
    UnusablePrivateJwk(&'static str),
    /// No key could be drawn.
    #[error("a key could not be made")]
    Ungeneratable,
    /// A private key could not be sealed for the database.
    #[error("a private key could not be sealed")]
    Unsealable,
    /// A member of a JSON Web Key Set is not a public Ed25519 or P-256 signature key (RFC 7517 §4, RFC 8037 §2).
    #[error(
        "key {0:?} of the key set is not a public Ed25519 or P-256 signature key with `kid` and matching `alg`"
    )]
    UnusableJwk(String),
    /// Not a JSON Web Key (RFC 7517 §4).
    #[error("not a JSON Web Key with `kty`, `crv`, `x`, `kid` and `alg`")]
    MalformedJwk,
    /// Not a JSON Web Key Set (RFC 7517 §5).
    #[error("not a JSON Web Key Set")]
    MalformedSet,
    /// Two keys with one `kid`.
    #[error("two keys have the key id {0:?}")]
    DuplicateKeyId(String),
    /// HMAC and public keys in one set: an invitation to confuse them (RFC 8725 §2.1).
    #[error("a set holds either one kind of keys, public or HMAC, not both")]
    MixedSet,
    /// No key at all.
    #[error("the key set is empty")]
    Empty,
}

/// The keys by which tokens are verified, found by their `kid`.
pub(crate) struct KeySet {
    by_kid: HashMap<String, VerifyingKey>,
    /// In the order in which they were given: the signing key first.
    public: Vec<PublicJwk>,
}

impl KeySet {
    /// A set of keys that may stand beside each other.
    pub(crate) fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, KeyError> {
        let (mut set, mut public) = (HashMap::new(), Vec::new());
        for key in keys {
            public.extend(key.public().cloned());
            match set.entry(key.kid().to_owned()) {
                Entry::Occupied(taken) => return Err(KeyError::DuplicateKeyId(taken.key().clone())),
                Entry::Vacant(free) => free.insert(key),
            };
        }
        match (set.len(), public.len()) {
            (0, _) => Err(KeyError::Empty),
            (all, published) if published != 0 && published != all => Err(KeyError::MixedSet),
            _ => Ok(Self { by_kid: set, public }),
        }
    }

    /// Reads the public keys another service publishes (RFC 7517 §5). One unusable key refuses the whole set.
    pub(crate) fn from_jwks(document: &[u8]) -> Result<Self, KeyError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<ForeignJwk>,
        }
        let document: Document = json::from_slice(document).map_err(|_| KeyError::MalformedSet)?;
        let keys: Result<Vec<_>, _> = document.keys.into_iter().map(VerifyingKey::try_from).collect();
        Self::new(keys?)
    }

    pub(crate) fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.by_kid.get(kid)
    }

    /// The public keys, for the JWKS document. Empty for HS256.
    pub(crate) fn public(&self) -> &[PublicJwk] {
        &self.public
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::domain::secret::ServerSecret;

    const SECRET: &str = "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA";
    const ALL: [SigningAlgorithm; 3] =
        [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Hs256];

    fn derived(algorithm: SigningAlgorithm) -> SigningKey {
        SigningKey::derive(&ServerSecret::new(SECRET).unwrap(), algorithm).unwrap()
    }

    fn set_of(algorithm: SigningAlgorithm) -> KeySet {
        KeySet::new([derived(algorithm).verifying().clone()]).unwrap()
    }

    #[test]
    fn a_derived_key_is_the_same_every_time_and_verifies_what_it_signs() {
        for algorithm in ALL {
            let token = derived(algorithm).sign("at+jwt", &serde_json::json!({"a": 1})).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let again = derived(algorithm);
            assert!(again.verifying().verify(signed.as_bytes(), signature));
            assert!(!again.verifying().verify(b"other", signature));
            assert_eq!(again.algorithm(), algorithm);
        }
    }

    #[test]
    fn only_public_members_are_published() {
        for (algorithm, members) in [
            (SigningAlgorithm::EdDsa, vec!["alg", "crv", "kid", "kty", "use", "x"]),
            (SigningAlgorithm::Es256, vec!["alg", "crv", "kid", "kty", "use", "x", "y"]),
        ] {
            let set = set_of(algorithm);
            let value = serde_json::to_value(&set.public()[0]).unwrap();
            let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, members);
        }
        assert!(set_of(SigningAlgorithm::Hs256).public().is_empty());
    }

    #[test]
    fn a_published_set_is_read_back_with_the_same_key_ids() {
        for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
            let set = set_of(algorithm);
            let document = serde_json::json!({ "keys": set.public() }).to_string();
            let read = KeySet::from_jwks(document.as_bytes()).unwrap();
            assert_eq!(read.public(), set.public());
            let token = derived(algorithm).sign("at+jwt", &()).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            assert!(read.find(set.public()[0].kid()).unwrap().verify(signed.as_bytes(), signature));
        }
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037() {
        let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a","alg":"EdDSA"}]}"#;
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(VerifyingKey::ed25519(&x).unwrap().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert!(KeySet::from_jwks(jwks.as_bytes()).unwrap().find("a").is_some());
    }

    #[test]
    fn keys_that_may_not_stand_beside_each_other_are_refused() {
        let key = |algorithm| derived(algorithm).verifying().clone();
        let twice = KeySet::new([key(SigningAlgorithm::EdDsa), key(SigningAlgorithm::EdDsa)]);
        assert!(matches!(twice, Err(KeyError::DuplicateKeyId(_))));
        let mixed = KeySet::new([key(SigningAlgorithm::EdDsa), key(SigningAlgorithm::Hs256)]);
        assert!(matches!(mixed, Err(KeyError::MixedSet)));
        assert!(matches!(KeySet::new([]), Err(KeyError::Empty)));
    }

    #[test]
    fn unusable_published_keys_are_refused() {
        let good = serde_json::to_value(&set_of(SigningAlgorithm::Es256).public()[0]).unwrap();
        for (member, value) in [
            ("alg", "EdDSA"),
            ("alg", "HS256"),
            ("crv", "P-384"),
            ("kty", "oct"),
            ("use", "enc"),
            ("x", "AAAA"),
            ("y", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ("kid", ""),
            ("d", "AAAA"),
        ] {
            let mut bad = good.clone();
            bad[member] = value.into();
            let document = serde_json::json!({ "keys": [bad] }).to_string();
            assert!(KeySet::from_jwks(document.as_bytes()).is_err(), "{member} = {value}");
        }
        assert!(KeySet::from_jwks(b"[]").is_err());
    }

    #[test]
    fn pem_keys_are_read_and_others_refused() {
        let ed = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        assert_eq!(SigningKey::from_pem(ed.as_bytes()).unwrap().algorithm(), SigningAlgorithm::EdDsa);
        assert!(matches!(SigningKey::from_pem(b"nonsense"), Err(KeyError::UnusablePem)));
    }
}
