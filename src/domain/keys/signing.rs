//! Keys that sign: derived from the master secret, or given by hand.

use aws_lc_rs::agreement;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{KeyError, SigningAlgorithm, VerifyingKey};
use crate::domain::secret::ServerSecret;

/// A key that signs.
pub(crate) struct SigningKey {
    encoding: EncodingKey,
    verifying: VerifyingKey,
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
        Self { encoding: EncodingKey::from_secret(&*key), verifying }
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
                Self::from_ed25519(&pair)
            }
            SigningAlgorithm::Es256 => {
                let pair = p256_pair(private).ok_or(KeyError::UnusablePem)?;
                Self::from_p256(&pair)
            }
            SigningAlgorithm::Hs256 => Err(KeyError::Ungeneratable),
        }
    }

    /// Reads a private key from PKCS#8 PEM (RFC 5958, RFC 7468); the algorithm follows from the key.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = EncodingKey::from_ed_pem(pem) {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes())
                .map_err(|_| KeyError::UnusablePem)?;
            return Self::from_ed25519(&pair);
        }
        let key = EncodingKey::from_ec_pem(pem).map_err(|_| KeyError::UnusablePem)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_bytes());
        Self::from_p256(&pair.map_err(|_| KeyError::UnusablePem)?)
    }

    fn from_ed25519(pair: &Ed25519KeyPair) -> Result<Self, KeyError> {
        let der = pair.to_pkcs8v1().map_err(|_| KeyError::UnusablePem)?;
        Ok(Self {
            encoding: EncodingKey::from_ed_der(der.as_ref()),
            verifying: VerifyingKey::ed25519(pair.public_key().as_ref())?,
        })
    }

    fn from_p256(pair: &EcdsaKeyPair) -> Result<Self, KeyError> {
        let der = pair.to_pkcs8v1().map_err(|_| KeyError::UnusablePem)?;
        Ok(Self {
            encoding: EncodingKey::from_ec_der(der.as_ref()),
            verifying: VerifyingKey::p256(pair.public_key().as_ref())?,
        })
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

    /// Signs `claims` under a header of exactly `alg`, `typ` and `kid`.
    pub(crate) fn sign<T: Serialize>(
        &self,
        typ: &str,
        claims: &T,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let mut header = jsonwebtoken::Header::new(self.verifying.algorithm().for_jsonwebtoken());
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.verifying.kid().to_owned());
        jsonwebtoken::encode(&header, claims, &self.encoding)
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
        jsonwebtoken::crypto::sign(message, &self.encoding, self.verifying.algorithm().for_jsonwebtoken())
            .unwrap()
    }
}
