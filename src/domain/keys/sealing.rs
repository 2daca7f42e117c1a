//! Private keys as they lie in the database: sealed, so that a dump of it signs nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::{KeyError, SigningAlgorithm};
use crate::domain::secret::ServerSecret;

/// The first byte, for the day there is another form.
const VERSION: u8 = 1;
const LABEL: &str = "signing key seal";

/// Seals under the current master secret; opens what was sealed under it or under the previous one.
///
/// The form is `version(1) ‖ nonce(12) ‖ ciphertext ‖ tag(16)`, AES-256-GCM with a random nonce. Key id and algorithm are
/// associated data: a sealed key moved to another row does not open.
pub(crate) struct KeySeal {
    current: RandomizedNonceKey,
    previous: Option<RandomizedNonceKey>,
}

/// An opened private key.
pub(crate) struct Opened {
    pub(crate) private: Zeroizing<Vec<u8>>,
    /// Whether it should be sealed anew, because the previous master secret will be dropped one day.
    pub(crate) under_previous: bool,
}

impl KeySeal {
    pub(crate) fn new(current: &ServerSecret, previous: Option<&ServerSecret>) -> Result<Self, KeyError> {
        Ok(Self { current: key(current)?, previous: previous.map(key).transpose()? })
    }

    pub(crate) fn seal(
        &self,
        kid: &str,
        algorithm: SigningAlgorithm,
        private: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let mut text = private.to_vec();
        let nonce = self
            .current
            .seal_in_place_append_tag(associated(kid, algorithm), &mut text)
            .map_err(|_| KeyError::Unsealable)?;
        Ok([&[VERSION], nonce.as_ref().as_slice(), &text].concat())
    }

    /// `None` if it was sealed under neither secret, or has been tampered with: the two cannot be told apart.
    pub(crate) fn open(&self, kid: &str, algorithm: SigningAlgorithm, sealed: &[u8]) -> Option<Opened> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN)?;
        if *version != VERSION {
            return None;
        }
        let keys = [(Some(&self.current), false), (self.previous.as_ref(), true)];
        keys.into_iter().find_map(|(key, under_previous)| {
            let mut text = Zeroizing::new(text.to_vec());
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let private = key?.open_in_place(nonce, associated(kid, algorithm), &mut text).ok()?;
            Some(Opened { private: Zeroizing::new(private.to_vec()), under_previous })
        })
    }
}

fn key(secret: &ServerSecret) -> Result<RandomizedNonceKey, KeyError> {
    RandomizedNonceKey::new(&AES_256_GCM, &*secret.derive(LABEL, 0)).map_err(|_| KeyError::Unsealable)
}

fn associated(kid: &str, algorithm: SigningAlgorithm) -> Aad<String> {
    Aad::from(format!("{}.{kid}", algorithm.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDDSA: SigningAlgorithm = SigningAlgorithm::EdDsa;

    fn secret(last: char) -> ServerSecret {
        ServerSecret::new(format!("Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OT{last}")).unwrap()
    }

    #[test]
    fn a_sealed_key_opens_under_its_secret_only() {
        let (one, two) = (secret('1'), secret('2'));
        let sealed = KeySeal::new(&one, None).unwrap().seal("kid", EDDSA, &[7; 32]).unwrap();
        let opened = KeySeal::new(&one, None).unwrap().open("kid", EDDSA, &sealed).unwrap();
        assert_eq!((&opened.private[..], opened.under_previous), (&[7; 32][..], false));
        let opened = KeySeal::new(&two, Some(&one)).unwrap().open("kid", EDDSA, &sealed).unwrap();
        assert_eq!((&opened.private[..], opened.under_previous), (&[7; 32][..], true));
        assert!(KeySeal::new(&two, None).unwrap().open("kid", EDDSA, &sealed).is_none());
    }

    #[test]
    fn a_sealed_key_shows_nothing_and_never_looks_the_same_twice() {
        let seal = KeySeal::new(&secret('1'), None).unwrap();
        let sealed = [(); 2].map(|()| seal.seal("kid", EDDSA, &[7; 32]).unwrap());
        assert_ne!(sealed[0], sealed[1]);
        assert_eq!(sealed[0].len(), 1 + 12 + 32 + 16);
        assert!(!sealed[0].windows(4).any(|window| window == [7; 4]));
    }

    #[test]
    fn a_sealed_key_that_was_moved_or_changed_does_not_open() {
        let seal = KeySeal::new(&secret('1'), None).unwrap();
        let sealed = seal.seal("kid", EDDSA, &[7; 32]).unwrap();
        assert!(seal.open("other", EDDSA, &sealed).is_none());
        assert!(seal.open("kid", SigningAlgorithm::Es256, &sealed).is_none());
        for byte in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[byte] ^= 1;
            assert!(seal.open("kid", EDDSA, &changed).is_none(), "byte {byte}");
            assert!(seal.open("kid", EDDSA, &sealed[..byte]).is_none(), "{byte} bytes");
        }
    }
}
