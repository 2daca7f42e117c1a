//! The life of a signing key: announced, signing, retired, gone; or compromised.
//!
//! The rule is a pure function of the rows and the database's time. Every node applies it each second; one does the step.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::SigningAlgorithm;

/// How long a key is published before it signs, so that whoever verifies by the JWKS knows it by then: the time that
/// the document may be cached, and a wide margin for caches that keep it longer.
pub(crate) const LEAD: TimeDelta = TimeDelta::hours(1);
/// The same for the nodes alone, which look each second: a key that is to sign at once signs after this.
pub(crate) const NODE_LEAD: TimeDelta = TimeDelta::seconds(5);

/// What a signing key is good for at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyState {
    /// Published, so that verifiers know it; does not sign yet.
    Announced,
    /// Signs new access tokens. There is one such key.
    Signing,
    /// Signs no more; still verifies, for as long as a session can have a token of it.
    Retired,
    /// Refused everywhere.
    Compromised,
}

/// Where the private part of a signing key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyOrigin {
    /// Sealed in the database.
    Stored,
    /// Given to the nodes by hand (`AUTHFLOW_SIGNING_KEY_FILE`).
    Given,
    /// Nowhere: it is derived from the master secret.
    Derived,
}

/// A row of `authflow.signing_keys`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    pub(crate) kid: String,
    pub(crate) algorithm: SigningAlgorithm,
    pub(crate) origin: KeyOrigin,
    pub(crate) state: KeyState,
    /// Absent for HS256.
    pub(crate) public_jwk: Option<String>,
    /// Present while a stored key may sign.
    pub(crate) sealed: Option<Vec<u8>>,
    /// Shows that a node with the master secret made the row. Absent once it is compromised.
    pub(crate) tag: Option<Vec<u8>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) signs_from: DateTime<Utc>,
    pub(crate) retired_at: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) compromised_at: Option<DateTime<Utc>>,
}

/// What a node wants of the keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyPolicy {
    /// Of new keys.
    pub(crate) algorithm: SigningAlgorithm,
    /// Whether this node signs with stored keys, and so sees to their rotation.
    pub(crate) rotates: bool,
    /// How long a key signs.
    pub(crate) life: TimeDelta,
    /// How long a retired key still verifies.
    pub(crate) keep: TimeDelta,
}

/// Whether a node is coming up or has been up. Only one that comes up brings a changed configuration with it: were the
/// others to act on theirs as well, old and new ones would undo each other's work while a deployment rolls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Start,
    Running,
}

/// A change that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Delete the retired keys whose time is over.
    Forget,
    /// Let the announced key sign, and retire the one that did.
    Sign { kid: String },
    /// Make a key that signs at once.
    SignWithNew,
    /// Make a key that signs later.
    Announce { signs_from: DateTime<Utc> },
}

/// The keys that have come into another state, each with that state. One that is gone has none.
pub(crate) fn changes(before: &[KeyRecord], after: &[KeyRecord]) -> Vec<(String, KeyState)> {
    let is_new = |key: &&KeyRecord| !before.iter().any(|old| old.kid == key.kid && old.state == key.state);
    after.iter().filter(is_new).map(|key| (key.kid.clone(), key.state)).collect()
}

/// The first change that is due, if there is one.
pub(crate) fn next_step(
    keys: &[KeyRecord],
    now: DateTime<Utc>,
    policy: &KeyPolicy,
    moment: Moment,
) -> Option<Step> {
    let forgettable = |key: &KeyRecord| key.expires_at.is_some_and(|end| end <= now);
    if keys.iter().any(|key| key.state == KeyState::Retired && forgettable(key)) {
        return Some(Step::Forget);
    }
    if !policy.rotates {
        return None;
    }
    let announced = || keys.iter().filter(|key| key.state == KeyState::Announced);
    // The oldest first, so that of several that have become due the newest is the one that stays.
    let due = announced().filter(|key| key.signs_from <= now).min_by_key(|key| key.signs_from);
    if let Some(key) = due {
        return Some(Step::Sign { kid: key.kid.clone() });
    }
    let Some(signing) = keys.iter().find(|key| key.state == KeyState::Signing) else {
        return Some(Step::SignWithNew);
    };
    match (signing.origin, moment) {
        (KeyOrigin::Stored, Moment::Start) if signing.algorithm != policy.algorithm => {
            let coming = announced().any(|key| key.algorithm == policy.algorithm);
            (!coming).then_some(Step::Announce { signs_from: now + LEAD })
        }
        (KeyOrigin::Stored, _) if announced().next().is_none() => {
            let signs_from = now + LEAD;
            (signing.signs_from + policy.life <= signs_from).then_some(Step::Announce { signs_from })
        }
        (KeyOrigin::Given | KeyOrigin::Derived, Moment::Start) => Some(Step::SignWithNew),
        _ => None,
    }
}

impl KeyState {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Announced, "announced"),
        (Self::Signing, "signing"),
        (Self::Retired, "retired"),
        (Self::Compromised, "compromised"),
    ];

    /// The word in the database and in lists.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

impl KeyOrigin {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Stored, "stored"), (Self::Given, "given"), (Self::Derived, "derived")];

    /// The word in the database and in lists.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(origin, _)| *origin == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for KeyState {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(state, _)| *state).ok_or(())
    }
}

