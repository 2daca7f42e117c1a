//! A private key given by hand as a JSON Web Key (RFC 7517, RFC 8037 §2, RFC 7518 §6.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::{KeyError, SigningAlgorithm, SigningKey};
use crate::domain::json;

/// The members that matter. A `kid` does not: key ids are thumbprints (RFC 7638).
#[derive(Deserialize)]
struct PrivateJwk {
    keys: Option<IgnoredAny>,
    kty: Option<String>,
    crv: Option<String>,
    d: Option<SecretString>,
    x: Option<String>,
    y: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
}

impl SigningKey {
    /// Reads one private key; the algorithm follows from its curve.
    pub(crate) fn from_jwk(document: &[u8]) -> Result<Self, KeyError> {
        let unusable = KeyError::UnusablePrivateJwk;
        let jwk: PrivateJwk =
            json::from_slice(document).map_err(|_| unusable("it is not a JSON object of the right form"))?;
        if jwk.keys.is_some() {
            return Err(unusable("it is a key set; give the one private key that signs"));
        }
        let algorithm = match (jwk.kty.as_deref(), jwk.crv.as_deref()) {
            (Some("OKP"), Some("Ed25519")) => SigningAlgorithm::EdDsa,
            (Some("EC"), Some("P-256")) => SigningAlgorithm::Es256,
            (Some("oct"), _) => {
                return Err(unusable("symmetric keys are derived from the secret, not given"));
            }
            _ => return Err(unusable("its `kty` and `crv` are neither OKP with Ed25519 nor EC with P-256")),
        };
        if jwk.alg.as_deref().is_some_and(|alg| alg != algorithm.as_str()) {
            return Err(unusable("its `alg` does not belong to its curve"));
        }
        if !jwk.is_for_signing() {
            return Err(unusable("its `use` or `key_ops` say that it is not for signing"));
        }
        let private = jwk.d.as_ref().ok_or(unusable("it has no private part `d`"))?;
        let key = Self::from_private(algorithm, &decode(private).ok_or(unusable("its `d` is not a key"))?)
            .map_err(|_| unusable("its `d` is not a key"))?;
        let public = key.verifying().public();
        let (x, y) = public.map(|public| public.coordinates()).unwrap_or_default();
        let fits = jwk.x.as_deref().is_none_or(|given| given == x)
            && jwk.y.as_deref().is_none_or(|given| given == y);
        if fits { Ok(key) } else { Err(unusable("its public and its private part are not one key")) }
    }
}

impl PrivateJwk {
    fn is_for_signing(&self) -> bool {
        let signs = |operations: &Vec<String>| operations.iter().any(|operation| operation == "sign");
        self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.key_ops.as_ref().is_none_or(signs)
    }
}

fn decode(private: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(private.expose_secret()).ok()?);
    (bytes.len() == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// RFC 8037 appendix A.1.
    fn ed25519() -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "mine",
            "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        })
    }

    /// RFC 7515 appendix A.3.
    fn p256() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        })
    }

    fn read(jwk: &Value) -> Result<SigningKey, KeyError> {
        SigningKey::from_jwk(jwk.to_string().as_bytes())
    }

    #[test]
    fn keys_of_both_curves_are_read_and_named_by_their_thumbprint() {
        let key = read(&ed25519()).unwrap();
        assert_eq!(key.algorithm(), SigningAlgorithm::EdDsa);
        assert_eq!(key.verifying().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(read(&p256()).unwrap().algorithm(), SigningAlgorithm::Es256);
    }

    #[test]
    fn every_other_key_is_refused_with_its_fault() {
        for (member, value, fault) in [
            ("d", json!(null), "no private part"),
            ("d", json!("AAAA"), "`d` is not a key"),
            ("d", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "`d` is not a key"),
            ("x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"), "not one key"),
            ("crv", json!("P-384"), "`crv`"),
            ("crv", json!("Ed25519"), "`crv`"),
            ("kty", json!("oct"), "symmetric"),
            ("kty", json!("RSA"), "`kty`"),
            ("alg", json!("ES384"), "`alg`"),
            ("use", json!("enc"), "`use`"),
            ("key_ops", json!(["verify"]), "`key_ops`"),
            ("keys", json!([]), "key set"),
        ] {
            let mut jwk = p256();
            jwk[member] = value;
            let error = read(&jwk).map(drop).unwrap_err().to_string();
            assert!(error.contains(fault), "{member}: {error}");
        }
        assert!(SigningKey::from_jwk(b"[]").is_err());
    }
}
