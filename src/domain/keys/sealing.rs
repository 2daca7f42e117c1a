//! Keys as they lie in the database. The private part is sealed, so that a dump of it signs nothing; the public part has a
//! tag, so that whoever can write there and has no server key plants none.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::{KeyError, SigningAlgorithm};
use crate::domain::secret::ServerSecret;

/// The first byte, for the day there is another form.
const VERSION: u8 = 1;
const SEAL: &str = "signing key seal";
const TAG: &str = "signing key tag";

/// Seals under the current master secret; opens what was sealed under it or under the previous one.
///
/// The form is `version(1) ‖ nonce(12) ‖ ciphertext ‖ tag(16)`, AES-256-GCM with a random nonce. Key id and algorithm are
/// associated data: a sealed key moved to another row does not open.
pub(crate) struct KeySeal {
    current: Keys,
    previous: Option<Keys>,
}

/// The keys of one master secret.
struct Keys {
    seal: RandomizedNonceKey,
    tag: hmac::Key,
}

/// Under which master secret something was sealed or tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Under {
    Current,
    /// It should be sealed anew, because this secret will be dropped one day.
    Previous,
}

impl KeySeal {
    pub(crate) fn new(current: &ServerSecret, previous: Option<&ServerSecret>) -> Result<Self, KeyError> {
        Ok(Self { current: Keys::new(current)?, previous: previous.map(Keys::new).transpose()? })
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
            .seal
            .seal_in_place_append_tag(associated(kid, algorithm), &mut text)
            .map_err(|_| KeyError::Unsealable)?;
        Ok([&[VERSION], nonce.as_ref().as_slice(), &text].concat())
    }

    /// `None` if it was sealed under neither secret, or has been tampered with: the two cannot be told apart.
    pub(crate) fn open(
        &self,
        kid: &str,
        algorithm: SigningAlgorithm,
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN)?;
        if *version != VERSION {
            return None;
        }
        self.all().find_map(|(keys, _)| {
            let mut text = Zeroizing::new(text.to_vec());
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let private = keys.seal.open_in_place(nonce, associated(kid, algorithm), &mut text).ok()?;
            Some(Zeroizing::new(private.to_vec()))
        })
    }

    /// The tag of a public key, or of the mere name of one that has none.
    pub(crate) fn tag(&self, kid: &str, algorithm: SigningAlgorithm, public: Option<&str>) -> Vec<u8> {
        hmac::sign(&self.current.tag, &tagged(kid, algorithm, public)).as_ref().to_vec()
    }

    /// Whether a row was made by a node with one of the secrets, and with which.
    pub(crate) fn recognise(
        &self,
        kid: &str,
        algorithm: SigningAlgorithm,
        public: Option<&str>,
        tag: &[u8],
    ) -> Option<Under> {
        let covered = tagged(kid, algorithm, public);
        let genuine = |keys: &Keys| hmac::verify(&keys.tag, &covered, tag).is_ok();
        self.all().find(|(keys, _)| genuine(keys)).map(|(_, under)| under)
    }

    fn all(&self) -> impl Iterator<Item = (&Keys, Under)> {
        let previous = self.previous.as_ref().map(|keys| (keys, Under::Previous));
        std::iter::once((&self.current, Under::Current)).chain(previous)
    }
}

impl Keys {
    fn new(secret: &ServerSecret) -> Result<Self, KeyError> {
        let seal = RandomizedNonceKey::new(&AES_256_GCM, &*secret.derive(SEAL, 0));
        let tag = hmac::Key::new(hmac::HMAC_SHA256, &*secret.derive(TAG, 0));
        Ok(Self { seal: seal.map_err(|_| KeyError::Unsealable)?, tag })
    }
}

/// What a tag covers. The parts before the last have a form of their own without a full stop.
fn tagged(kid: &str, algorithm: SigningAlgorithm, public: Option<&str>) -> Vec<u8> {
    format!("{}.{kid}.{}", algorithm.as_str(), public.unwrap_or_default()).into_bytes()
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
        assert_eq!(opened[..], [7; 32]);
        let opened = KeySeal::new(&two, Some(&one)).unwrap().open("kid", EDDSA, &sealed).unwrap();
        assert_eq!(opened[..], [7; 32]);
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

    #[test]
    fn a_tag_is_that_of_one_public_key_and_one_secret() {
        let (one, two) = (secret('1'), secret('2'));
        let seal = KeySeal::new(&one, None).unwrap();
        let tag = seal.tag("kid", EDDSA, Some("jwk"));
        assert_eq!(seal.recognise("kid", EDDSA, Some("jwk"), &tag), Some(Under::Current));
        let rotated = KeySeal::new(&two, Some(&one)).unwrap();
        assert_eq!(rotated.recognise("kid", EDDSA, Some("jwk"), &tag), Some(Under::Previous));
        assert_eq!(KeySeal::new(&two, None).unwrap().recognise("kid", EDDSA, Some("jwk"), &tag), None);
        assert_eq!(seal.recognise("other", EDDSA, Some("jwk"), &tag), None);
        assert_eq!(seal.recognise("kid", SigningAlgorithm::Es256, Some("jwk"), &tag), None);
        assert_eq!(seal.recognise("kid", EDDSA, Some("other"), &tag), None);
        assert_eq!(seal.recognise("kid", EDDSA, Some("jwk"), &[]), None);
    }
}
