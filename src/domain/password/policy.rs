//! Which new passwords are accepted: length and a blocklist, no rules of composition (NIST SP 800-63B-4 §3.1.1.2).

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use secrecy::SecretString;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{MAX_BYTES, Malformed, NormalizedPassword};

/// The least minimum is that of OWASP ASVS 5.0 §6.2.1; a minimum over 64 would forbid passwords that §6.2.9 has to allow.
const MIN_LENGTHS: RangeInclusive<usize> = 8..=64;
/// A context word with fewer letters than this is part of too many good passwords.
const MIN_CONTEXT_LETTERS: usize = 4;

/// Common passwords of at least eight characters in lower case, in byte order. Its licence stands beside the file.
static COMMON: LazyLock<Vec<&str>> = LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

type ExtraCheck = dyn Fn(&str) -> bool + Send + Sync;

/// What a new password has to be. Passwords that are already stored are never checked against it.
///
/// Besides the length, the whole password must be neither a common one nor what an attacker would try first for this
/// account: the e-mail address, its local part or the client id, perhaps with digits and punctuation around. At most 1,024
/// bytes are taken; nothing is ever cut off.
///
/// ```
/// use actix_authflow::PasswordPolicy;
///
/// let policy = PasswordPolicy::default().min_length(12)?.reject_if(|password| password.contains("acme"));
/// # Ok::<(), actix_authflow::InvalidMinLength>(())
/// ```
#[derive(Clone)]
pub struct PasswordPolicy {
    min_length: usize,
    reject_if: Option<Arc<ExtraCheck>>,
}

/// Why a new password is refused. Never contains the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WeakPassword {
    /// Fewer Unicode code points than the policy asks for.
    #[error("the password needs at least {min} characters")]
    TooShort {
        /// The policy's minimum in code points.
        min: usize,
    },
    /// More than 1,024 bytes in NFC.
    #[error("the password is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Contains U+0000.
    #[error("the password contains a NUL character")]
    Nul,
    /// On the list of common passwords.
    #[error("the password is one of the most common ones")]
    Common,
    /// The e-mail address or the name of the application, perhaps with digits or punctuation around it.
    #[error("the password is too close to the e-mail address or to the name of this application")]
    Context,
    /// The host's own check refused it.
    #[error("the password is known from a data breach or not allowed here")]
    Rejected,
}

/// A minimum length that no policy can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a minimum password length of {0} is out of range: use 8 to 64")]
pub struct InvalidMinLength(usize);

impl Default for PasswordPolicy {
    /// At least 8 code points (OWASP ASVS 5.0 §6.2.1).
    fn default() -> Self {
        Self { min_length: 8, reject_if: None }
    }
}

impl PasswordPolicy {
    /// At least 15 code points: NIST SP 800-63B-4 §3.1.1.2 for a password that is the only factor.
    pub fn nist_single_factor() -> Self {
        Self { min_length: 15, ..Self::default() }
    }

    /// The least number of Unicode code points after normalisation. Defaults to 8.
    ///
    /// # Errors
    ///
    /// [`InvalidMinLength`] outside 8 to 64: fewer is a weakness, and passwords of 64 must be allowed.
    pub fn min_length(mut self, code_points: usize) -> Result<Self, InvalidMinLength> {
        if !MIN_LENGTHS.contains(&code_points) {
            return Err(InvalidMinLength(code_points));
        }
        self.min_length = code_points;
        Ok(self)
    }

    /// One more check, of passwords that passed all others: `true` refuses. Meant for lists of breached passwords.
    /// Defaults to none.
    ///
    /// It sees the password in NFC, runs on the blocking pool, and must not keep or log what it is given.
    pub fn reject_if(mut self, check: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.reject_if = Some(Arc::new(check));
        self
    }

