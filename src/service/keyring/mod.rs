//! The keys of this node: the one it signs with and those it verifies by, kept in step with the table.

mod change;
mod start;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use zeroize::Zeroizing;

pub use self::change::RotateKeys;
pub(crate) use self::start::StartedKeys;
use super::events::Events;
use crate::domain::event::{Actor, Fact};
use crate::domain::keys::lifecycle::{
    KeyOrigin, KeyPolicy, KeyRecord, KeyState, Moment, Step, changes, next_step,
};
use crate::domain::keys::sealing::{KeySeal, Under};
use crate::domain::keys::{KeyError, KeySet, SigningAlgorithm, SigningKey, VerifyingKey};
use crate::service::revocations::Announcer;
use crate::store::{Keys, Session, Store, StoreError};

/// More changes than can be due at once.
const STEPS: usize = 32;

/// Where this node has its signing key from.
pub(crate) enum KeySource {
    /// The table.
    Stored,
    /// The operator, who sees to its replacement.
    Given(Arc<SigningKey>),
    /// The master secret (HS256). HMAC keys stand beside no public ones, so these are all that this node verifies by.
    Secret { signing: Arc<SigningKey>, verifying: Vec<VerifyingKey> },
}

/// What the configuration says about keys.
pub(crate) struct KeyOptions {
    pub(crate) source: KeySource,
    pub(crate) policy: KeyPolicy,
    pub(crate) seal: KeySeal,
    /// The keys that versions without the table derived from the master secret and signed with.
    pub(crate) derived: Vec<VerifyingKey>,
    /// Whether a change between HS256 and public keys is meant, although it logs everybody out.
    pub(crate) force_algorithm: bool,
}

/// Why the keys cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyringError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The private part of this key opens under neither master secret.
    #[error("the stored signing key {0} does not open under the master secret")]
    Sealed(String),
    /// The key given by hand is marked as compromised.
    #[error("the given signing key {0} is compromised")]
    GivenCompromised(String),
    /// A change that logs everybody out.
    #[error("tokens are signed with {found}, and {wanted} is configured")]
    AlgorithmChange { found: &'static str, wanted: &'static str },
    /// The one that signed is compromised, and there is no other yet.
    #[error("there is no key to sign with")]
    NoKey,
    /// No row with this key id.
    #[error("there is no such key")]
    UnknownKey,
    /// What is asked for makes no sense with this kind of key.
    #[error("{0}")]
    Unchangeable(&'static str),
}

/// The keys in use.
pub(crate) struct Keyring {
    options: KeyOptions,
    store: Store,
    announcer: Announcer,
    events: Arc<Events>,
    signing: ArcSwap<SigningKey>,
    /// The rows that are in use. Held while they are read, so that nobody takes over older ones after newer ones.
    known: Mutex<Vec<KeyRecord>>,
}

impl Keyring {
    /// The key to sign with now. Whoever stores its id signs with this same one.
    pub(crate) fn signing_key(&self) -> Arc<SigningKey> {
        self.signing.load_full()
    }

    /// Spares this node's guard the check of a signature that is its own.
    pub(crate) fn remember(&self, signed: &str) {
        self.announcer.verifier().remember_own(signed);
    }

    /// For how long the key in use has been signing. `None` while the keys are being read, which nobody is to wait for.
    pub(crate) fn signing_for(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let (known, signing) = (self.known.try_lock().ok()?, self.signing_key());
        known.iter().find(|key| key.kid == signing.kid()).map(|key| now - key.signs_from)
    }

    /// How long a key signs, where the next one takes over by itself.
    pub(crate) fn signing_key_life(&self) -> Option<TimeDelta> {
        let KeyPolicy { rotates, life, .. } = self.options.policy;
        rotates.then_some(life)
    }

    /// Reads the table, does what is due, and takes over what has changed.
    pub(crate) fn sync(&self, read: impl FnOnce() -> Result<Keys, StoreError>) -> Result<(), KeyringError> {
        let mut known = self.known();
        let mut read = read()?;
        if next_step(&read.keys, read.now, &self.options.policy, Moment::Running).is_some() {
            // Whoever has the lock does the step, or hangs: revocations are not to wait for that.
            let (before, after) = self.store.transaction(|session| {
                let turn = session.try_lock_keys()?;
                let before = session.read_keys()?;
                let after =
                    if turn { self.options.settle(session, Moment::Running)? } else { before.clone() };
                Ok((before, after))
            })?;
            self.report(Actor::Service, &before.keys, &after.keys);
            read = after;
        }
        self.take_over(&mut known, read.keys)
    }

    /// Reports what a transaction of this node's has changed.
    fn report(&self, by: Actor, before: &[KeyRecord], after: &[KeyRecord]) {
        let changed = changes(before, after).into_iter();
        self.events.report(by, changed.map(|(kid, state)| Fact::key_changed(&kid, state)));
    }

