//! The rule of rotation over small numbers, for a model of the protocol around it. The rule itself is the crate's own.
//!
//! No part of the public interface. It changes with the rule, in any release.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::refresh_token::{Generation, Nonce, TokenDigest};
use crate::domain::rotation::{self, Chain, Decision, Link, Presented, Refusal};
use crate::domain::session::{RevocationReason, Transport};

/// A number in place of a digest.
pub type Digest = u32;
/// A number in place of a nonce.
pub type Number = u8;
/// Seconds since any moment.
pub type Seconds = u32;

/// A row of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// The place in the chain.
    pub generation: Generation,
    /// Of the token.
    pub digest: Digest,
    /// Of the derivation.
    pub nonce: Number,
    /// When the row was made.
    pub issued_at: Seconds,
    /// The idle end.
    pub expires_at: Seconds,
}

/// A session and its chain, read in one snapshot.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The time of the database.
    pub now: Seconds,
    /// Whether the session is marked as ended.
    pub ended: bool,
    /// Whether its user is disabled.
    pub user_disabled: bool,
    /// The absolute end of the session.
    pub expires_at: Seconds,
    /// The row of the highest generation.
    pub newest: Option<Row>,
    /// The row of the presented generation.
    pub presented: Option<Row>,
}

/// What the rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Add the next generation.
    Rotate,
    /// The presented token again.
    SameAgain,
    /// The successor that has this nonce and digest again.
    SameSuccessor(Number, Digest),
    /// Nothing; the session had ended, the user is disabled, or a life is over.
    Over,
    /// Nothing; and the session ends, because somebody has a copy.
    Reused,
    /// Nothing; and the session ends, because the database is an older copy of itself.
    NewerThanDatabase,
    /// Nothing, and nothing changes.
    Invalid,
}

/// Asks the rule about the token of this generation and digest. `own_nonce` is what the request drew for a successor.
pub fn decide(
    generation: Generation,
    digest: Digest,
    own_nonce: Number,
    seen: &Seen,
    window: Seconds,
) -> Verdict {
    let presented = Presented {
        generation,
        digest: widened(digest),
        transport: Transport::Cookie,
        own_nonce: Nonce([own_nonce; 16]),
    };
    let chain = Chain {
        now: moment(seen.now),
        transport: Transport::Cookie,
        revoked: seen.ended.then_some(RevocationReason::LoggedOut),
        user_disabled: seen.user_disabled,
        expires_at: moment(seen.expires_at),
        newest: seen.newest.map(link),
        presented: seen.presented.map(link),
    };
    match rotation::decide(&presented, Some(&chain), TimeDelta::seconds(window.into())) {
        Decision::Rotate => Verdict::Rotate,
        Decision::SameAgain => Verdict::SameAgain,
        Decision::SameSuccessor { nonce, digest } => Verdict::SameSuccessor(nonce.0[0], narrowed(&digest)),
        Decision::Refuse(Refusal::Revoked(_) | Refusal::UserDisabled | Refusal::Expired) => Verdict::Over,
        Decision::Refuse(Refusal::Reused) => Verdict::Reused,
        Decision::Refuse(Refusal::NewerThanDatabase) => Verdict::NewerThanDatabase,
        Decision::Refuse(Refusal::Invalid) => Verdict::Invalid,
    }
}

fn link(row: Row) -> Link {
    Link {
        generation: row.generation,
        digest: widened(row.digest),
        nonce: Nonce([row.nonce; 16]),
        issued_at: moment(row.issued_at),
        expires_at: moment(row.expires_at),
    }
}

fn widened(digest: Digest) -> TokenDigest {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&digest.to_be_bytes());
    TokenDigest(bytes)
}

fn narrowed(digest: &TokenDigest) -> Digest {
    let [a, b, c, d, ..] = digest.0;
    Digest::from_be_bytes([a, b, c, d])
}

fn moment(seconds: Seconds) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds.into())
}
