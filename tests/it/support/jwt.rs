//! Access tokens, read and written by hand.

use actix_authflow::AuthConfig;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;

/// A signing key that the tests know as well. Drawn for them, and used nowhere else.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIKlcxx90zpT7H++7qKl62mC5ePzO6CIhpLcCm7msPfoD\n-----END PRIVATE KEY-----\n";

/// A configuration under which [`sign`] and [`aged`] make tokens that the application takes for its own.
pub(crate) fn signed_by_hand(config: AuthConfig) -> AuthConfig {
    config.signing_key_pem(PEM)
}

pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// A token with any header and claims, signed with the key of [`signed_by_hand`].
pub(crate) fn sign(header: &Value, claims: &Value) -> String {
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let key = EncodingKey::from_ed_pem(PEM.as_bytes()).unwrap();
    let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{signed}.{signature}")
}

/// The token as it would be if it had been issued so many seconds earlier. Needs [`signed_by_hand`].
pub(crate) fn aged(token: &str, seconds: i64) -> String {
    let mut claims = claims(token);
    for name in ["iat", "exp", "auth_time"] {
        claims[name] = (claims[name].as_i64().unwrap() - seconds).into();
    }
    sign(&header(token), &claims)
}

/// The token with one bit of its signature turned.
pub(crate) fn with_a_bad_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 1;
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn part(token: &str, index: usize) -> Value {
    let encoded = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}
