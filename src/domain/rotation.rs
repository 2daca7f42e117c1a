//! The rule of rotation: what a presented refresh token is answered with.
//!
//! A pure function of what was presented and what the database holds. All times are the database's.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::refresh_token::{Generation, Nonce, TokenDigest};
use crate::domain::session::{RevocationReason, Transport};

/// What the client presented, and the nonce this request drew for a successor of its own.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    pub(crate) generation: Generation,
    pub(crate) digest: TokenDigest,
    pub(crate) transport: Transport,
    pub(crate) own_nonce: Nonce,
}

/// What the database holds about the presented token's session, read in one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) now: DateTime<Utc>,
    pub(crate) transport: Transport,
    pub(crate) revoked: Option<RevocationReason>,
    pub(crate) user_disabled: bool,
    /// The absolute end of the session.
    pub(crate) expires_at: DateTime<Utc>,
    /// The row of the highest generation.
    pub(crate) newest: Option<Link>,
    /// The row of the presented generation, if it has not been pruned.
    pub(crate) presented: Option<Link>,
}

/// A row of the chain.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) generation: Generation,
    pub(crate) digest: TokenDigest,
    pub(crate) nonce: Nonce,
    pub(crate) issued_at: DateTime<Utc>,
    /// The idle end.
    pub(crate) expires_at: DateTime<Utc>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Add the next generation.
    Rotate,
    /// The presented token is current and young: the same token again, with a new access token.
    SameAgain,
    /// The presented token was just rotated: the same successor again, with a new access token.
    SameSuccessor {
        /// From the successor's row, for deriving it again.
        nonce: Nonce,
        /// From the successor's row, for checking the derivation.
        digest: TokenDigest,
    },
    /// Nothing is given.
    Refuse(Refusal),
}

/// Why a genuine refresh token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The session is not known (any more), or lives by another transport. Nothing changes.
    Invalid,
    /// The session was ended before.
    Revoked(RevocationReason),
    /// The user is disabled.
    UserDisabled,
    /// The idle or the absolute life is over.
    Expired,
    /// A retired token, or one with another digest than the row of its generation: somebody has a copy. Ends the session.
    Reused,
    /// A token newer than the database: the database is an older copy of itself. Ends the session.
    NewerThanDatabase,
}

impl Refusal {
    /// The reason with which the refusal ends the session, if it does.
    pub(crate) fn ends_session(self) -> Option<RevocationReason> {
        match self {
            Self::Reused => Some(RevocationReason::Reuse),
            Self::NewerThanDatabase => Some(RevocationReason::DatabaseRestored),
            Self::Invalid | Self::Revoked(_) | Self::UserDisabled | Self::Expired => None,
        }
    }

    /// Why the session has ended, as its row says or is going to say. `None` where that is not known.
    pub(crate) fn reason(self, chain: Option<&Chain>) -> Option<RevocationReason> {
        match self {
            Self::Invalid => None,
            Self::Revoked(reason) => Some(reason),
            Self::UserDisabled => Some(RevocationReason::UserDisabled),
            Self::Expired => chain.map(Chain::end_by_time),
            Self::Reused | Self::NewerThanDatabase => self.ends_session(),
        }
    }
}

impl Chain {
    /// Which of its two ends is the nearer one, as housekeeping notes it down.
    fn end_by_time(&self) -> RevocationReason {
        match &self.newest {
            Some(newest) if newest.expires_at < self.expires_at => RevocationReason::Idle,
            _ => RevocationReason::Expired,
        }
    }
}

/// Applies the rule. `grace` is the window in which the predecessor still counts; `chain` is `None` for a session that
/// is not known.
pub(crate) fn decide(presented: &Presented, chain: Option<&Chain>, grace: TimeDelta) -> Decision {
    let Some(chain) = chain.filter(|chain| chain.transport == presented.transport) else {
        return Decision::Refuse(Refusal::Invalid);
    };
    if let Some(refusal) = not_alive(chain) {
        return Decision::Refuse(refusal);
    }
    let forged = chain.presented.as_ref().is_some_and(|link| link.digest != presented.digest);
    if forged {
        return Decision::Refuse(Refusal::Reused);
    }
    let Some(newest) = &chain.newest else {
        return Decision::Refuse(Refusal::NewerThanDatabase);
    };
    let young = chain.now - newest.issued_at < grace;
    match newest.generation.checked_sub(presented.generation) {
        None => Decision::Refuse(Refusal::NewerThanDatabase),
        Some(0) if young && newest.generation > 0 => Decision::SameAgain,
        Some(0) => Decision::Rotate,
        Some(1) if young || newest.nonce == presented.own_nonce => {
            Decision::SameSuccessor { nonce: newest.nonce, digest: newest.digest }
        }
        Some(_) => Decision::Refuse(Refusal::Reused),
    }
}

/// The refusal for a session that has ended in one way or another.
fn not_alive(chain: &Chain) -> Option<Refusal> {
    let idle_end = chain.newest.as_ref().map(|newest| newest.expires_at);
    if let Some(reason) = chain.revoked {
        Some(Refusal::Revoked(reason))
    } else if chain.user_disabled {
        Some(Refusal::UserDisabled)
    } else if chain.expires_at <= chain.now || idle_end.is_some_and(|end| end <= chain.now) {
        Some(Refusal::Expired)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
