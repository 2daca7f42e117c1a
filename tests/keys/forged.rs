//! What a thief of a private key can make, and what clients can still hold.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::node::{Tokens, part};

/// An Ed25519 key in PKCS#8 PEM (RFC 8410 §10.3), and the same as a JWK (RFC 8037 §A.1 has another one).
pub(crate) const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

/// Another Ed25519 key as a JWK: RFC 8037 §A.1.
pub(crate) const JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"any",
    "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// The key id of [`JWK`]: RFC 8037 §A.3.
pub(crate) const JWK_KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

pub(crate) fn seed_of_jwk() -> Vec<u8> {
    URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap()
}

/// The seed of the key that versions without the table derived from the master secret.
pub(crate) fn derived_seed(secret: &str) -> Vec<u8> {
    let mut seed = vec![0; 32];
    let info: [&[u8]; 2] = [b"access token EdDSA", &[0]];
    let prk = Salt::new(HKDF_SHA256, b"actix-authflow").extract(secret.as_bytes());
    prk.expand(&info, HKDF_SHA256).unwrap().fill(&mut seed).unwrap();
    seed
}

/// The access token of a session, shifted in time and signed by another key.
pub(crate) fn resigned(tokens: &Tokens, seed: &[u8], kid: &str, seconds: i64) -> Tokens {
    let mut claims = part(&tokens.access, 1);
    for time in ["iat", "exp"] {
        claims[time] = (claims[time].as_i64().unwrap() + seconds).into();
    }
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
    let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some("at+jwt".into());
    header.kid = Some(kid.into());
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    Tokens { access: jsonwebtoken::encode(&header, &claims, &key).unwrap(), ..tokens.clone() }
}
