//! Changes of the keys that a person asks for.

use super::{Keyring, KeyringError};
use crate::domain::event::{Actor, Fact};
use crate::domain::keys::SigningAlgorithm;
use crate::domain::keys::lifecycle::{KeyRecord, KeyState, LEAD, Moment, NODE_LEAD, Step};
use crate::domain::session::RevocationReason;
use crate::store::{Session, StoreError};

/// When a new key begins to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RotateKeys {
    /// After an hour, when everybody who caches the published keys knows it. The default.
    #[default]
    Announced,
    /// After five seconds, when every node knows it. Services that verify by cached keys may refuse its tokens until they
    /// look again.
    Now,
}

/// All keys before and after.
type Change = (Vec<KeyRecord>, Vec<KeyRecord>);

impl Keyring {
    /// Sees to it that a new key signs soon, and answers which. Where one is announced already it is that one.
    pub(crate) fn rotate(&self, when: RotateKeys) -> Result<KeyRecord, KeyringError> {
        if !self.options.policy.rotates {
            return Err(KeyringError::Unchangeable(
                "the signing key is not a stored one: replace it where it is configured",
            ));
        }
        let (key, before, after) = self.store.transaction(|session| {
            session.lock_keys()?;
            let before = session.read_keys()?.keys;
            let key = self.schedule(session, when)?;
            Ok((key, before, session.read_keys()?.keys))
        })?;
        self.report(Actor::Application, &before, &after);
        self.sync_now()?;
        Ok(key)
    }

    fn schedule(&self, session: &mut Session<'_>, when: RotateKeys) -> Result<KeyRecord, StoreError> {
        let read = self.options.settle(session, Moment::Running)?;
        let lead = match when {
            RotateKeys::Announced => LEAD,
            RotateKeys::Now => NODE_LEAD,
        };
        let signs_from = read.now + lead;
        let announced = read.keys.into_iter().filter(|key| key.state == KeyState::Announced);
        let Some(key) = announced.max_by_key(|key| key.signs_from) else {
            let key = self.options.new_key(KeyState::Announced, read.now, signs_from)?;
            session.insert_key(&key)?;
            return Ok(key);
        };
        if key.signs_from <= signs_from {
            return Ok(key);
        }
        if when == RotateKeys::Now {
            session.reschedule_key(&key.kid, signs_from)?;
            return Ok(KeyRecord { signs_from, ..key });
        }
        Ok(key)
    }

    /// Marks a key as compromised, lets a new one sign if it was the one that did, and ends the sessions whose last
    /// access token it signed. Answers how many those were. May be repeated.
    ///
    /// On this node the key is refused when this returns, on others when they next look at the table.
    pub(crate) fn compromise(&self, kid: &str) -> Result<usize, KeyringError> {
        let (before, after) = self.store.transaction(|session| {
            session.lock_keys()?;
            self.mark_compromised(session, kid)
        })??;
        self.report(Actor::Application, &before, &after);
        self.sync_now()?;
        Ok(self.end_sessions(kid)?)
    }

    fn mark_compromised(
        &self,
        session: &mut Session<'_>,
        kid: &str,
    ) -> Result<Result<Change, KeyringError>, StoreError> {
        let before = session.read_keys()?.keys;
        let Some(key) = before.iter().find(|key| key.kid == kid) else {
            return Ok(Err(KeyringError::UnknownKey));
        };
        if key.algorithm == SigningAlgorithm::Hs256 {
            let remedy =
                "the key is derived from the master secret: change that, without keeping the previous one";
            return Ok(Err(KeyringError::Unchangeable(remedy)));
        }
        session.compromise_key(kid)?;
        let read = session.read_keys()?;
        if read.keys.iter().all(|key| key.state != KeyState::Signing) {
            self.options.take(session, Step::SignWithNew, read.now)?;
        }
        Ok(Ok((before, session.read_keys()?.keys)))
    }

    /// Ends the sessions whose last access token this key signed, and answers how many they were. A node that had not
    /// heard yet may have added some since the last time.
    pub(crate) fn end_sessions(&self, kid: &str) -> Result<usize, StoreError> {
        let end = |session: &mut Session<'_>, after, most| {
            let (last, ended) = session.end_next_signed_by(after, kid, most)?;
            let ids: Vec<_> = ended.iter().map(|(id, _)| *id).collect();
            session.delete_chains(&ids)?;
            Ok((last, (ids, ended)))
        };
        let mut count = 0;
        self.store.walk_sessions(end, |(ids, ended)| {
            self.announcer.announce(&ids);
            count += ended.len();
            let reason = RevocationReason::KeyCompromised;
            let facts = ended.into_iter().map(|(id, user)| Fact::session_ended(id, user, reason));
            self.events.report(Actor::Application, facts);
        })?;
        Ok(count)
    }

    fn sync_now(&self) -> Result<(), KeyringError> {
        self.sync(|| self.store.run(|session| session.read_keys()))
    }
}
