//! What the configuration says about signing keys.

use std::sync::Arc;

use chrono::TimeDelta;
use secrecy::ExposeSecret as _;

use super::{AuthConfig, ConfigError, span};
use crate::domain::access_token::MAX_LIFE;
use crate::domain::keys::lifecycle::KeyPolicy;
use crate::domain::keys::sealing::KeySeal;
use crate::domain::keys::{KeyError, SigningAlgorithm, SigningKey, VerifyingKey};
use crate::service::keyring::{KeyOptions, KeySource, KeyringError};

const KEY_FILE: &str = "AUTHFLOW_SIGNING_KEY_FILE";
const KEY_FILE_EXAMPLE: &str = "/etc/authflow/signing-key.pem";
const ALGORITHM: &str = "AUTHFLOW_SIGNING_ALG";
const SECRET: &str = "AUTHFLOW_SECRET";
const SECRET_EXAMPLE: &str = "$(openssl rand -base64 32)";

impl AuthConfig {
    /// The rules of the keys, and the key of this node's own if it has one.
    pub(crate) fn keys(&self) -> Result<KeyOptions, ConfigError> {
        let source = match (self.given_key()?, self.signing_algorithm) {
            (Some(given), _) => KeySource::Given(Arc::new(given)),
            (None, SigningAlgorithm::Hs256) => self.secret_keys()?,
            (None, _) => KeySource::Stored,
        };
        let policy = KeyPolicy {
            algorithm: self.signing_algorithm,
            rotates: matches!(source, KeySource::Stored),
            life: span(self.signing_key_ttl),
            // A token signed at the last moment may have been issued to a session at its first.
            keep: span(self.session_ttl) + TimeDelta::seconds(MAX_LIFE),
        };
        Ok(KeyOptions {
            source,
            policy,
            seal: KeySeal::new(&self.secret, self.secret_previous.as_ref()).map_err(faulty_secret)?,
            derived: match self.signing_algorithm {
                SigningAlgorithm::Hs256 => Vec::new(),
                SigningAlgorithm::EdDsa | SigningAlgorithm::Es256 => {
                    self.derived_keys(&[SigningAlgorithm::EdDsa, SigningAlgorithm::Es256])?
                }
            },
            force_algorithm: self.signing_algorithm_force,
        })
    }

    fn given_key(&self) -> Result<Option<SigningKey>, ConfigError> {
        let Some(text) = &self.signing_key else { return Ok(None) };
        let text = text.expose_secret().trim_start();
        let key = if text.starts_with('{') {
            SigningKey::from_jwk(text.as_bytes())
        } else {
            SigningKey::from_pem(text.as_bytes())
        };
        let key = key.map_err(|error| ConfigError::new(KEY_FILE, error.to_string(), KEY_FILE_EXAMPLE))?;
        let (found, wanted) = (key.algorithm(), self.signing_algorithm);
        if found == wanted {
            return Ok(Some(key));
        }
        let fault = format!("is {}, but the key in {KEY_FILE} is for {}", wanted.as_str(), found.as_str());
        Err(ConfigError::new(ALGORITHM, fault, found.as_str()))
    }

    fn secret_keys(&self) -> Result<KeySource, ConfigError> {
        let signing = SigningKey::derive(&self.secret, SigningAlgorithm::Hs256).map_err(faulty_secret)?;
        let verifying = self.derived_keys(&[SigningAlgorithm::Hs256])?;
        Ok(KeySource::Secret { signing: Arc::new(signing), verifying })
    }

    /// The keys that belong to the master secret and to the previous one.
    fn derived_keys(&self, algorithms: &[SigningAlgorithm]) -> Result<Vec<VerifyingKey>, ConfigError> {
        let mut keys: Vec<VerifyingKey> = Vec::new();
        for secret in std::iter::once(&self.secret).chain(&self.secret_previous) {
            for algorithm in algorithms {
                let derived = SigningKey::derive(secret, *algorithm).map_err(faulty_secret)?;
                if keys.iter().all(|key| key.kid() != derived.kid()) {
                    keys.push(derived.verifying().clone());
                }
            }
        }
        Ok(keys)
    }
}

fn faulty_secret(error: KeyError) -> ConfigError {
    ConfigError::new(SECRET, error.to_string(), SECRET_EXAMPLE)
}

/// What is wrong with the configuration, where the keys in the database do not fit it.
pub(crate) fn misfit(error: &KeyringError) -> Option<ConfigError> {
    Some(match error {
        KeyringError::Sealed(kid) => {
            let fault = format!(
                "does not open the stored signing key {kid}: give the secret it was sealed under as \
                 AUTHFLOW_SECRET_PREVIOUS; if that is lost, delete the row from authflow.signing_keys, \
                 and a new key is made"
            );
            ConfigError::new(SECRET, fault, SECRET_EXAMPLE)
        }
        KeyringError::GivenCompromised(kid) => {
            let fault = format!("holds the key {kid}, which is marked as compromised: give another one");
            ConfigError::new(KEY_FILE, fault, KEY_FILE_EXAMPLE)
        }
        KeyringError::AlgorithmChange { found, wanted } => {
            let fault = format!(
                "is {wanted}, but this deployment signs with {found}, and HS256 never stands beside public keys: \
                 the change logs everybody out; set AUTHFLOW_SIGNING_ALG_FORCE=1 if that is meant"
            );
            ConfigError::new(ALGORITHM, fault, *found)
        }
        _ => return None,
    })
}
