//! The signing keys: rotated, declared compromised.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Auth, Error, blocking};
use crate::domain::keys::SigningAlgorithm;
use crate::domain::keys::lifecycle::{KeyOrigin, KeyRecord, KeyState};
use crate::service::keyring::RotateKeys;

/// After this every node has heard that a key is compromised: they look each second.
const UNTIL_KNOWN: Duration = Duration::from_secs(3);

/// A signing key, past ones included. Holds nothing secret.
#[derive(Clone)]
pub struct SigningKeyInfo(pub(super) KeyRecord);

impl SigningKeyInfo {
    /// The key id in the header of tokens: the thumbprint of the public key (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The one algorithm it is used with.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.0.algorithm
    }

    /// Where its private part is, or was.
    pub fn origin(&self) -> KeyOrigin {
        self.0.origin
    }

    /// What it is good for at the moment.
    pub fn state(&self) -> KeyState {
        self.0.state
    }

    /// When it was made known. It is published since.
    pub fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it is to sign, if it is announced; else when it began to.
    pub fn signs_from(&self) -> DateTime<Utc> {
        self.0.signs_from
    }

    /// When it stopped signing.
    pub fn retired_at(&self) -> Option<DateTime<Utc>> {
        self.0.retired_at
    }

    /// When it will be forgotten, if it is retired: no session lives then that has a token of it.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.0.expires_at
    }

    /// When it was declared compromised.
    pub fn compromised_at(&self) -> Option<DateTime<Utc>> {
        self.0.compromised_at
    }
}

impl fmt::Debug for SigningKeyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Auth {
    /// Lets a new key sign, after the time in which everybody gets to know it, and answers which. Where one is announced
    /// already it is that one. Nobody is logged out: the key that signed so far goes on verifying.
    ///
    /// Keys rotate by themselves; see [`AuthConfig::signing_key_ttl`](crate::AuthConfig::signing_key_ttl).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the signing key is not a stored one, [`Error::Database`].
    pub async fn rotate_keys(&self, when: RotateKeys) -> Result<SigningKeyInfo, Error> {
        let keyring = Arc::clone(&self.state.service.keyring);
        blocking(move || Ok(SigningKeyInfo(keyring.rotate(when)?))).await
    }

    /// Declares a key compromised. Its tokens are refused on this node at once, on others within about two seconds, at
    /// `/refresh` and `/logout` as well; the sessions whose last access token it signed are ended; and if it was the one
    /// that signs, a new one does so at once. Answers how many sessions were ended, after some seconds in which the last
    /// node has heard of it. May be repeated.
    ///
    /// A service that only verifies goes on accepting the key until it reads the published ones again.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownKey`], [`Error::Invalid`] for the key of HS256, which goes with the master secret, or
    /// [`Error::Database`].
    pub async fn compromise_key(&self, kid: &str) -> Result<usize, Error> {
        let (keyring, kid) = (Arc::clone(&self.state.service.keyring), kid.to_owned());
        let (again, known) = (Arc::clone(&keyring), kid.clone());
        let ended = blocking(move || Ok(keyring.compromise(&kid)?)).await?;
        tokio::time::sleep(UNTIL_KNOWN).await;
        Ok(ended + blocking(move || Ok(again.end_sessions(&known)?)).await?)
    }
}
