//! Passwords: their normal form, which new ones are accepted ([`policy`]), and how they are hashed ([`hash`]).

mod argon2id;
pub(crate) mod hash;
mod memory;
pub(crate) mod policy;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The longest password in bytes of its normal form. A longer one is refused, never cut.
pub(crate) const MAX_BYTES: usize = 1024;

/// A password in NFC (NIST SP 800-63B-4 §3.1.1.2, RFC 8265 §4.2), at most 1,024 bytes and without NUL: the only form that
/// is ever hashed or compared, so that two keyboards which compose `é` differently open the same account.
///
/// It is wiped from memory when dropped, and `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct NormalizedPassword(Zeroizing<String>);

/// What no password may have, new or old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Malformed {
    TooLong,
    Nul,
}

impl NormalizedPassword {
    /// The normal form of a password that is about to be checked against a stored hash. No policy applies: it may have
    /// been chosen under an older one. `None` means that no account can have it, which the caller treats as wrong.
    pub(crate) fn for_verification(password: &SecretString) -> Option<Self> {
        Self::normalize(password).ok()
    }

    fn normalize(password: &SecretString) -> Result<Self, Malformed> {
        let raw = password.expose_secret();
        // NFC makes no UTF-8 text more than three times as long (UAX #15), so the buffer never moves and leaves no copy.
        let mut normal = Zeroizing::new(String::with_capacity(3 * raw.len()));
        normal.extend(raw.nfc());
        if normal.len() > MAX_BYTES {
            return Err(Malformed::TooLong);
        }
        if normal.contains('\0') {
            return Err(Malformed::Nul);
        }
        Ok(Self(normal))
    }

    /// The text itself. Whoever calls this must not store, log or return it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NormalizedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NormalizedPassword([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(password: &str) -> Option<String> {
        NormalizedPassword::for_verification(&password.into()).map(|password| password.expose().to_owned())
    }

    #[test]
    fn composed_and_decomposed_are_one_password() {
        assert_eq!(normalized("caf\u{e9}").as_deref(), Some("caf\u{e9}"));
        assert_eq!(normalized("cafe\u{301}").as_deref(), Some("caf\u{e9}"));
    }

    #[test]
    fn compatibility_characters_case_and_spaces_are_kept() {
        for kept in ["\u{fb01}le", "\u{ff21}bc", " a  b ", "stra\u{df}e", "\u{1f511}\u{200d}"] {
            assert_eq!(normalized(kept).as_deref(), Some(kept));
        }
    }

    #[test]
    fn length_is_counted_after_normalisation_and_nothing_is_cut() {
        assert_eq!(normalized(&"a".repeat(1024)).map(|p| p.len()), Some(1024));
        assert_eq!(normalized(&"a".repeat(1025)), None);
        assert_eq!(normalized(&"e\u{301}".repeat(512)).map(|p| p.len()), Some(1024));
        assert_eq!(normalized(&"\u{1d160}".repeat(128)), None); // four bytes grow to twelve
        assert_eq!(normalized(""), Some(String::new()));
    }

    #[test]
    fn nul_is_refused() {
        assert_eq!(normalized("correct\0horse"), None);
    }

    #[test]
    fn the_buffer_never_moves() {
        for c in ['\u{1d160}', '\u{958}', '\u{fb2c}', '\u{1fed}', '\u{ac01}'] {
            let raw = c.to_string().repeat(50);
            assert!(raw.nfc().collect::<String>().len() <= 3 * raw.len(), "{c:?}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let password = NormalizedPassword::for_verification(&"open sesame".into()).unwrap();
        assert_eq!(format!("{password:?}"), "NormalizedPassword([REDACTED])");
    }
}
