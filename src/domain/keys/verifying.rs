//! Keys that verify, and their published form.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};

use super::{KeyError, SigningAlgorithm};
#[cfg(feature = "issuer")]
use crate::domain::json;

/// The longest key id that is accepted, in bytes.
pub(crate) const MAX_KID_BYTES: usize = 256;

/// A public key in its published form (RFC 7517 §4, RFC 8037 §2, RFC 7518 §6.2). Has no room for private members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PublicJwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    kid: String,
    #[serde(rename = "use")]
    purpose: &'static str,
    alg: &'static str,
}

/// A key that verifies, and the one algorithm it may be used with.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    kid: String,
    algorithm: SigningAlgorithm,
    decoding: DecodingKey,
    /// Absent for HMAC keys, which are never published.
    public: Option<PublicJwk>,
}

impl VerifyingKey {
    pub(super) fn ed25519(public: &[u8]) -> Result<Self, KeyError> {
        let x = URL_SAFE_NO_PAD.encode(public);
        let kid = thumbprint(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let unusable = || KeyError::UnusableJwk(kid.clone());
        ParsedPublicKey::new(&ED25519, public).map_err(|_| unusable())?;
        let decoding = DecodingKey::from_ed_components(&x).map_err(|_| unusable())?;
        let algorithm = SigningAlgorithm::EdDsa;
        let jwk = PublicJwk {
            kty: "OKP",
            crv: "Ed25519",
            x,
            y: None,
            kid: kid.clone(),
            purpose: "sig",
            alg: algorithm.as_str(),
        };
        Ok(Self { kid, algorithm, decoding, public: Some(jwk) })
    }

    /// `point` is the uncompressed form: `04 ‖ x ‖ y` (SEC 1 §2.3.3).
    pub(super) fn p256(point: &[u8]) -> Result<Self, KeyError> {
        let unusable = || KeyError::UnusableJwk("P-256".into());
        let (x, y) = match point {
            [4, coordinates @ ..] if coordinates.len() == 64 => coordinates.split_at(32),
            _ => return Err(unusable()),
        };
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| unusable())?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = thumbprint(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        let decoding = DecodingKey::from_ec_components(&x, &y).map_err(|_| unusable())?;
        let algorithm = SigningAlgorithm::Es256;
        let jwk = PublicJwk {
            kty: "EC",
            crv: "P-256",
            x,
            y: Some(y),
            kid: kid.clone(),
            purpose: "sig",
            alg: algorithm.as_str(),
        };
        Ok(Self { kid, algorithm, decoding, public: Some(jwk) })
    }

    /// A key for HS256, which verifies and signs alike.
    pub(super) fn hmac(kid: String, secret: &[u8]) -> Self {
        Self {
            kid,
            algorithm: SigningAlgorithm::Hs256,
            decoding: DecodingKey::from_secret(secret),
            public: None,
        }
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn public(&self) -> Option<&PublicJwk> {
        self.public.as_ref()
    }

    pub(crate) fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Whether `signature` (base64url) over `message` was made with this key.
    pub(crate) fn verify(&self, message: &[u8], signature: &str) -> bool {
        let algorithm = self.algorithm.for_jsonwebtoken();
        jsonwebtoken::crypto::verify(signature, message, &self.decoding, algorithm).unwrap_or(false)
    }

    /// Reads a published key, as this crate writes it.
    #[cfg(feature = "issuer")]
    pub(crate) fn from_jwk(document: &str) -> Result<Self, KeyError> {
        let jwk: ForeignJwk = json::from_slice(document.as_bytes()).map_err(|_| KeyError::MalformedSet)?;
        jwk.try_into()
    }

    /// Takes over the name under which somebody else published the key.
    pub(super) fn rename(&mut self, kid: String) -> Result<(), KeyError> {
        if kid.is_empty() || kid.len() > MAX_KID_BYTES {
            return Err(KeyError::UnusableJwk(shown(&kid)));
        }
        if let Some(public) = &mut self.public {
            public.kid.clone_from(&kid);
        }
        self.kid = kid;
        Ok(())
    }
}

impl PublicJwk {
    #[cfg(test)]
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// `x` and `y` in base64url; `y` is empty for Ed25519.
    #[cfg(feature = "issuer")]
    pub(super) fn coordinates(&self) -> (&str, &str) {
        (&self.x, self.y.as_deref().unwrap_or_default())
    }
}

/// A foreign name as it may stand in a message.
fn shown(kid: &str) -> String {
    kid.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// The base64url SHA-256 of a key's required members in lexical order (RFC 7638 §3).
fn thumbprint(members: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

/// A published key as it comes from outside.
#[derive(Deserialize)]
pub(super) struct ForeignJwk {
    kty: String,
    crv: String,
    x: String,
    y: Option<String>,
    kid: String,
    alg: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    d: Option<serde::de::IgnoredAny>,
}

impl TryFrom<ForeignJwk> for VerifyingKey {
    type Error = KeyError;

    fn try_from(jwk: ForeignJwk) -> Result<Self, KeyError> {
        let unusable = || KeyError::UnusableJwk(shown(&jwk.kid));
        let decode =
            |coordinate: &str| URL_SAFE_NO_PAD.decode(coordinate).ok().filter(|bytes| bytes.len() == 32);
        let for_signatures = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk
                .key_ops
                .as_ref()
                .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !for_signatures || jwk.d.is_some() {
            return Err(unusable());
        }
        let x = decode(&jwk.x).ok_or_else(unusable)?;
        let key = match (&*jwk.kty, &*jwk.crv, &*jwk.alg, &jwk.y) {
            ("OKP", "Ed25519", "EdDSA", None) => Self::ed25519(&x),
            ("EC", "P-256", "ES256", Some(y)) => {
                Self::p256(&[&[4], x.as_slice(), decode(y).ok_or_else(unusable)?.as_slice()].concat())
            }
            _ => return Err(unusable()),
        };
        let mut key = key.map_err(|_| unusable())?;
        key.rename(jwk.kid)?;
        Ok(key)
    }
}
