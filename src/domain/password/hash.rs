//! Argon2id (RFC 9106) in PHC strings: hashing, and verification that costs the same whether or not there is an account.
//!
//! Argon2's working memory is kept for the next hash without being wiped. Of what it holds, the `argon2` crate wipes the seed and the last
//! block; the rest does not lead back to the password any faster than the stored hash does.

use std::fmt;
use std::hint::black_box;
use std::ops::RangeInclusive;
use std::sync::Arc;

use argon2::password_hash::Error as PhcError;
use argon2::password_hash::phc::Output;
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};

use super::NormalizedPassword;
use super::argon2id::Argon2id;

/// Memory in KiB: from the floor of the OWASP Password Storage Cheat Sheet to 1 GiB.
const MEMORY_KIB: RangeInclusive<u32> = 19_456..=1 << 20;
/// Passes over the memory.
const PASSES: RangeInclusive<u32> = 2..=16;
/// Lanes.
const LANES: RangeInclusive<u32> = 1..=16;
/// What a PHC string of ours begins with. Anything else belongs to the host's verifier.
const PREFIX: &str = "$argon2id$";
/// The longest stored string that is looked at; one of ours has 97 bytes.
const MAX_STORED_BYTES: usize = 512;

/// The cost of one password hash. Defaults to 19,456 KiB, two passes, one lane, which is the floor as well.
///
/// Raising it upgrades each stored hash at the next login of its user; lowering it leaves the stored ones alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// A cost outside the permitted range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Argon2 {name} of {value} is out of range: use {} to {}", .range.start(), .range.end())]
pub struct InvalidHashParams {
    name: &'static str,
    value: u32,
    range: RangeInclusive<u32>,
}

/// A password could not be hashed: no memory, or no randomness for the salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Argon2 failed: {0}")]
pub(crate) struct HashError(PhcError);

/// A host's check of hashes from before: given the stored string and the password in NFC, whether they match, or `None`
/// if the string is not one it knows.
pub(crate) type ForeignVerifier = dyn Fn(&str, &str) -> Option<bool> + Send + Sync;

/// The outcome of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    /// The password is right.
    Correct {
        /// The stored hash is weaker than the current parameters, or foreign: store a new one.
        rehash: bool,
    },
    /// The password is wrong, or there is nothing stored.
    Wrong,
    /// The stored string cannot be checked. To the client the same as [`Wrong`](Self::Wrong); to the operator an event.
    Unusable,
}

/// Hashes and verifies passwords. Every call takes tens of milliseconds and [`HashParams::memory_kib`] of memory, so it
/// belongs behind an admission gate.
pub(crate) struct Hasher {
    params: HashParams,
    argon2id: Argon2id,
    dummy: PasswordHash,
    foreign: Option<Arc<ForeignVerifier>>,
}

/// What verifying against a stored string takes.
enum Plan<'a> {
    Argon2id(Box<PasswordHash>, HashParams),
    Foreign(&'a ForeignVerifier, &'a str),
    /// Nothing to compare with: the dummy's cost is paid, then this is the answer.
    Dummy(Verification),
}

impl HashParams {
    /// A cost of `memory_kib` KiB, `passes` over it and `lanes`. The lanes are computed one after the other, so more of
    /// them buy nothing here; the parameter exists to match hashes of other systems.
    ///
    /// # Errors
    ///
    /// [`InvalidHashParams`] below 19,456 KiB or 2 passes, or above 1 GiB, 16 passes or 16 lanes.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, InvalidHashParams> {
        for (name, value, range) in
            [("memory (KiB)", memory_kib, MEMORY_KIB), ("passes", passes, PASSES), ("lanes", lanes, LANES)]
        {
            if !range.contains(&value) {
                return Err(InvalidHashParams { name, value, range });
            }
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// The memory of one hash in KiB.
    pub fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// The memory of one hash in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        u64::from(self.memory_kib) * 1024
    }

