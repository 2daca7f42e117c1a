//! How often a password may be tried: what is counted, what each failure costs, and when it is forgotten.
//!
//! Every count has a moment from which on the next attempt is admitted. An attempt is counted before its password is looked
//! at, and moves that moment by a step that depends on how many failures there are in a row; success takes it back. There
//! are two shapes of budget:
//!
//! - *growing*: so many attempts cost nothing, then each failure doubles the wait;
//! - *bucket*: so many attempts at once, and one more for each span of time.

use std::net::IpAddr;

use aws_lc_rs::hmac;
use chrono::TimeDelta;
use uuid::Uuid;

use crate::domain::event::AttemptBudget;
use crate::domain::ids::UserId;
use crate::domain::secret::ServerSecret;

/// How many failures have a step of their own. Every further one costs as much as the last of these.
pub(crate) const STEPS: usize = 16;
/// The wait after the last free failure; it doubles with each further one.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(15);
/// The longest wait of a growing budget.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(15);
/// What a site may try at once, however low the ceiling: as much as one address.
const SMALLEST_SHARE: u32 = 5;
/// How long after the last wait failures in a row are remembered.
const GROWING_MEMORY: TimeDelta = TimeDelta::hours(1);
/// How much longer than it matters a bucket is remembered: longer than any attempt is under way, so that what it gives back
/// is its own.
const BUCKET_MEMORY: TimeDelta = TimeDelta::minutes(1);

/// What a success does to a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterSuccess {
    /// The failures before it no longer matter.
    Forget,
    /// It alone is taken back.
    GiveBack,
    /// It counts like a failure.
    Keep,
}

/// How much may be tried. See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    steps: [TimeDelta; STEPS],
    /// How far behind the present the opening may lie: what may be tried at once, in time.
    pub(crate) burst: TimeDelta,
    /// How long a count is remembered after its budget is full again.
    pub(crate) memory: TimeDelta,
    pub(crate) after_success: AfterSuccess,
}

/// The name of a count in the database. Says nothing without the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptKey(pub(crate) [u8; 16]);

/// One count that an attempt adds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) key: AttemptKey,
    pub(crate) kind: AttemptBudget,
    pub(crate) budget: Budget,
}

/// The addresses that one party has to itself: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    V4([u8; 4]),
    V6([u8; 8]),
}

/// The names of the counts, and the ceiling.
pub(crate) struct Throttle {
    key: hmac::Key,
    ceiling: u32,
}

/// The budget of each count of this kind. `ceiling` is what an account allows to all devices that are not known. One site gets
/// a quarter of that, and afterwards a sixth of the attempts of an account: it takes several sites to keep an account shut.
fn budget(of: AttemptBudget, ceiling: u32) -> Budget {
    match of {
        AttemptBudget::Device => Budget::growing(10),
        AttemptBudget::AccountAndAddress | AttemptBudget::PasswordChange => Budget::growing(5),
        AttemptBudget::AccountAndSite => {
            Budget::bucket((ceiling / 4).max(SMALLEST_SHARE), TimeDelta::hours(6), AfterSuccess::Forget)
        }
        AttemptBudget::Account => Budget::bucket(ceiling, TimeDelta::hours(1), AfterSuccess::Forget),
        AttemptBudget::Address => Budget::bucket(100, TimeDelta::seconds(6), AfterSuccess::GiveBack),
        AttemptBudget::Registrations => Budget::bucket(100, TimeDelta::seconds(30), AfterSuccess::Keep),
    }
}

impl Budget {
    /// The `first`th failure in a row is the first that one waits after.
    fn growing(first: u32) -> Self {
        let wait = |failures: u32| {
            let doublings = failures.checked_sub(first).map(|more| 1_i32 << more.min(16));
            doublings.map_or(TimeDelta::zero(), |factor| (FIRST_WAIT * factor).min(LONGEST_WAIT))
        };
        let mut steps = [TimeDelta::zero(); STEPS];
        (1..).zip(&mut steps).for_each(|(failures, step)| *step = wait(failures));
        Self { steps, burst: TimeDelta::zero(), memory: GROWING_MEMORY, after_success: AfterSuccess::Forget }
    }

    /// `capacity` attempts at once, and another one after each `span`.
    fn bucket(capacity: u32, span: TimeDelta, after_success: AfterSuccess) -> Self {
        let behind = i32::try_from(capacity.saturating_sub(1)).unwrap_or(i32::MAX);
        Self { steps: [span; STEPS], burst: span * behind, memory: BUCKET_MEMORY, after_success }
    }