    /// Takes a new password. `context` is what an attacker would try first for this account: the e-mail address, its
    /// local part, the name of the application.
    ///
    /// Case never matters for the blocklist. Of a context word, digits and punctuation at either end do not matter
    /// either, so for `alice@example.com` neither `Alice-2024!` nor `alice@example.com1` is accepted; a longer phrase with
    /// the word in it is. Context words of fewer than four letters are compared as a whole only.
    ///
    /// # Errors
    ///
    /// [`WeakPassword`] names the first rule that is broken.
    pub(crate) fn accept(
        &self,
        password: &SecretString,
        context: &[&str],
    ) -> Result<NormalizedPassword, WeakPassword> {
        let password = NormalizedPassword::normalize(password)?;
        if password.expose().chars().count() < self.min_length {
            return Err(WeakPassword::TooShort { min: self.min_length });
        }
        let folded = fold(password.expose());
        if COMMON.binary_search(&folded.as_str()).is_ok() {
            return Err(WeakPassword::Common);
        }
        if context.iter().any(|word| is_close_to(&folded, &fold(word))) {
            return Err(WeakPassword::Context);
        }
        match &self.reject_if {
            Some(rejects) if rejects(password.expose()) => Err(WeakPassword::Rejected),
            _ => Ok(password),
        }
    }
}

impl fmt::Debug for PasswordPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordPolicy")
            .field("min_length", &self.min_length)
            .field("reject_if", &self.reject_if.is_some())
            .finish()
    }
}

impl WeakPassword {
    /// The reason as a sentence for the client.
    pub(crate) fn detail(&self) -> String {
        self.to_string()
    }
}

impl From<Malformed> for WeakPassword {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::TooLong => Self::TooLong,
            Malformed::Nul => Self::Nul,
        }
    }
}

/// The form that the blocklist compares: NFC in lower case.
fn fold(text: &str) -> Zeroizing<String> {
    let normal = Zeroizing::new(text.nfc().collect::<String>());
    Zeroizing::new(normal.to_lowercase())
}

/// Whether the folded password is the folded word, or is nothing but it between digits and punctuation.
fn is_close_to(password: &str, word: &str) -> bool {
    let core = letters_core(word);
    password == word || (core.chars().count() >= MIN_CONTEXT_LETTERS && letters_core(password) == core)
}

