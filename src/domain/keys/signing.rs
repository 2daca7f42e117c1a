//! Keys that sign: derived from the master secret, or given by hand.

use aws_lc_rs::agreement;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::errors::ErrorKind;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{KeyError, SigningAlgorithm, VerifyingKey};
use crate::domain::secret::ServerSecret;

/// A key that signs.
pub(crate) struct SigningKey {
    pair: Pair,
    verifying: VerifyingKey,
}

/// The private part, taken apart once: `jsonwebtoken` would do so for each signature, which costs Ed25519 as much as the
/// signature itself.
enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair, SystemRandom),
    Hmac(EncodingKey),
}

impl SigningKey {
    /// The key of `algorithm` that belongs to a master secret: the same on every node, and stored nowhere.
    pub(crate) fn derive(secret: &ServerSecret, algorithm: SigningAlgorithm) -> Result<Self, KeyError> {
        match algorithm {
            SigningAlgorithm::EdDsa => {
                Self::from_private(algorithm, &*secret.derive("access token EdDSA", 0))
            }
            SigningAlgorithm::Es256 => Self::derive_p256(secret),
            SigningAlgorithm::Hs256 => Ok(Self::derive_hmac(secret, "access token HS256")),
        }
    }

    /// A symmetric key for one purpose. Its id tells nothing of it.
    pub(crate) fn derive_hmac(secret: &ServerSecret, label: &str) -> Self {
        let (key, kid) = (secret.derive(label, 0), secret.derive(&format!("{label} kid"), 0));
        let verifying = VerifyingKey::hmac(URL_SAFE_NO_PAD.encode(&kid[..16]), &*key);
        Self { pair: Pair::Hmac(EncodingKey::from_secret(&*key)), verifying }
    }

    /// Not every 32 bytes are a P-256 scalar: those above the group's order (one draw in 2^32) are drawn again.
    fn derive_p256(secret: &ServerSecret) -> Result<Self, KeyError> {
        let derived = |counter| secret.derive("access token ES256", counter);
        (0..=u8::MAX)
            .find_map(|counter| Self::from_private(SigningAlgorithm::Es256, &*derived(counter)).ok())
            .ok_or(KeyError::UnusablePem)
    }

    /// A new key from the operating system's randomness, and its private bytes, to be sealed.
    pub(crate) fn generate(algorithm: SigningAlgorithm) -> Result<(Self, Zeroizing<[u8; 32]>), KeyError> {
        let drawn = (0..=u8::MAX).find_map(|_| {
            let mut private = Zeroizing::new([0; 32]);
            aws_lc_rs::rand::fill(&mut *private).ok()?;
            Some((Self::from_private(algorithm, &*private).ok()?, private))
        });
        drawn.ok_or(KeyError::Ungeneratable)
    }

    /// The key of 32 private bytes: an Ed25519 seed (RFC 8032 §5.1.5) or a P-256 scalar.
    pub(crate) fn from_private(algorithm: SigningAlgorithm, private: &[u8]) -> Result<Self, KeyError> {
        match algorithm {
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_seed_unchecked(private).map_err(|_| KeyError::UnusablePem)?;
                Self::from_ed25519(pair)
            }
            SigningAlgorithm::Es256 => {
                let pair = p256_pair(private).ok_or(KeyError::UnusablePem)?;
                Self::from_p256(pair)
            }
            SigningAlgorithm::Hs256 => Err(KeyError::Ungeneratable),
        }
    }

    /// Reads a private key from PKCS#8 PEM (RFC 5958, RFC 7468); the algorithm follows from the key.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = EncodingKey::from_ed_pem(pem) {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes())
                .map_err(|_| KeyError::UnusablePem)?;
            return Self::from_ed25519(pair);
        }
        let key = EncodingKey::from_ec_pem(pem).map_err(|_| KeyError::UnusablePem)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_bytes());
        Self::from_p256(pair.map_err(|_| KeyError::UnusablePem)?)
    }

    fn from_ed25519(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let verifying = VerifyingKey::ed25519(pair.public_key().as_ref())?;
        Ok(Self { pair: Pair::Ed25519(pair), verifying })
    }

    fn from_p256(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        let verifying = VerifyingKey::p256(pair.public_key().as_ref())?;
        Ok(Self { pair: Pair::P256(pair, SystemRandom::new()), verifying })
    }

    pub(crate) fn kid(&self) -> &str {
        self.verifying.kid()
    }

    pub(crate) fn algorithm(&self) -> SigningAlgorithm {
        self.verifying.algorithm()
    }

    pub(crate) fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Signs `claims` under a header of exactly `alg`, `typ` and `kid` (the compact form, RFC 7515 §7.1).
    pub(crate) fn sign<T: Serialize>(
        &self,
        typ: &str,
        claims: &T,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = jsonwebtoken::Header::new(self.algorithm().for_jsonwebtoken());
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid().to_owned());
        let mut token = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header)?);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }

    /// The signature over a message, in base64url.
    fn signature(&self, message: &[u8]) -> Result<String, jsonwebtoken::errors::Error> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(URL_SAFE_NO_PAD.encode(pair.sign(message))),
            Pair::P256(pair, random) => match pair.sign(random, message) {
                Ok(signature) => Ok(URL_SAFE_NO_PAD.encode(signature)),
                Err(error) => Err(ErrorKind::Signing(error.to_string()).into()),
            },
            Pair::Hmac(key) => jsonwebtoken::crypto::sign(message, key, jsonwebtoken::Algorithm::HS256),
        }
    }
}

fn p256_pair(scalar: &[u8]) -> Option<EcdsaKeyPair> {
    let key = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, scalar).ok()?;
    let public = key.compute_public_key().ok()?;
    EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, scalar, public.as_ref())
        .ok()
}

#[cfg(test)]
impl SigningKey {
    /// The signature (base64url) over any bytes at all, for tokens that this crate would never make.
    pub(crate) fn sign_bytes(&self, message: &[u8]) -> String {
        self.signature(message).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Ed25519 and HMAC leave no choice, so that a token has to be the same byte by byte.
    #[test]
    fn tokens_are_those_that_jsonwebtoken_makes() {
        let seed = [7; 32];
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let encoding = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        let ed25519 = SigningKey::from_private(SigningAlgorithm::EdDsa, &seed).unwrap();
        let secret = ServerSecret::new("Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA").unwrap();
        let hmac = SigningKey::derive_hmac(&secret, "label");
        let of_hmac = EncodingKey::from_secret(&*secret.derive("label", 0));
        let claims = json!({ "sub": "alice", "exp": 12 });
        for (key, encoding) in [(ed25519, encoding), (hmac, of_hmac)] {
            let mut header = jsonwebtoken::Header::new(key.algorithm().for_jsonwebtoken());
            header.typ = Some("at+jwt".into());
            header.kid = Some(key.kid().into());
            let expected = jsonwebtoken::encode(&header, &claims, &encoding).unwrap();
            assert_eq!(key.sign("at+jwt", &claims).unwrap(), expected);
        }
    }
}