    /// By how much each failure in a row moves the opening, from the first one on.
    pub(crate) fn steps(&self) -> &[TimeDelta; STEPS] {
        &self.steps
    }
}

impl Throttle {
    /// Counts under another secret have other names: whoever changes the secret starts them afresh.
    pub(crate) fn new(secret: &ServerSecret, ceiling: u32) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &*secret.derive("attempts", 0)), ceiling }
    }

    /// What a login adds to: the count of its device, if that is known, or else those that strangers share. So nobody
    /// without the device can use up what the device has.
    ///
    /// With a new password the counts of an account begin anew: what was guessed at is gone. Nothing else does that, so that
    /// strangers get no new attempts when the owner ends sessions. An account that does not exist has a name and the first
    /// version of a password.
    ///
    /// From the narrow to the wide: that is the order in which they are locked.
    pub(crate) fn login(
        &self,
        (account, password_version): (&str, i32),
        network: Option<Network>,
        known_device: Option<Uuid>,
    ) -> Vec<Counter> {
        if let Some(device) = known_device {
            return vec![self.counter(AttemptBudget::Device, &[device.as_bytes()])];
        }
        let (account, version) = (account.as_bytes(), &password_version.to_be_bytes());
        let at = network.as_ref().map_or(&[][..], Network::bytes);
        let mut counters = vec![self.counter(AttemptBudget::AccountAndAddress, &[account, version, at])];
        counters.extend(
            network.map(|network| {
                self.counter(AttemptBudget::AccountAndSite, &[account, version, network.site()])
            }),
        );
        counters.push(self.counter(AttemptBudget::Account, &[account, version]));
        counters.extend(self.network(AttemptBudget::Address, network));
        counters
    }

    /// What a registration adds to.
    pub(crate) fn registration(&self, network: Option<Network>) -> Vec<Counter> {
        self.network(AttemptBudget::Registrations, network).into_iter().collect()
    }

    /// What a change of the password adds to.
    pub(crate) fn password_change(&self, user: UserId, network: Option<Network>) -> Vec<Counter> {
        let own = self.counter(AttemptBudget::PasswordChange, &[user.as_uuid().as_bytes()]);
        std::iter::once(own).chain(self.network(AttemptBudget::Address, network)).collect()
    }

    /// The count of a network. There is none where addresses are not known: everybody would share it.
    fn network(&self, kind: AttemptBudget, network: Option<Network>) -> Option<Counter> {
        network.map(|network| self.counter(kind, &[network.bytes()]))
    }

    fn counter(&self, kind: AttemptBudget, of: &[&[u8]]) -> Counter {
        let mut name = hmac::Context::with_key(&self.key);
        for part in std::iter::once(kind.as_str().as_bytes()).chain(of.iter().copied()) {
            // With its length before it no part can pass for the end of another.
            name.update(&(part.len() as u64).to_be_bytes());
            name.update(part);
        }
        let mut key = AttemptKey([0; 16]);
        let length = key.0.len();
        key.0.copy_from_slice(&name.sign().as_ref()[..length]);
        Counter { key, kind, budget: budget(kind, self.ceiling) }
    }
}

