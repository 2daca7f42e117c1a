//! Public keys given by hand, for services that only verify.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::KeyError;
use super::verifying::{ForeignJwk, VerifyingKey};
use crate::domain::json;

/// What precedes the 32 bytes of an Ed25519 key in its DER form (RFC 8410 §4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What precedes the uncompressed point of a P-256 key in its DER form (RFC 5480 §2).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// An issuer's public key, Ed25519 or P-256, for [`Verifier::from_keys`](crate::Verifier::from_keys).
///
/// A token names its key in the header `kid`. A JWK brings that name along. A PEM does not: until it is
/// [`named`](Self::named) otherwise, it goes by its thumbprint (RFC 7638), as the keys of this crate do.
///
/// ```
/// use actix_authflow::PublicKey;
///
/// let pem = "-----BEGIN PUBLIC KEY-----
/// MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
/// -----END PUBLIC KEY-----";
/// let key = PublicKey::from_pem(pem)?;
/// assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// assert_eq!(key.named("2026")?.id(), "2026");
/// # Ok::<(), actix_authflow::KeyError>(())
/// ```
#[derive(Clone)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads one key in PEM form (`BEGIN PUBLIC KEY`, RFC 7468 §13).
    ///
    /// # Errors
    ///
    /// [`KeyError::UnusablePublicPem`] for anything else: a private key, a certificate, another kind of key, two keys.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let body = pem
            .trim()
            .strip_prefix("-----BEGIN PUBLIC KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
            .ok_or(KeyError::UnusablePublicPem)?;
        let text: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(text).map_err(|_| KeyError::UnusablePublicPem)?;
        let key = match (der.strip_prefix(&ED25519_PREFIX), der.strip_prefix(&P256_PREFIX)) {
            (Some(key), _) => VerifyingKey::ed25519(key),
            (_, Some(point)) => VerifyingKey::p256(point),
            _ => return Err(KeyError::UnusablePublicPem),
        };
        key.map(Self).map_err(|_| KeyError::UnusablePublicPem)
    }

    /// Reads one JSON Web Key with `kid` and `alg` (RFC 7517 §4).
    ///
    /// # Errors
    ///
    /// [`KeyError::MalformedJwk`] if it is not the JSON of a key, [`KeyError::UnusableJwk`] if it is not a public Ed25519 or
    /// P-256 signature key.
    pub fn from_jwk(jwk: &str) -> Result<Self, KeyError> {
        let jwk: ForeignJwk = json::from_slice(jwk.as_bytes()).map_err(|_| KeyError::MalformedJwk)?;
        VerifyingKey::try_from(jwk).map(Self)
    }

    /// The same key under the name by which tokens refer to it.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnusableJwk`] if the name is empty or longer than 256 bytes.
    pub fn named(mut self, kid: impl Into<String>) -> Result<Self, KeyError> {
        self.0.rename(kid.into())?;
        Ok(self)
    }

    /// The name by which tokens refer to it (`kid`, RFC 7515 §4.1.4).
    pub fn id(&self) -> &str {
        self.0.kid()
    }

    pub(crate) fn into_verifying(self) -> VerifyingKey {
        self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.0.algorithm()).field(&self.id()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE04N0xi21hshyvBp7I167sbE/bXqyqkAPfefdklMO7wZQjx7HL4LTprsNSeMh0Q2TF4W0czj6X/jUuoTD2dWCbA==";

    fn pem(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn both_kinds_are_read_from_pem_whatever_the_line_breaks() {
        for (body, algorithm) in [(ED25519, "EdDSA"), (P256, "ES256")] {
            let wrapped = pem("PUBLIC KEY", &format!("{}\r\n{}", &body[..20], &body[20..]));
            for text in [pem("PUBLIC KEY", body), wrapped] {
                assert_eq!(PublicKey::from_pem(&text).unwrap().0.algorithm().as_str(), algorithm);
            }
        }
    }

    #[test]
    fn what_is_no_such_public_key_is_refused() {
        let private = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
        // One bit of y is flipped.
        let off_the_curve = P256.replace("2dWCbA==", "2dWCbQ==");
        let p384 = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE";
        for text in [
            pem("PRIVATE KEY", private),
            pem("PUBLIC KEY", private),
            pem("CERTIFICATE", ED25519),
            pem("PUBLIC KEY", &off_the_curve),
            pem("PUBLIC KEY", p384),
            pem("PUBLIC KEY", &ED25519[..40]),
            pem("PUBLIC KEY", "!"),
            pem("PUBLIC KEY", ED25519).repeat(2),
            ED25519.to_owned(),
            String::new(),
        ] {
            assert_eq!(PublicKey::from_pem(&text).unwrap_err(), KeyError::UnusablePublicPem, "{text}");
        }
    }

    #[test]
    fn a_jwk_is_read_like_one_of_a_set() {
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        assert_eq!(PublicKey::from_jwk(jwk).unwrap().id(), "a");
        assert_eq!(PublicKey::from_jwk("{}").unwrap_err(), KeyError::MalformedJwk);
        assert_eq!(
            PublicKey::from_jwk(&jwk.replacen('{', r#"{"kid":"b","#, 1)).unwrap_err(),
            KeyError::MalformedJwk
        );
        assert!(matches!(PublicKey::from_jwk(&jwk.replace("EdDSA", "ES256")), Err(KeyError::UnusableJwk(_))));
    }

    #[test]
    fn a_name_must_be_one_that_a_token_can_have() {
        let key = PublicKey::from_pem(&pem("PUBLIC KEY", ED25519)).unwrap();
        assert!(key.clone().named("").is_err());
        assert!(key.clone().named("x".repeat(257)).is_err());
        assert_eq!(format!("{:?}", key.named("2026").unwrap()), r#"PublicKey(EdDsa, "2026")"#);
    }
}