impl FromStr for KeyOrigin {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(origin, _)| *origin).ok_or(())
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRecord({}, {}, {})", self.kid, self.algorithm.as_str(), self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24;

    /// A moment, in hours.
    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn policy() -> KeyPolicy {
        KeyPolicy {
            algorithm: SigningAlgorithm::EdDsa,
            rotates: true,
            life: TimeDelta::days(90),
            keep: TimeDelta::days(31),
        }
    }

    fn key(kid: &str, state: KeyState, signs_from: i64) -> KeyRecord {
        KeyRecord {
            kid: kid.into(),
            algorithm: SigningAlgorithm::EdDsa,
            origin: KeyOrigin::Stored,
            state,
            public_jwk: None,
            sealed: None,
            tag: None,
            created_at: at(0),
            signs_from: at(signs_from),
            retired_at: None,
            expires_at: None,
            compromised_at: None,
        }
    }

    fn signing(kid: &str, signs_from: i64) -> KeyRecord {
        key(kid, KeyState::Signing, signs_from)
    }

    fn announced(kid: &str, signs_from: i64) -> KeyRecord {
        key(kid, KeyState::Announced, signs_from)
    }

    fn retired(kid: &str, expires_at: i64) -> KeyRecord {
        KeyRecord { expires_at: Some(at(expires_at)), ..key(kid, KeyState::Retired, 0) }
    }

    fn running(keys: &[KeyRecord], now: i64) -> Option<Step> {
        next_step(keys, at(now), &policy(), Moment::Running)
    }

    fn sign(kid: &str) -> Option<Step> {
        Some(Step::Sign { kid: kid.into() })
    }

    fn announce(signs_from: i64) -> Option<Step> {
        Some(Step::Announce { signs_from: at(signs_from) })
    }

    #[test]
    fn a_key_is_announced_signs_retires_and_goes() {
        let change = 90 * DAY;
        for (keys, now, step) in [
            (vec![], 0, Some(Step::SignWithNew)),
            (vec![signing("a", 0)], 0, None),
            (vec![signing("a", 0)], change - 2, None),
            (vec![signing("a", 0)], change - 1, announce(change)),
            // Nobody looked for a while: the lead is kept all the same.
            (vec![signing("a", 0)], change + 50, announce(change + 51)),
            (vec![signing("a", 0), announced("b", change)], change - 1, None),
            (vec![signing("a", 0), announced("b", change)], change, sign("b")),
            (vec![retired("a", 500), signing("b", change)], 499, None),
            (vec![retired("a", 500), signing("b", change)], 500, Some(Step::Forget)),
        ] {
            assert_eq!(running(&keys, now), step, "{keys:?} at {now}");
        }
    }

    #[test]
    fn of_several_announced_keys_the_newest_stays() {
        let keys = [signing("a", 0), announced("c", 20), announced("b", 10)];
        assert_eq!(running(&keys, 30), sign("b"));
        let keys = [retired("a", 900), signing("b", 30), announced("c", 20)];
        assert_eq!(running(&keys, 30), sign("c"));
    }

    #[test]
    fn a_compromised_key_is_replaced_at_once() {
        let keys = [key("a", KeyState::Compromised, 0)];
        assert_eq!(running(&keys, 1), Some(Step::SignWithNew));
        let keys = [key("a", KeyState::Compromised, 0), announced("b", 1)];
        assert_eq!(running(&keys, 1), sign("b"));
    }

    #[test]
    fn another_algorithm_comes_by_rotation_and_with_a_starting_node_only() {
        let wanted = KeyPolicy { algorithm: SigningAlgorithm::Es256, ..policy() };
        let keys = [signing("a", 0)];
        assert_eq!(next_step(&keys, at(5), &wanted, Moment::Start), announce(6));
        assert_eq!(next_step(&keys, at(5), &wanted, Moment::Running), None);
        let announced = KeyRecord { algorithm: SigningAlgorithm::Es256, ..announced("b", 6) };
        let keys = [signing("a", 0), announced];
        assert_eq!(next_step(&keys, at(5), &wanted, Moment::Start), None);
        assert_eq!(next_step(&keys, at(5), &policy(), Moment::Start), None);
    }

    #[test]
    fn a_key_from_elsewhere_is_replaced_by_a_starting_node_only() {
        for origin in [KeyOrigin::Given, KeyOrigin::Derived] {
            let keys = [KeyRecord { origin, ..signing("a", 0) }];
            assert_eq!(next_step(&keys, at(5), &policy(), Moment::Start), Some(Step::SignWithNew));
            assert_eq!(running(&keys, 500 * DAY), None);
        }
    }

    #[test]
    fn a_node_that_signs_with_a_key_of_its_own_only_tidies_up() {
        let idle = KeyPolicy { rotates: false, ..policy() };
        let keys = [signing("a", 0), announced("b", 1)];
        assert_eq!(next_step(&keys, at(500 * DAY), &idle, Moment::Start), None);
        let keys = [retired("a", 1)];
        assert_eq!(next_step(&keys, at(1), &idle, Moment::Running), Some(Step::Forget));
    }

    #[test]
    fn names_are_read_back() {
        assert!(KeyState::ALL.iter().all(|(state, name)| name.parse() == Ok(*state)));
        assert!(KeyOrigin::ALL.iter().all(|(origin, name)| name.parse() == Ok(*origin)));
    }
}
