//! Refresh tokens: their form, their tag, and how a successor follows from its predecessor.
//!
//! A token is `version(1) ‖ session id(16) ‖ generation(4) ‖ secret(32) ‖ tag(16)`, in base64url behind `rt_`. The tag
//! lets rubbish be refused without a query, and lets a genuine but old token be told from a forgery although old rows are
//! not kept. The secret of a successor is derived, not stored: whoever presents the predecessor again gets the same one.

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::domain::ids::SessionId;
use crate::domain::secret::{ServerSecret, hkdf_sha256};

const PREFIX: &str = "rt_";
const VERSION: u8 = 1;
const SESSION: std::ops::Range<usize> = 1..17;
const GENERATION: std::ops::Range<usize> = 17..21;
const SECRET: std::ops::Range<usize> = 21..53;
const TAG: std::ops::Range<usize> = 53..69;
const LENGTH: usize = 69;

/// The place of a token in its chain.
pub(crate) type Generation = u32;

/// A genuine refresh token: its tag has been verified, or it was made here.
#[derive(Clone)]
pub(crate) struct RefreshToken(Zeroizing<[u8; LENGTH]>);

/// The SHA-256 of a refresh token: all that is stored of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest(pub(crate) [u8; 32]);

/// Random input to a derivation; stored in the row of the token that came of it, worthless without the predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce(pub(crate) [u8; 16]);

impl Nonce {
    pub(crate) fn random() -> Self {
        Self(random())
    }
}

/// What makes and recognises refresh tokens: the keys of the current master secret, and of a second accepted one.
pub(crate) struct RefreshTokenKeys {
    current: Keys,
    previous: Option<Keys>,
}

struct Keys {
    tag: hmac::Key,
    derivation: Zeroizing<[u8; 32]>,
}

impl Keys {
    fn new(secret: &ServerSecret) -> Self {
        Self {
            tag: hmac::Key::new(hmac::HMAC_SHA256, &*secret.derive("refresh token tag", 0)),
            derivation: secret.derive("refresh token derivation", 0),
        }
    }

    fn seal(&self, session: SessionId, generation: Generation, secret: &[u8; 32]) -> RefreshToken {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        bytes[0] = VERSION;
        bytes[SESSION].copy_from_slice(session.0.as_bytes());
        bytes[GENERATION].copy_from_slice(&generation.to_be_bytes());
        bytes[SECRET].copy_from_slice(secret);
        let tag = hmac::sign(&self.tag, &bytes[..TAG.start]);
        bytes[TAG].copy_from_slice(&tag.as_ref()[..TAG.len()]);
        RefreshToken(bytes)
    }

    fn recognises(&self, token: &RefreshToken) -> bool {
        let tag = hmac::sign(&self.tag, &token.0[..TAG.start]);
        constant_time::verify_slices_are_equal(&tag.as_ref()[..TAG.len()], &token.0[TAG]).is_ok()
    }

    /// The successor of `parent` under this key: a function of the arguments, so the same for everybody who asks.
    fn successor(&self, parent: &RefreshToken, nonce: &Nonce) -> RefreshToken {
        let generation = parent.generation().saturating_add(1);
        let place = [&parent.0[SESSION], &generation.to_be_bytes()].concat();
        let info: [&[u8]; 3] = [b"refresh token successor", &place, &nonce.0];
        let secret = hkdf_sha256(&*self.derivation, &parent.0[SECRET], &info);
        self.seal(parent.session(), generation, &secret)
    }
}

impl RefreshTokenKeys {
    pub(crate) fn new(current: &ServerSecret, previous: Option<&ServerSecret>) -> Self {
        Self { current: Keys::new(current), previous: previous.map(Keys::new) }
    }

    /// The first token of a session, with a random secret.
    pub(crate) fn first(&self, session: SessionId) -> RefreshToken {
        self.current.seal(session, 0, &Zeroizing::new(random()))
    }

    /// Reads a token and verifies its tag. `None` for rubbish and forgeries, which are not told apart.
    pub(crate) fn parse(&self, text: &[u8]) -> Option<RefreshToken> {
        let encoded = text.strip_prefix(PREFIX.as_bytes())?;
        let mut bytes = Zeroizing::new([0; LENGTH]);
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut *bytes).ok()?;
        let token = RefreshToken(bytes);
        let genuine =
            length == LENGTH && token.0[0] == VERSION && self.all().any(|keys| keys.recognises(&token));
        genuine.then_some(token)
    }

    /// The successor of `parent` for a fresh `nonce`.
    pub(crate) fn successor(&self, parent: &RefreshToken, nonce: &Nonce) -> RefreshToken {
        self.current.successor(parent, nonce)
    }

    /// The successor that was stored as `digest`, derived again under whichever key it was made with.
    pub(crate) fn known_successor(
        &self,
        parent: &RefreshToken,
        nonce: &Nonce,
        digest: &TokenDigest,
    ) -> Option<RefreshToken> {
        self.all().map(|keys| keys.successor(parent, nonce)).find(|token| token.digest() == *digest)
    }

    fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl RefreshToken {
    pub(crate) fn session(&self) -> SessionId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[SESSION]);
        SessionId(Uuid::from_bytes(id))
    }

    pub(crate) fn generation(&self) -> Generation {
        let mut generation = [0; 4];
        generation.copy_from_slice(&self.0[GENERATION]);
        Generation::from_be_bytes(generation)
    }

    pub(crate) fn digest(&self) -> TokenDigest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, &*self.0).as_ref());
        TokenDigest(bytes)
    }

    /// The token as the client keeps it. A live credential: goes into an answer and nowhere else.
    pub(crate) fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*self.0)))
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken(session {}, generation {}, [REDACTED])", self.session(), self.generation())
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest([REDACTED])")
    }
}

/// Random bytes from the operating system's generator. A process that gets none must not go on issuing secrets.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).unwrap_or_else(|_| std::process::abort());
    bytes
}

#[cfg(test)]
mod tests;