    fn take_over(&self, known: &mut Vec<KeyRecord>, keys: Vec<KeyRecord>) -> Result<(), KeyringError> {
        if *known == keys {
            return Ok(());
        }
        let signing = self.options.choose(&keys, Some(&self.signing_key()));
        // Verified by before it is signed with; and without a key to sign with, a compromised one still has to go.
        let before =
            self.announcer.verifier().set_keys(self.options.key_set(&keys, signing.as_deref().ok())?);
        self.signing.store(signing?);
        drop(before);
        *known = keys;
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Vec<KeyRecord>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyOptions {
    /// Takes every step that is due. For a transaction that holds the lock: of nodes that do so at once the first one
    /// finds something to do.
    fn settle(&self, session: &mut Session<'_>, moment: Moment) -> Result<Keys, StoreError> {
        for _ in 0..STEPS {
            let read = session.read_keys()?;
            let Some(step) = next_step(&read.keys, read.now, &self.policy, moment) else { return Ok(read) };
            self.take(session, step, read.now)?;
        }
        Err(StoreError::Corrupt("signing_keys does not settle"))
    }

    fn take(&self, session: &mut Session<'_>, step: Step, now: DateTime<Utc>) -> Result<(), StoreError> {
        match step {
            Step::Forget => {
                let gone = session.forget_retired_keys(now)?;
                tracing::info!(?gone, "retired signing keys are forgotten");
            }
            Step::Sign { kid } => {
                session.retire_other_keys(&kid, false, now, self.policy.keep)?;
                session.sign_with(&kid, now)?;
            }
            Step::SignWithNew => {
                let key = self.new_key(KeyState::Signing, now, now)?;
                session.retire_other_keys(&key.kid, false, now, self.policy.keep)?;
                session.insert_key(&key)?;
            }
            Step::Announce { signs_from } => {
                let key = self.new_key(KeyState::Announced, now, signs_from)?;
                session.insert_key(&key)?;
            }
        }
        Ok(())
    }

    /// A new key for the table, its private part sealed.
    fn new_key(
        &self,
        state: KeyState,
        now: DateTime<Utc>,
        signs_from: DateTime<Utc>,
    ) -> Result<KeyRecord, StoreError> {
        let make = |algorithm: SigningAlgorithm| -> Result<KeyRecord, KeyError> {
            let (key, private) = SigningKey::generate(algorithm)?;
            let sealed = self.seal.seal(key.kid(), algorithm, &*private)?;
            let record = self.record(key.verifying(), KeyOrigin::Stored, state, now);
            Ok(KeyRecord { sealed: Some(sealed), signs_from, ..record })
        };
        make(self.policy.algorithm).map_err(|_| StoreError::Corrupt("no signing key could be made"))
    }

    /// The key to sign with: the one of this node's own, or the stored one whose turn it is, or else the one in use.
    fn choose(
        &self,
        keys: &[KeyRecord],
        current: Option<&Arc<SigningKey>>,
    ) -> Result<Arc<SigningKey>, KeyringError> {
        let compromised =
            |kid: &str| keys.iter().any(|key| key.kid == kid && key.state == KeyState::Compromised);
        let usable = |key: &&Arc<SigningKey>| !compromised(key.kid());
        let own = match &self.source {
            KeySource::Stored => None,
            KeySource::Given(key) | KeySource::Secret { signing: key, .. } => Some(key),
        };
        if let Some(own) = own.filter(usable) {
            return Ok(Arc::clone(own));
        }
        let stored = |key: &&KeyRecord| key.state == KeyState::Signing && key.origin == KeyOrigin::Stored;
        let current = current.filter(usable);
        match (keys.iter().find(stored), current) {
            (Some(stored), Some(current)) if stored.kid == current.kid() => Ok(Arc::clone(current)),
            (Some(stored), current) => match (self.open(stored), current) {
                (Err(error), Some(current)) => {
                    tracing::error!(%error, "the key in use goes on signing");
                    Ok(Arc::clone(current))
                }
                (opened, _) => opened.map(|(key, _)| Arc::new(key)),
            },
            (None, current) => current.cloned().ok_or(KeyringError::NoKey),
        }
    }

    /// The private key of a row, and its private bytes.
    fn open(&self, key: &KeyRecord) -> Result<(SigningKey, Zeroizing<Vec<u8>>), KeyringError> {
        let sealed = || KeyringError::Sealed(key.kid.clone());
        let text = key.sealed.as_ref().ok_or_else(sealed)?;
        let opened = self.seal.open(&key.kid, key.algorithm, text).ok_or_else(sealed)?;
        let signing = SigningKey::from_private(key.algorithm, &opened)?;
        if signing.kid() == key.kid { Ok((signing, opened)) } else { Err(sealed()) }
    }

    /// What this node verifies by: every key that is not compromised or gone, and that a node with the master secret put
    /// there.
    fn key_set(&self, keys: &[KeyRecord], signing: Option<&SigningKey>) -> Result<KeySet, KeyError> {
        if let KeySource::Secret { verifying, .. } = &self.source {
            return KeySet::new(verifying.iter().cloned());
        }
        let mut set: Vec<VerifyingKey> = signing.map(|key| key.verifying().clone()).into_iter().collect();
        for key in keys.iter().filter(|key| key.state != KeyState::Compromised) {
            let Some(public) = &key.public_jwk else { continue };
            if self.recognise(key).is_none() {
                tracing::warn!(kid = %key.kid, "no tag of the master secret is on this signing key: it is ignored");
            } else if set.iter().all(|known| known.kid() != key.kid) {
                set.push(VerifyingKey::from_jwk(public)?);
            }
        }
        KeySet::new(set)
    }

    /// Under which master secret a row was made, if under one of ours.
    fn recognise(&self, key: &KeyRecord) -> Option<Under> {
        self.seal.recognise(&key.kid, key.algorithm, key.public_jwk.as_deref(), key.tag.as_deref()?)
    }

    /// A row for a key that begins now.
    fn record(
        &self,
        key: &VerifyingKey,
        origin: KeyOrigin,
        state: KeyState,
        now: DateTime<Utc>,
    ) -> KeyRecord {
        let (kid, algorithm) = (key.kid().to_owned(), key.algorithm());
        let public_jwk = key.public().and_then(|public| serde_json::to_string(public).ok());
        KeyRecord {
            tag: Some(self.seal.tag(&kid, algorithm, public_jwk.as_deref())),
            kid,
            algorithm,
            origin,
            state,
            public_jwk,
            sealed: None,
            created_at: now,
            signs_from: now,
            retired_at: None,
            expires_at: None,
            compromised_at: None,
        }
    }
}