/// The text without the digits, punctuation and spaces at its ends.
fn letters_core(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &PasswordPolicy, password: &str) -> Result<(), WeakPassword> {
        let context = ["alice.smith@example.com", "alice.smith", "Authflow", "bob", "2024"];
        policy.accept(&password.into(), &context).map(|accepted| {
            let expected: String = password.nfc().collect();
            assert_eq!(accepted.expose(), expected, "an accepted password is never altered further");
        })
    }

    #[test]
    fn the_list_is_sorted_and_of_permitted_length() {
        assert!(COMMON.len() >= 3000);
        assert!(COMMON.is_sorted_by(|a, b| a < b));
        for entry in COMMON.iter() {
            assert!(entry.chars().count() >= 8, "{entry}");
            assert_eq!(*fold(entry), *entry, "an entry that is not folded is never found");
        }
    }

    #[test]
    fn length_is_in_code_points_of_the_normal_form() {
        let policy = PasswordPolicy::default();
        assert_eq!(check(&policy, "xq7-vwp"), Err(WeakPassword::TooShort { min: 8 }));
        assert_eq!(check(&policy, "xq7-vwpz"), Ok(()));
        assert_eq!(
            check(&policy, "\u{1f511}\u{1f512}\u{1f513}\u{1f514}\u{1f515}\u{1f516}\u{1f517}"),
            Err(WeakPassword::TooShort { min: 8 })
        );
        assert_eq!(
            check(&policy, "\u{1f511}\u{1f512}\u{1f513}\u{1f514}\u{1f515}\u{1f516}\u{1f517}\u{1f518}"),
            Ok(())
        );
        // Eight code points as typed, seven once composed.
        assert_eq!(check(&policy, "xq7-vwe\u{301}"), Err(WeakPassword::TooShort { min: 8 }));
        assert_eq!(check(&policy, &"z9".repeat(512)), Ok(()));
        assert_eq!(check(&policy, &"z9".repeat(513)), Err(WeakPassword::TooLong));
        assert_eq!(check(&policy, "xq7-vwpz\0"), Err(WeakPassword::Nul));
    }

    #[test]
    fn there_are_no_rules_of_composition() {
        for password in
            ["only lower case words", "   spaces count too  ", "82649173056284917", "пароль из слов"]
        {
            assert_eq!(check(&PasswordPolicy::default(), password), Ok(()), "{password}");
        }
    }

    #[test]
    fn the_named_policy_asks_for_fifteen() {
        let policy = PasswordPolicy::nist_single_factor();
        assert_eq!(check(&policy, "fourteen chars"), Err(WeakPassword::TooShort { min: 15 }));
        assert_eq!(check(&policy, "fifteen chars !"), Ok(()));
    }

    #[test]
    fn a_minimum_length_is_bounded() {
        let set = |length| PasswordPolicy::default().min_length(length).map(|policy| policy.min_length);
        assert_eq!(set(7), Err(InvalidMinLength(7)));
        assert_eq!(set(8), Ok(8));
        assert_eq!(set(64), Ok(64));
        assert_eq!(set(65), Err(InvalidMinLength(65)));
    }

    #[test]
    fn common_passwords_are_refused_whole_and_in_any_case() {
        let policy = PasswordPolicy::default();
        for password in ["password", "PassWord", "12345678", "1Q2W3E4R", "password1", "ILOVEYOU!"] {
            assert_eq!(check(&policy, password), Err(WeakPassword::Common), "{password}");
        }
        assert_eq!(check(&policy, "password of a whole sentence"), Ok(()));
    }

    #[test]
    fn context_words_are_refused_even_with_digits_and_punctuation_around() {
        let policy = PasswordPolicy::default();
        for password in [
            "alice.smith",
            "ALICE.SMITH",
            "Alice.Smith2024!",
            "!!alice.smith",
            "alice.smith@example.com",
            "alice.smith@EXAMPLE.com1",
            "authflow",
            "Authflow#1",
        ] {
            assert_eq!(check(&policy, password), Err(WeakPassword::Context), "{password}");
        }
        for password in
            ["alice.smith loves tea", "my authflow phrase", "bob-92746153", "2024-7391-5526", "alicesmith!"]
        {
            assert_eq!(check(&policy, password), Ok(()), "{password}");
        }
        assert_eq!(
            policy.accept(&"42-42-42".into(), &["", "!!", "42-42-42"]).unwrap_err(),
            WeakPassword::Context
        );
        assert!(policy.accept(&"42-42-43".into(), &["", "!!", "42-42-42"]).is_ok());
    }

    #[test]
    fn the_hosts_own_check_comes_last_and_sees_the_normal_form() {
        let policy = PasswordPolicy::default()
            .reject_if(|password| password == "cafe\u{301} au lait".nfc().collect::<String>());
        assert_eq!(check(&policy, "cafe\u{301} au lait"), Err(WeakPassword::Rejected));
        assert_eq!(check(&policy, "tea without milk"), Ok(()));
        let policy = PasswordPolicy::default().reject_if(|_| true);
        assert_eq!(check(&policy, "short"), Err(WeakPassword::TooShort { min: 8 }));
    }

    #[test]
    fn details_and_debug_never_hold_the_password() {
        let policy = PasswordPolicy::default().reject_if(|_| true);
        for password in ["pa55w0rd", "alice.smith1", "baseball", "a-fine-pass-phrase"] {
            let error = check(&policy, password).unwrap_err();
            assert!(!error.detail().contains(password) && !format!("{error:?}").contains(password));
        }
        assert_eq!(format!("{policy:?}"), "PasswordPolicy { min_length: 8, reject_if: true }");
    }
}
