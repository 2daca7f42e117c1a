//! The master secret of a deployment and the keys derived from it.

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The least number of bytes a master secret has (RFC 7518 §3.2: as many as the hash has).
pub(crate) const MIN_BYTES: usize = 32;

/// Secrets that stand in public documentation and that people paste.
const PUBLISHED: [&str; 8] = [
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "your-256-bit-secret-your-256-bit-secret",
    "this-is-a-secret-key-please-change-it",
    "changeme-changeme-changeme-changeme",
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "replace-me-with-at-least-32-random-bytes",
    "insecure-secret-for-development-only",
];

/// The master secret (`AUTHFLOW_SECRET`): at least 32 bytes that nobody else knows. Every server key is derived from it
/// by HKDF-SHA-256 (RFC 5869), each under a label of its own.
///
/// ```
/// use actix_authflow::ServerSecret;
///
/// assert!(ServerSecret::new("too short").is_err());
/// ```
#[derive(Clone)]
pub struct ServerSecret(SecretString);

/// Why a master secret is refused. Never contains the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Fewer than 32 bytes.
    #[error("has {0} bytes; at least {MIN_BYTES} are needed")]
    TooShort(usize),
    /// One short piece over and over, or only a handful of different bytes.
    #[error("repeats itself; draw it at random")]
    Repetitive,
    /// A sample that stands in public documentation.
    #[error("is a published sample; draw one of your own at random")]
    Published,
}

impl ServerSecret {
    /// Takes a secret after looking for the mistakes people make.
    ///
    /// # Errors
    ///
    /// [`WeakSecret`] if it is shorter than 32 bytes, repetitive or a published sample.
    pub fn new(secret: impl Into<String>) -> Result<Self, WeakSecret> {
        let secret = SecretString::from(secret.into());
        let bytes = secret.expose_secret().as_bytes();
        if bytes.len() < MIN_BYTES {
            return Err(WeakSecret::TooShort(bytes.len()));
        }
        if PUBLISHED.contains(&secret.expose_secret()) {
            return Err(WeakSecret::Published);
        }
        if is_repetitive(bytes) {
            return Err(WeakSecret::Repetitive);
        }
        Ok(Self(secret))
    }

    /// 32 bytes that only this secret and this `label` give. `counter` serves derivations that may have to try again.
    pub(crate) fn derive(&self, label: &str, counter: u8) -> Zeroizing<[u8; 32]> {
        hkdf_sha256(b"actix-authflow", self.0.expose_secret().as_bytes(), &[label.as_bytes(), &[counter]])
    }
}

impl std::fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerSecret([REDACTED])")
    }
}

/// HKDF-SHA-256 (RFC 5869) with 32 bytes of output, that is with a single block: extract, then `HMAC(PRK, info ‖ 1)`.
///
/// Written out because this length cannot fail, while a general `expand` returns a `Result` that nobody could handle.
pub(crate) fn hkdf_sha256(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), secret);
    let mut block = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()));
    info.iter().for_each(|part| block.update(part));
    block.update(&[1]);
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(block.sign().as_ref());
    out
}

fn is_repetitive(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    bytes.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    let distinct = seen.iter().filter(|&&seen| seen).count();
    let has_short_period = (1..MIN_BYTES / 2).any(|period| bytes[period..] == bytes[..bytes.len() - period]);
    distinct < 8 || has_short_period
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA";

    #[test]
    fn weak_secrets_are_refused() {
        assert_eq!(ServerSecret::new("short").unwrap_err(), WeakSecret::TooShort(5));
        assert_eq!(ServerSecret::new("a".repeat(64)).unwrap_err(), WeakSecret::Repetitive);
        assert_eq!(ServerSecret::new("secret12".repeat(8)).unwrap_err(), WeakSecret::Repetitive);
        assert_eq!(
            ServerSecret::new("abcabcabbaabccbaabcabcabcabcabcaabcabc").unwrap_err(),
            WeakSecret::Repetitive
        );
        assert_eq!(ServerSecret::new(PUBLISHED[0]).unwrap_err(), WeakSecret::Published);
        assert!(ServerSecret::new(GOOD).is_ok());
    }

    #[test]
    fn labels_counters_and_secrets_all_separate_keys() {
        let secret = ServerSecret::new(GOOD).unwrap();
        let other = ServerSecret::new(GOOD.replace('F', "G")).unwrap();
        let key = secret.derive("a", 0);
        assert_eq!(key, secret.derive("a", 0));
        assert_ne!(key, secret.derive("b", 0));
        assert_ne!(key, secret.derive("a", 1));
        assert_ne!(key, other.derive("a", 0));
        assert_ne!(*key, [0; 32]);
    }

    #[test]
    fn hkdf_is_that_of_the_rfc() {
        use aws_lc_rs::hkdf;
        let mut expected = [0; 32];
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"salt")
            .extract(b"secret")
            .expand(&[b"in", b"fo"], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut expected))
            .unwrap();
        assert_eq!(*hkdf_sha256(b"salt", b"secret", &[b"in", b"fo"]), expected);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", ServerSecret::new(GOOD).unwrap()), "ServerSecret([REDACTED])");
    }
}