    /// Reads the parameters of a stored hash; `None` beyond the ceiling. Below the floor they are accepted: a weak hash is
    /// replaced by using it once.
    fn of_stored(hash: &PasswordHash) -> Option<Self> {
        let params = Params::try_from(hash).ok()?;
        let stored = Self { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
        let bounded = stored.memory_kib <= *MEMORY_KIB.end()
            && stored.passes <= *PASSES.end()
            && stored.lanes <= *LANES.end();
        bounded.then_some(stored)
    }

    fn is_weaker_than(&self, other: &Self) -> bool {
        self.memory_kib < other.memory_kib || self.passes < other.passes
    }

    /// The time it takes, in KiB written.
    fn work(&self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// What is missing to the work of these parameters after that of `spent`: no memory at all if nothing is.
    fn without(self, spent: Self) -> Self {
        let missing = self.work().saturating_sub(spent.work()) / u64::from(self.passes);
        Self { memory_kib: u32::try_from(missing).unwrap_or(self.memory_kib), ..self }
    }

    fn argon2(&self) -> Result<Argon2<'static>, HashError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(PhcError::from)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

impl Default for HashParams {
    fn default() -> Self {
        Self { memory_kib: *MEMORY_KIB.start(), passes: *PASSES.start(), lanes: *LANES.start() }
    }
}

impl Hasher {
    /// A hasher with these parameters, whose hashes of one moment take `memory` bytes at most: a stored hash that needs more
    /// than one of today's waits until there is room. Computes one hash, the dummy that logins of unknown users are
    /// verified against.
    ///
    /// # Errors
    ///
    /// [`HashError`] if that hash cannot be computed.
    pub(crate) fn new(params: HashParams, memory: u64) -> Result<Self, HashError> {
        let argon2id = Argon2id::new(params.argon2()?, memory);
        let dummy = argon2id.hash(b"the password of nobody")?;
        Ok(Self { params, argon2id, dummy, foreign: None })
    }

    /// Consults `verify` for stored strings that are not Argon2id. Defaults to none. Its cost is its own: an imported
    /// account can be told by its response time from an unknown one until its first login.
    pub(crate) fn with_foreign_verifier(mut self, verify: Arc<ForeignVerifier>) -> Self {
        self.foreign = Some(verify);
        self
    }

    /// Hashes a password under a new random salt of 16 bytes, as a PHC string.
    ///
    /// # Errors
    ///
    /// [`HashError`] if there is no memory or no randomness.
    pub(crate) fn hash(&self, password: &NormalizedPassword) -> Result<String, HashError> {
        Ok(self.argon2id.hash(password.expose().as_bytes())?.to_string())
    }

    /// Compares a password with what is stored. `None` means that there is no such user, or one without a password.
    ///
    /// Every answer but a foreign verifier's own costs at least one hash with the current parameters. The stored string is
    /// not trusted: one that is malformed, of another kind or beyond the ceilings of [`HashParams`] is
    /// [`Verification::Unusable`], found out before any memory is taken for it.
    pub(crate) fn verify(&self, password: &NormalizedPassword, stored: Option<&str>) -> Verification {
        match self.plan(stored) {
            Plan::Argon2id(hash, params) => self.verify_argon2id(password, &hash, params),
            Plan::Foreign(verify, stored) => match verify(stored, password.expose()) {
                Some(true) => Verification::Correct { rehash: true },
                Some(false) => Verification::Wrong,
                None => self.pay(password, Verification::Unusable),
            },
            Plan::Dummy(answer) => self.pay(password, answer),
        }
    }

    fn plan<'a>(&'a self, stored: Option<&'a str>) -> Plan<'a> {
        let Some(stored) = stored else { return Plan::Dummy(Verification::Wrong) };
        if !stored.starts_with(PREFIX) {
            return match self.foreign.as_deref() {
                Some(verify) => Plan::Foreign(verify, stored),
                None => Plan::Dummy(Verification::Unusable),
            };
        }
        match parse(stored) {
            Some((hash, params)) => Plan::Argon2id(Box::new(hash), params),
            None => Plan::Dummy(Verification::Unusable),
        }
    }

    fn verify_argon2id(
        &self,
        password: &NormalizedPassword,
        hash: &PasswordHash,
        params: HashParams,
    ) -> Verification {
        match self.argon2id.verify(password.expose().as_bytes(), hash) {
            Ok(true) => Verification::Correct { rehash: self.is_outdated(hash, params) },
            Ok(false) => {
                self.pay_difference(password, params);
                Verification::Wrong
            }
            Err(_) => self.pay(password, Verification::Unusable),
        }
    }

    fn is_outdated(&self, hash: &PasswordHash, params: HashParams) -> bool {
        params.is_weaker_than(&self.params)
            || hash.version != self.dummy.version
            || hash.hash.as_ref().map(Output::len) < self.dummy.hash.as_ref().map(Output::len)
            || hash.salt.as_ref().map(|salt| salt.len()) < self.dummy.salt.as_ref().map(|salt| salt.len())
    }

    /// Verifies against the dummy, whose outcome is of no interest, and gives `answer`.
    fn pay(&self, password: &NormalizedPassword, answer: Verification) -> Verification {
        let _ = black_box(self.argon2id.verify(password.expose().as_bytes(), &self.dummy));
        answer
    }

    /// Spends what a hash with older parameters was cheaper than a current one. Without it, a wrong password for an account
    /// from before the parameters rose would be answered sooner than one for an unknown account.
    fn pay_difference(&self, password: &NormalizedPassword, spent: HashParams) {
        if let Ok(argon2) = self.params.without(spent).argon2() {
            let _ = black_box(self.argon2id.spend(&argon2, password.expose().as_bytes()));
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("params", &self.params).finish_non_exhaustive()
    }
}

impl From<PhcError> for HashError {
    fn from(error: PhcError) -> Self {
        Self(error)
    }
}

/// Reads a PHC string that Argon2id can be run on. A string without salt or output would be answered without any work.
fn parse(stored: &str) -> Option<(PasswordHash, HashParams)> {
    if stored.len() > MAX_STORED_BYTES || !stored.is_ascii() {
        return None;
    }
    let hash = PasswordHash::new(stored).ok()?;
    let is_complete =
        hash.algorithm == Algorithm::Argon2id.ident() && hash.salt.is_some() && hash.hash.is_some();
    let params = HashParams::of_stored(&hash)?;
    is_complete.then_some((hash, params))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use argon2::PasswordHasher as _;
    use proptest::prelude::*;

    use super::*;

    const RIGHT: &str = "correct horse battery staple";
    const MEMORY: u64 = 256 << 20;

    /// `RIGHT` under m=64, t=1, p=1: cheap, and below the floor.
    fn weak_hash() -> String {
        let params = HashParams { memory_kib: 64, passes: 1, lanes: 1 };
        params
            .argon2()
            .unwrap()
            .hash_password_with_salt(RIGHT.as_bytes(), b"saltsaltsaltsalt")
            .unwrap()
            .to_string()
    }

    fn password(text: &str) -> NormalizedPassword {
        NormalizedPassword::for_verification(&text.into()).unwrap()
    }

    fn hasher() -> Hasher {
        Hasher::new(HashParams::default(), MEMORY).unwrap()
    }

    #[test]
    fn a_hash_is_argon2id_with_a_salt_of_its_own() {
        let hasher = hasher();
        let (one, other) = (hasher.hash(&password(RIGHT)).unwrap(), hasher.hash(&password(RIGHT)).unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_eq!(one.split('$').nth(4).map(str::len), Some(22), "16 bytes of salt");
        assert_ne!(one, other);
        assert_eq!(hasher.verify(&password(RIGHT), Some(&one)), Verification::Correct { rehash: false });
        assert_eq!(hasher.verify(&password("Correct horse battery staple"), Some(&one)), Verification::Wrong);
    }

    #[test]
    fn composed_and_decomposed_verify_alike() {
        let hasher = hasher();
        let stored = hasher.hash(&password("caf\u{e9} cr\u{e8}me")).unwrap();
        let decomposed = password("cafe\u{301} cre\u{300}me");
        assert_eq!(hasher.verify(&decomposed, Some(&stored)), Verification::Correct { rehash: false });
    }

    #[test]
    fn the_end_of_a_long_password_counts() {
        let hasher = hasher();
        let stored = hasher.hash(&password(&"a".repeat(1024))).unwrap();
        let other = format!("{}b", "a".repeat(1023));
        assert_eq!(hasher.verify(&password(&other), Some(&stored)), Verification::Wrong);
    }

    #[test]
    fn parameters_have_a_floor_and_a_ceiling() {
        assert_eq!(HashParams::new(19_456, 2, 1), Ok(HashParams::default()));
        assert!(HashParams::new(1 << 20, 16, 16).is_ok());
        for (m, t, p) in [
            (19_455, 2, 1),
            ((1 << 20) + 1, 2, 1),
            (19_456, 1, 1),
            (19_456, 17, 1),
            (19_456, 2, 0),
            (19_456, 2, 17),
        ] {
            assert!(HashParams::new(m, t, p).is_err(), "m={m} t={t} p={p}");
        }
        assert_eq!(
            HashParams::new(1024, 2, 1).unwrap_err().to_string(),
            "Argon2 memory (KiB) of 1024 is out of range: use 19456 to 1048576"
        );
    }

    #[test]
    fn a_hash_below_the_current_parameters_is_to_be_replaced() {
        let hasher = hasher();
        let stored = weak_hash();
        assert_eq!(hasher.verify(&password(RIGHT), Some(&stored)), Verification::Correct { rehash: true });
        assert_eq!(hasher.verify(&password("wrong"), Some(&stored)), Verification::Wrong);

        let raised = Hasher::new(HashParams::new(19_456, 3, 1).unwrap(), MEMORY).unwrap();
        let floor = hasher.hash(&password(RIGHT)).unwrap();
        assert_eq!(raised.verify(&password(RIGHT), Some(&floor)), Verification::Correct { rehash: true });
        let strong = raised.hash(&password(RIGHT)).unwrap();
        assert_eq!(hasher.verify(&password(RIGHT), Some(&strong)), Verification::Correct { rehash: false });
    }

    #[test]
    fn an_old_version_a_short_salt_or_a_short_output_is_to_be_replaced() {
        let hasher = hasher();
        let hash = |version, salt: &[u8], len| {
            let params = Params::new(19_456, 2, 1, Some(len)).unwrap();
            let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
            argon2.hash_password_with_salt(RIGHT.as_bytes(), salt).unwrap().to_string()
        };
        for (stored, rehash) in [
            (hash(Version::V0x13, b"saltsaltsaltsalt", 32), false),
            (hash(Version::V0x10, b"saltsaltsaltsalt", 32), true),
            (hash(Version::V0x13, b"saltsalt", 32), true),
            (hash(Version::V0x13, b"saltsaltsaltsalt", 16), true),
        ] {
            assert_eq!(
                hasher.verify(&password(RIGHT), Some(&stored)),
                Verification::Correct { rehash },
                "{stored}"
            );
        }
    }

    const UNUSABLE: [&str; 20] = [
        "",
        "$",
        "$argon2id",
        "$argon2id$",
        "garbage",
        "$argon2id$v=19$m=19456,t=2,p=1",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$",
        "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2id$v=19$m=4294967295,t=4294967295,p=16777215$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2id$v=19$m=19456,m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2id$v=19$m=19456,t=17,p=1$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2id$v=19$m=19456,t=2,p=17$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2id$v=19$m=19456,t=2,p=0$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2id$v=20$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2id$v=19$m=19456,t=2,p=1,x=1$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2d$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm8",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$bm90IGEgcmVhbCBoYXNoIGF0IGFsbCwgbm\u{f8}",
        "\u{1f511}",
    ];

    #[test]
    fn stored_strings_that_cannot_be_checked_are_unusable_and_quick() {
        let hasher = hasher();
        for stored in UNUSABLE {
            let started = Instant::now();
            assert_eq!(hasher.verify(&password(RIGHT), Some(stored)), Verification::Unusable, "{stored:?}");
            assert!(started.elapsed() < Duration::from_secs(2), "{stored:?}");
        }
        let long = format!("{}{}", weak_hash(), "A".repeat(MAX_STORED_BYTES));
        assert_eq!(hasher.verify(&password(RIGHT), Some(&long)), Verification::Unusable);
    }

    #[test]
    fn an_unknown_user_costs_one_hash_with_the_current_parameters() {
        for params in [HashParams::default(), HashParams::new(20_000, 3, 2).unwrap()] {
            let hasher = Hasher::new(params, MEMORY).unwrap();
            assert_eq!(HashParams::of_stored(&hasher.dummy), Some(params));
            let stored = hasher.hash(&password(RIGHT)).unwrap();
            assert!(matches!(hasher.plan(None), Plan::Dummy(Verification::Wrong)));
            assert!(matches!(hasher.plan(Some(&stored)), Plan::Argon2id(_, real) if real == params));
        }
    }

    #[test]
    fn a_cheaper_hash_and_the_difference_cost_one_current_hash() {
        let current = HashParams::new(65_536, 4, 1).unwrap();
        for (m, t) in [(64, 1), (19_456, 2), (65_536, 3), (65_535, 4)] {
            let spent = HashParams { memory_kib: m, passes: t, lanes: 1 };
            let total = spent.work() + current.without(spent).work();
            assert!((current.work() - 3..=current.work()).contains(&total), "m={m} t={t}");
        }
        for spent in [current, HashParams::new(1 << 20, 4, 1).unwrap()] {
            assert_eq!(current.without(spent).memory_kib, 0);
            assert!(current.without(spent).argon2().is_err(), "nothing is left to run");
        }
    }

    #[test]
    fn what_is_unusable_costs_the_dummy_and_nothing_else() {
        let hasher = hasher();
        for stored in UNUSABLE {
            // An unknown version is found by Argon2 itself, after the plan; `verify` pays for it then.
            if !stored.contains("v=20") {
                assert!(
                    matches!(hasher.plan(Some(stored)), Plan::Dummy(Verification::Unusable)),
                    "{stored:?}"
                );
            }
        }
    }

    #[test]
    fn nobody_logs_in_with_the_password_of_the_dummy() {
        assert_eq!(hasher().verify(&password("the password of nobody"), None), Verification::Wrong);
    }

    #[test]
    fn a_foreign_verifier_decides_about_foreign_strings_only() {
        let foreign: Arc<ForeignVerifier> =
            Arc::new(|stored, password| match stored.strip_prefix("plain:") {
                Some(expected) => Some(expected == password),
                None if stored.starts_with(PREFIX) => Some(true),
                None => None,
            });
        let hasher = hasher().with_foreign_verifier(foreign);
        let stored = format!("plain:{RIGHT}");
        assert_eq!(hasher.verify(&password(RIGHT), Some(&stored)), Verification::Correct { rehash: true });
        assert_eq!(hasher.verify(&password("wrong"), Some(&stored)), Verification::Wrong);
        assert_eq!(hasher.verify(&password(RIGHT), Some("$2b$12$unknown")), Verification::Unusable);
        assert_eq!(hasher.verify(&password(RIGHT), Some("$argon2id$rubbish")), Verification::Unusable);
        assert_eq!(hasher.verify(&password(RIGHT), None), Verification::Wrong);
    }

    #[test]
    fn debug_shows_no_hash() {
        assert_eq!(
            format!("{:?}", hasher()),
            "Hasher { params: HashParams { memory_kib: 19456, passes: 2, lanes: 1 }, .. }"
        );
    }

    proptest! {
        #[test]
        fn no_stored_string_panics(tail in "[\\PC$=,a-z0-9/+]{0,120}") {
            let _ = parse(&format!("{PREFIX}{tail}"));
        }

        #[test]
        fn no_damaged_hash_panics(position in 0usize..90, byte in 0u8..128) {
            let mut stored = weak_hash().into_bytes();
            let position = position % stored.len();
            stored[position] = byte;
            if let Some((hash, params)) = parse(&String::from_utf8(stored).unwrap()) {
                prop_assert!(params.memory_kib <= *MEMORY_KIB.end());
                prop_assert!(hash.salt.is_some());
            }
        }
    }
}
