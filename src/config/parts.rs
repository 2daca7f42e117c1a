//! What each layer gets of the configuration.

use secrecy::ExposeSecret as _;

use super::{AuthConfig, ConfigError};
use crate::domain::keys::{KeySet, SigningAlgorithm, SigningKey};
use crate::http::cookie::{RefreshCookie, Security};
use crate::http::csrf::OriginPolicy;
use crate::http::origin::{InvalidOrigin, Origin};

const KEY_FILE: &str = "AUTHFLOW_SIGNING_KEY_FILE";

impl AuthConfig {
    /// The key that signs: the one given by hand, or else the one that belongs to the secret.
    pub(crate) fn signing_key(&self) -> Result<SigningKey, ConfigError> {
        let wanted = self.signing_algorithm;
        let faulty = |error: &dyn std::fmt::Display| {
            ConfigError::new(KEY_FILE, error.to_string(), "/etc/authflow/signing-key.pem")
        };
        let Some(pem) = &self.signing_key_pem else {
            return SigningKey::derive(&self.secret, wanted).map_err(|error| faulty(&error));
        };
        let key = SigningKey::from_pem(pem.expose_secret().as_bytes()).map_err(|error| faulty(&error))?;
        if key.algorithm() == wanted {
            return Ok(key);
        }
        let fault =
            format!("is {}, but the key in {KEY_FILE} is for {}", wanted.as_str(), key.algorithm().as_str());
        Err(ConfigError::new("AUTHFLOW_SIGNING_ALG", fault, key.algorithm().as_str()))
    }

    /// The keys that verify: first the one that signs, then those that other nodes may sign with while a change of
    /// algorithm, of a key given by hand, or of the secret is rolled out. HMAC keys stand beside no public ones.
    pub(crate) fn verifying_keys(&self, signing: &SigningKey) -> Result<KeySet, ConfigError> {
        let algorithms: &[SigningAlgorithm] = match signing.algorithm() {
            SigningAlgorithm::Hs256 => &[SigningAlgorithm::Hs256],
            SigningAlgorithm::EdDsa | SigningAlgorithm::Es256 => {
                &[SigningAlgorithm::EdDsa, SigningAlgorithm::Es256]
            }
        };
        let mut keys = vec![signing.verifying().clone()];
        for secret in std::iter::once(&self.secret).chain(&self.secret_previous) {
            for algorithm in algorithms {
                let faulty = |error: crate::domain::keys::KeyError| {
                    ConfigError::new("AUTHFLOW_SECRET", error.to_string(), "$(openssl rand -base64 32)")
                };
                let derived = SigningKey::derive(secret, *algorithm).map_err(faulty)?.verifying().clone();
                if keys.iter().all(|key| key.kid() != derived.kid()) {
                    keys.push(derived);
                }
            }
        }
        KeySet::new(keys)
            .map_err(|error| ConfigError::new(KEY_FILE, error.to_string(), "/etc/authflow/signing-key.pem"))
    }

    pub(crate) fn cookie(&self) -> Result<RefreshCookie, ConfigError> {
        let security = if self.cookie_insecure { Security::Insecure } else { Security::Secure };
        RefreshCookie::new(&self.cookie_name, security)
            .map_err(|error| ConfigError::new("AUTHFLOW_COOKIE_NAME", error.to_string(), "refresh_token"))
    }

    pub(crate) fn origins(&self) -> Result<OriginPolicy, ConfigError> {
        let origins: Result<Vec<Origin>, _> =
            self.allowed_origins.iter().map(|origin| origin.parse()).collect();
        origins.map(OriginPolicy::new).map_err(|error: InvalidOrigin| {
            ConfigError::new("AUTHFLOW_ALLOWED_ORIGINS", error.to_string(), "https://app.example.com")
        })
    }
}