impl Network {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }

    /// Of what somebody has many addresses who has one: the /24 of an IPv4 address, the /48 of an IPv6 address.
    fn site(&self) -> &[u8] {
        match self {
            Self::V4(address) => &address[..3],
            Self::V6(prefix) => &prefix[..6],
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(address) => address,
            Self::V6(prefix) => prefix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: u32 = 100;

    fn throttle(secret: &str) -> Throttle {
        Throttle::new(&ServerSecret::new(secret).unwrap(), CEILING)
    }

    fn waits(kind: AttemptBudget) -> Vec<i64> {
        budget(kind, CEILING).steps().iter().map(TimeDelta::num_seconds).collect()
    }

    /// How many attempts are admitted in the same moment, by the rule that the statement follows.
    fn at_once(kind: AttemptBudget) -> u32 {
        let budget = budget(kind, CEILING);
        let mut opening = -budget.burst;
        let mut steps = budget.steps().iter().chain(std::iter::repeat(&budget.steps()[STEPS - 1]));
        (0..)
            .find(|_| {
                let shut = opening > TimeDelta::zero();
                opening += *steps.next().unwrap();
                shut
            })
            .unwrap()
    }

    #[test]
    fn the_table() {
        let growing = [0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 900, 900, 900, 900, 900, 900];
        let later = [0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 900];
        for (kind, steps, admitted, after_success) in [
            (AttemptBudget::Device, later, 10, AfterSuccess::Forget),
            (AttemptBudget::AccountAndAddress, growing, 5, AfterSuccess::Forget),
            (AttemptBudget::PasswordChange, growing, 5, AfterSuccess::Forget),
            (AttemptBudget::AccountAndSite, [6 * 60 * 60; STEPS], 25, AfterSuccess::Forget),
            (AttemptBudget::Account, [60 * 60; STEPS], 100, AfterSuccess::Forget),
            (AttemptBudget::Address, [6; STEPS], 100, AfterSuccess::GiveBack),
            (AttemptBudget::Registrations, [30; STEPS], 100, AfterSuccess::Keep),
        ] {
            assert_eq!(waits(kind), steps, "{kind:?}");
            assert_eq!(at_once(kind), admitted, "{kind:?}");
            assert_eq!(budget(kind, CEILING).after_success, after_success, "{kind:?}");
        }
    }

    #[test]
    fn no_wait_is_longer_than_six_hours() {
        for kind in [
            AttemptBudget::Device,
            AttemptBudget::AccountAndAddress,
            AttemptBudget::PasswordChange,
            AttemptBudget::AccountAndSite,
            AttemptBudget::Account,
            AttemptBudget::Address,
            AttemptBudget::Registrations,
        ] {
            assert!(waits(kind).iter().all(|wait| *wait <= 6 * 60 * 60), "{kind:?}");
        }
    }

    #[test]
    fn the_last_step_is_the_longest() {
        for kind in [AttemptBudget::Device, AttemptBudget::AccountAndAddress, AttemptBudget::PasswordChange] {
            let steps = waits(kind);
            assert_eq!(
                (steps.last(), steps.is_sorted()),
                (Some(&LONGEST_WAIT.num_seconds()), true),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_a_64() {
        let network = |address: &str| Network::of(address.parse().unwrap());
        for (one, other, same) in [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            assert_eq!(network(one) == network(other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_site_is_the_24_of_an_ipv4_address_or_a_48() {
        let site = |address: &str| Network::of(address.parse().unwrap()).site().to_vec();
        for (one, other, same) in [
            ("192.0.2.7", "192.0.2.255", true),
            ("192.0.2.7", "192.0.3.7", false),
            ("2001:db8:1:2::1", "2001:db8:1:ffff::1", true),
            ("2001:db8:1:2::1", "2001:db8:2:2::1", false),
        ] {
            assert_eq!(site(one) == site(other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_known_device_shares_no_count_with_strangers() {
        let throttle = throttle("Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA");
        let network = Some(Network::V4([192, 0, 2, 7]));
        let strangers = throttle.login(("alice@example.com", 0), network, None);
        let known = throttle.login(("alice@example.com", 0), network, Some(Uuid::from_u128(7)));
        assert_eq!(
            strangers.iter().map(|counter| counter.kind).collect::<Vec<_>>(),
            [
                AttemptBudget::AccountAndAddress,
                AttemptBudget::AccountAndSite,
                AttemptBudget::Account,
                AttemptBudget::Address
            ]
        );
        assert_eq!(known.iter().map(|counter| counter.kind).collect::<Vec<_>>(), [AttemptBudget::Device]);
    }

    #[test]
    fn counts_differ_by_secret_kind_and_every_part() {
        let (one, other) =
            (throttle("Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA"), throttle("9mZ2vQ4tXb7LwKc1RyHn6GsJ0pDfAeUo"));
        let name = |throttle: &Throttle, kind, parts: &[&[u8]]| throttle.counter(kind, parts).key.0;
        let key = name(&one, AttemptBudget::Account, &[b"ab", b"c"]);
        assert_eq!(key, name(&one, AttemptBudget::Account, &[b"ab", b"c"]));
        assert_ne!(key, name(&other, AttemptBudget::Account, &[b"ab", b"c"]));
        assert_ne!(key, name(&one, AttemptBudget::Address, &[b"ab", b"c"]));
        assert_ne!(key, name(&one, AttemptBudget::Account, &[b"a", b"bc"]));
        assert_ne!(key, name(&one, AttemptBudget::Account, &[b"abc"]));
    }
}
