//! The credential by which a device is known again that has logged in to an account before.
//!
//! It authenticates nobody. It only gives the logins of this device a budget of their own, so that strangers who guess at
//! the account cannot use it up (OWASP "Device Cookies").
//!
//! A token is `version(1) ‖ user id(16) ‖ version of the password(4) ‖ device id(16) ‖ end(8) ‖ tag(16)`, in base64url behind
//! `dt_`. With a new password devices are unknown again; whatever ends sessions leaves them known.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::ids::UserId;
use crate::domain::secret::ServerSecret;
use crate::domain::user::Credentials;

/// How long a device is known after its last login.
pub(crate) const DEVICE_LIFE: TimeDelta = TimeDelta::days(180);

const PREFIX: &str = "dt_";
const VERSION: u8 = 1;
const USER: std::ops::Range<usize> = 1..17;
const PASSWORD: std::ops::Range<usize> = 17..21;
const DEVICE: std::ops::Range<usize> = 21..37;
const END: std::ops::Range<usize> = 37..45;
const TAG: std::ops::Range<usize> = 45..61;
const LENGTH: usize = 61;

/// What a genuine token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PresentedDevice {
    user: UserId,
    password_version: i32,
    id: Uuid,
    /// Seconds since the Unix epoch.
    ends_at: i64,
}

/// A token as the client keeps it.
pub(crate) struct DeviceToken(Zeroizing<String>);

/// What makes and recognises tokens: the keys of the current master secret, and of a second accepted one.
pub(crate) struct DeviceKeys {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

impl DeviceKeys {
    pub(crate) fn new(current: &ServerSecret, previous: Option<&ServerSecret>) -> Self {
        let key =
            |secret: &ServerSecret| hmac::Key::new(hmac::HMAC_SHA256, &*secret.derive("device token tag", 0));
        Self { current: key(current), previous: previous.map(key) }
    }

    /// A token for a device that has just logged in. Each gets an identifier of its own, so that a copy of an older token
    /// does not share its budget.
    pub(crate) fn issue(&self, user: UserId, password_version: i32, now: DateTime<Utc>) -> DeviceToken {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        bytes[0] = VERSION;
        bytes[USER].copy_from_slice(user.as_uuid().as_bytes());
        bytes[PASSWORD].copy_from_slice(&password_version.to_be_bytes());
        bytes[DEVICE].copy_from_slice(Uuid::new_v4().as_bytes());
        bytes[END].copy_from_slice(&(now + DEVICE_LIFE).timestamp().to_be_bytes());
        let tag = hmac::sign(&self.current, &bytes[..TAG.start]);
        bytes[TAG].copy_from_slice(&tag.as_ref()[..TAG.len()]);
        DeviceToken(Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*bytes))))
    }

    /// Reads a token and verifies its tag. `None` for rubbish and forgeries, which are not told apart.
    pub(crate) fn parse(&self, text: &[u8]) -> Option<PresentedDevice> {
        let encoded = text.strip_prefix(PREFIX.as_bytes())?;
        let mut bytes = Zeroizing::new([0; LENGTH]);
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut *bytes).ok()?;
        let mut keys = std::iter::once(&self.current).chain(&self.previous);
        let genuine = length == LENGTH && bytes[0] == VERSION && keys.any(|key| is_tagged(key, &bytes));
        genuine.then(|| PresentedDevice {
            user: UserId(Uuid::from_bytes(array(&bytes[USER]))),
            password_version: i32::from_be_bytes(array(&bytes[PASSWORD])),
            id: Uuid::from_bytes(array(&bytes[DEVICE])),
            ends_at: i64::from_be_bytes(array(&bytes[END])),
        })
    }
}

impl PresentedDevice {
    /// The device, if this account knows it and `now` is before the token's end.
    pub(crate) fn known_to(&self, account: &Credentials, now: DateTime<Utc>) -> Option<Uuid> {
        let known = self.user == account.user
            && self.password_version == account.password_version
            && now.timestamp() < self.ends_at;
        known.then_some(self.id)
    }
}

impl DeviceToken {
    /// The token as the client keeps it: goes into an answer and nowhere else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceToken([REDACTED])")
    }
}

fn is_tagged(key: &hmac::Key, bytes: &[u8; LENGTH]) -> bool {
    let tag = hmac::sign(key, &bytes[..TAG.start]);
    constant_time::verify_slices_are_equal(&tag.as_ref()[..TAG.len()], &bytes[TAG]).is_ok()
}

/// A field of a token, whose range has this length.
fn array<const N: usize>(field: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(field);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA";
    const OTHER: &str = "9mZ2vQ4tXb7LwKc1RyHn6GsJ0pDfAeUo";

    fn keys(current: &str, previous: Option<&str>) -> DeviceKeys {
        let secret = |text: &str| ServerSecret::new(text).unwrap();
        DeviceKeys::new(&secret(current), previous.map(secret).as_ref())
    }

    fn account(user: UserId, password_version: i32) -> Credentials {
        Credentials { user, password_hash: None, version: 0, password_version }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_461_840, 0).unwrap()
    }

    #[test]
    fn a_device_is_known_to_its_account_until_the_password_changes_or_its_time_is_over() {
        let (keys, alice, bob) = (keys(SECRET, None), UserId::new(), UserId::new());
        let token = keys.issue(alice, 3, now());
        let device = keys.parse(token.expose().as_bytes()).unwrap();
        let second = TimeDelta::seconds(1);
        for (account, at, known) in [
            (account(alice, 3), now(), true),
            (account(alice, 3), now() + DEVICE_LIFE - second, true),
            (account(alice, 3), now() + DEVICE_LIFE, false),
            (account(alice, 4), now(), false),
            (account(alice, 2), now(), false),
            (account(bob, 3), now(), false),
        ] {
            assert_eq!(device.known_to(&account, at).is_some(), known, "{:?} {at}", account.password_version);
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_is_a_forgery() {
        let keys = keys(SECRET, None);
        let token = keys.issue(UserId::new(), 0, now());
        let bytes = URL_SAFE_NO_PAD.decode(&token.expose()[PREFIX.len()..]).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(forged));
            assert_eq!(keys.parse(text.as_bytes()), None, "bit {bit}");
        }
    }

    #[test]
    fn rubbish_is_no_token() {
        let keys = keys(SECRET, None);
        let token = keys.issue(UserId::new(), 0, now());
        let genuine = token.expose();
        for text in
            ["", "dt_", &genuine[1..], &genuine[..genuine.len() - 1], &format!("{genuine}A"), "dt_\u{e9}"]
        {
            assert_eq!(keys.parse(text.as_bytes()), None, "{text:?}");
        }
        assert!(keys.parse(genuine.as_bytes()).is_some());
    }

    #[test]
    fn the_previous_secret_is_accepted_and_no_other() {
        let token = keys(OTHER, None).issue(UserId::new(), 0, now());
        let parse = |keys: DeviceKeys| keys.parse(token.expose().as_bytes());
        assert!(parse(keys(SECRET, Some(OTHER))).is_some());
        assert!(parse(keys(SECRET, None)).is_none());
    }

    #[test]
    fn every_login_makes_another_device() {
        let (keys, alice) = (keys(SECRET, None), UserId::new());
        assert_ne!(keys.issue(alice, 0, now()).expose(), keys.issue(alice, 0, now()).expose());
    }

    #[test]
    fn debug_shows_nothing() {
        let token = keys(SECRET, None).issue(UserId::new(), 0, now());
        assert_eq!(format!("{token:?}"), "DeviceToken([REDACTED])");
    }
}
