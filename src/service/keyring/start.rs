//! The keys of a node that comes up.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};

use super::super::events::Events;
use super::{KeyOptions, KeySource, Keyring, KeyringError};
use crate::domain::event::Actor;
use crate::domain::keys::lifecycle::{KeyOrigin, KeyRecord, KeyState, Moment};
use crate::domain::keys::sealing::Under;
use crate::domain::keys::{KeySet, SigningAlgorithm, SigningKey};
use crate::service::revocations::Announcer;
use crate::store::{Keys, Session, Store, StoreError};

/// How long a node that brings another signing key with it waits before it serves: the others look each second.
const UNTIL_KNOWN: Duration = Duration::from_secs(2);

/// The keys of a node whose verifier is yet to be made of them.
pub(crate) struct StartedKeys {
    options: KeyOptions,
    signing: Arc<SigningKey>,
    /// As they were found.
    before: Vec<KeyRecord>,
    keys: Vec<KeyRecord>,
}

/// What the start came to: a refusal is a value, because an `Err` would say that something went wrong.
type Outcome = Result<(Vec<KeyRecord>, Vec<KeyRecord>), KeyringError>;

impl StartedKeys {
    /// Finds the key to sign with, or makes it. Of nodes that start together one makes it, and the others wait.
    ///
    /// Nothing is written where the keys do not fit the configuration.
    pub(crate) fn start(options: KeyOptions, store: &Store) -> Result<Self, KeyringError> {
        let (before, keys) = store.transaction(|session| {
            session.lock_keys()?;
            options.start(session)
        })??;
        let signing = options.choose(&keys, None)?;
        if !before.is_empty() && before.iter().all(|key| key.kid != signing.kid()) {
            std::thread::sleep(UNTIL_KNOWN);
        }
        Ok(Self { options, signing, before, keys })
    }

    /// What to verify by.
    pub(crate) fn key_set(&self) -> Result<KeySet, KeyringError> {
        Ok(self.options.key_set(&self.keys, Some(&self.signing))?)
    }

    /// The keyring that keeps the announcer's verifier up to date.
    pub(crate) fn into_keyring(self, store: Store, announcer: Announcer, events: Arc<Events>) -> Keyring {
        let keyring = Keyring {
            options: self.options,
            store,
            announcer,
            events,
            signing: ArcSwap::new(self.signing),
            known: Mutex::new(self.keys),
        };
        keyring.report(Actor::Service, &self.before, &keyring.known());
        keyring
    }
}

impl KeyOptions {
    fn start(&self, session: &mut Session<'_>) -> Result<Outcome, StoreError> {
        let Keys { keys: before, now } = session.read_keys()?;
        if let Err(refusal) = self.check_algorithm(session, &before)? {
            return Ok(Err(refusal));
        }
        let resealed = match self.check_keys(&before) {
            Ok(resealed) => resealed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for key in resealed {
            session.reseal_key(&key)?;
        }
        self.keep_derived(session, &before, now)?;
        match &self.source {
            KeySource::Stored => {}
            KeySource::Given(key) => self.register(session, key, KeyOrigin::Given, &before, now)?,
            KeySource::Secret { signing, .. } => {
                self.register(session, signing, KeyOrigin::Derived, &before, now)?;
            }
        }
        let after = self.settle(session, Moment::Start)?;
        Ok(Ok((before, after.keys)))
    }

    /// HMAC keys never stand beside public ones, so between the two nobody's token survives.
    fn check_algorithm(
        &self,
        session: &mut Session<'_>,
        keys: &[KeyRecord],
    ) -> Result<Result<(), KeyringError>, StoreError> {
        let Some(signing) = keys.iter().find(|key| key.state == KeyState::Signing) else {
            return Ok(Ok(()));
        };
        let is_hmac = |algorithm| algorithm == SigningAlgorithm::Hs256;
        let (found, wanted) = (signing.algorithm, self.policy.algorithm);
        if is_hmac(found) == is_hmac(wanted) || self.force_algorithm || !session.has_sessions()? {
            return Ok(Ok(()));
        }
        Ok(Err(KeyringError::AlgorithmChange { found: found.as_str(), wanted: wanted.as_str() }))
    }

    /// Whether this node can use the keys it would sign with; and the rows to be sealed anew, so that the previous master
    /// secret can be dropped. Only starting nodes do that: while a change of secrets rolls, old and new nodes would
    /// otherwise go on sealing against each other.
    fn check_keys(&self, keys: &[KeyRecord]) -> Result<Vec<KeyRecord>, KeyringError> {
        match &self.source {
            KeySource::Stored => {
                for key in keys.iter().filter(|key| key.sealed.is_some()) {
                    self.open(key)?;
                }
            }
            KeySource::Given(own) | KeySource::Secret { signing: own, .. } => {
                let compromised =
                    |key: &&KeyRecord| key.kid == own.kid() && key.state == KeyState::Compromised;
                if let Some(key) = keys.iter().find(compromised) {
                    return Err(KeyringError::GivenCompromised(key.kid.clone()));
                }
            }
        }
        let previous = |key: &&KeyRecord| self.recognise(key) == Some(Under::Previous);
        keys.iter().filter(previous).map(|key| self.reseal(key)).collect()
    }

    fn reseal(&self, key: &KeyRecord) -> Result<KeyRecord, KeyringError> {
        let (kid, algorithm) = (&key.kid, key.algorithm);
        let sealed = match &key.sealed {
            Some(_) => Some(self.seal.seal(kid, algorithm, &self.open(key)?.1)?),
            None => None,
        };
        let tag = Some(self.seal.tag(kid, algorithm, key.public_jwk.as_deref()));
        Ok(KeyRecord { sealed, tag, ..key.clone() })
    }

    /// Versions without the table signed with derived keys. Where there are sessions of theirs these keys are retired ones
    /// like all others: they verify for as long as such a session can live, and can be declared compromised.
    fn keep_derived(
        &self,
        session: &mut Session<'_>,
        keys: &[KeyRecord],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if !keys.is_empty() || self.derived.is_empty() || !session.has_sessions()? {
            return Ok(());
        }
        for key in &self.derived {
            session.insert_key(&KeyRecord {
                retired_at: Some(now),
                expires_at: now.checked_add_signed(self.policy.keep),
                ..self.record(key, KeyOrigin::Derived, KeyState::Retired, now)
            })?;
        }
        Ok(())
    }

    /// Makes the key of this node's own known as the one that signs. The one that did is retired, and goes on verifying
    /// for nodes that still sign with it.
    fn register(
        &self,
        session: &mut Session<'_>,
        own: &SigningKey,
        origin: KeyOrigin,
        keys: &[KeyRecord],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        if keys.iter().any(|key| key.kid == own.kid() && key.state == KeyState::Signing) {
            return Ok(());
        }
        session.retire_other_keys(own.kid(), true, now, self.policy.keep)?;
        let record = self.record(own.verifying(), origin, KeyState::Signing, now);
        if !session.insert_key(&record)? {
            session.sign_with(own.kid(), now)?;
            session.reseal_key(&record)?;
        }
        Ok(())
    }
}
