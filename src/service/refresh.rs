//! Refresh: one guarded insertion, and the rule where that added no row.

use serde_json::{Map, Value};

use super::error::{Rejected, ServiceError};
use super::issue::Admitted;
use super::{Grant, Outcome, Service};
use crate::domain::event::{EventKind, Fact, Retry};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::refresh_token::{Nonce, RefreshToken};
use crate::domain::rotation::{Decision, Presented, Refusal, decide};
use crate::domain::session::{LiveSession, RevocationReason, Transport};
use crate::meters;
use crate::store::{ChainRead, Rotation, Session, StoreError};

/// How often the insertion is tried when the rule says that it should have worked: the window may pass, or a competing
/// transaction may roll back, between the insertion and the second look.
const ATTEMPTS: u32 = 5;

/// A genuine refresh token, and what came with it.
pub(crate) struct RefreshRequest {
    pub(crate) token: RefreshToken,
    pub(crate) transport: Transport,
    /// The user the access token names; `None` where none is required.
    pub(crate) user: Option<UserId>,
}

#[expect(clippy::large_enum_variant, reason = "made once a refresh and taken apart at once")]
enum Refreshed {
    Granted {
        session: LiveSession,
        token: RefreshToken,
        /// The retry that it answers, where it had been given before.
        retry: Option<Retry>,
    },
    Refused(Refused),
    /// The access token names this user, and the session is another's.
    Mismatch(UserId),
}

#[derive(Clone, Copy)]
struct Refused {
    refusal: Refusal,
    /// Why the session has ended, where it has.
    reason: Option<RevocationReason>,
    /// Whose session it is, where it is known.
    owner: Option<UserId>,
    /// Whether this request has ended the session.
    ended: bool,
}

impl Service {
    /// Answers a presented refresh token by the rule. Successor and nonce are drawn once, so that every attempt of this
    /// request is the same attempt.
    pub(crate) fn refresh(&self, request: &RefreshRequest) -> Outcome<Grant> {
        let nonce = Nonce::random();
        let successor = self.refresh_keys.successor(&request.token, &nonce);
        let key = self.keyring.signing_key();
        let rotation = Rotation {
            session: request.token.session(),
            user: request.user,
            presented: Presented {
                generation: request.token.generation(),
                digest: request.token.digest(),
                transport: request.transport,
                own_nonce: nonce,
            },
            successor: successor.digest(),
            grace: self.lifetimes.grace,
            refresh_life: self.lifetimes.refresh,
            signed_by: key.kid().to_owned(),
        };
        // Before the rotation, because what the host refuses must consume nothing.
        let claims = match self.claims_for(&rotation) {
            Ok(claims) => claims,
            Err(StoreError::Refused) => return Outcome::from(ServiceError::from(Rejected::HostRefused)),
            Err(error) => return Outcome::from(ServiceError::from(error)),
        };
        match self.rotate_or_end(&rotation, &request.token, &successor) {
            Ok(Refreshed::Granted { session, token, retry }) => {
                let fact = given(&session, retry);
                Outcome::from(self.grant(Admitted { session, claims }, token, &key)).telling(fact)
            }
            Ok(Refreshed::Refused(refused)) => refused.outcome(rotation.session),
            Ok(Refreshed::Mismatch(user)) => mismatch(rotation.session, user),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// Rotates, or ends the session where that is what the rule concludes.
    fn rotate_or_end(
        &self,
        rotation: &Rotation,
        token: &RefreshToken,
        successor: &RefreshToken,
    ) -> Result<Refreshed, StoreError> {
        // For the next run, should the answer to the revocation be lost: it would find the session ended, and nobody would
        // hear why.
        let mut concluded = None;
        self.store.run(|session| {
            let mut refused = match concluded {
                Some(refused) => refused,
                None => match self.rotate(session, rotation, token, successor)? {
                    Refreshed::Refused(refused) => refused,
                    other => return Ok(other),
                },
            };
            if let Some(reason) = refused.refusal.ends_session() {
                let repeated = concluded.replace(refused).is_some();
                // Of several requests that conclude this at the same time, one ends the session.
                refused.ended = session.revoke(rotation.session, reason)?.is_some() || repeated;
            }
            Ok(Refreshed::Refused(refused))
        })
    }

    /// The host's own claims, for a token that the rule grants as things stand. Without a hook there is nothing to read.
    fn claims_for(&self, rotation: &Rotation) -> Result<Map<String, Value>, StoreError> {
        if self.hooks.claims.is_none() {
            return Ok(Map::new());
        }
        let Rotation { session: id, presented, grace, .. } = rotation;
        let generation = presented.generation;
        let read = self.store.run(|session| session.read_chain(*id, generation, &rotation.signed_by))?;
        match read {
            Some(read) if !matches!(decide(presented, Some(&read.chain), *grace), Decision::Refuse(_)) => {
                self.host_claims(&read.live)
            }
            _ => Ok(Map::new()),
        }
    }

    /// Adds the next generation, or says by the rule what else the answer is. Changes nothing else.
    fn rotate(
        &self,
        session: &mut Session<'_>,
        rotation: &Rotation,
        token: &RefreshToken,
        successor: &RefreshToken,
    ) -> Result<Refreshed, StoreError> {
        for _ in 0..ATTEMPTS {
            if let Some(live) = session.rotate(rotation)? {
                return Ok(Refreshed::Granted { session: live, token: successor.clone(), retry: None });
            }
            // The second look takes its own time for the one at which the client came. After a long wait that is too late: the
            // client has been answered and has come back elsewhere, and its own rotation would look like a theft.
            session.still_awaited()?;
            let generation = rotation.presented.generation;
            let read = session.read_chain(rotation.session, generation, &rotation.signed_by)?;
            let owner = read.as_ref().map(|read| read.live.user);
            if let (Some(owner), Some(named)) = (owner, rotation.user)
                && owner != named
            {
                return Ok(Refreshed::Mismatch(named));
            }
            let chain = read.as_ref().map(|read| &read.chain);
            let decision = decide(&rotation.presented, chain, rotation.grace);
            let reason = match &decision {
                Decision::Refuse(refusal) => refusal.reason(chain),
                Decision::Rotate | Decision::SameAgain | Decision::SameSuccessor { .. } => None,
            };
            let refusal = match (decision, read) {
                (Decision::Rotate, _) => continue,
                (Decision::Refuse(refusal), _) => refusal,
                (decision, Some(read)) => match self.given_before(&decision, rotation, token) {
                    Some((known, retry)) => return again(session, rotation, read, known, retry),
                    // Derived under a key that this node does not have.
                    None => Refusal::Invalid,
                },
                (Decision::SameAgain | Decision::SameSuccessor { .. }, None) => Refusal::Invalid,
            };
            let refused = Refused { refusal, reason, owner, ended: false };
            return Ok(Refreshed::Refused(refused));
        }
        Err(StoreError::Unavailable("a rotation kept losing its race".into()))
    }

    /// The token that is given once more, and the retry that this answers. It is none where the rotation was this request's
    /// own, and the database's answer to it was lost.
    fn given_before(
        &self,
        decision: &Decision,
        rotation: &Rotation,
        token: &RefreshToken,
    ) -> Option<(RefreshToken, Option<Retry>)> {
        match decision {
            Decision::SameAgain => Some((token.clone(), Some(Retry::SameToken))),
            Decision::SameSuccessor { nonce, digest } => {
                let known = self.refresh_keys.known_successor(token, nonce, digest)?;
                let ours = *nonce == rotation.presented.own_nonce;
                Some((known, (!ours).then_some(Retry::SameSuccessor)))
            }
            Decision::Rotate | Decision::Refuse(_) => None,
        }
    }
}

/// A token that was given before, with a new access token. The row says which keys signed for it, so that all sessions
/// of a compromised one can be found; only where the keys have just changed is there anything to add.
fn again(
    session: &mut Session<'_>,
    rotation: &Rotation,
    read: ChainRead,
    token: RefreshToken,
    retry: Option<Retry>,
) -> Result<Refreshed, StoreError> {
    if !read.signer_noted {
        session.add_signer(rotation.session, token.generation(), &rotation.signed_by)?;
    }
    Ok(Refreshed::Granted { session: read.live, token, retry })
}

/// What there is to tell where tokens are given: of a retry that it was one. Rotations are only counted.
fn given(session: &LiveSession, retry: Option<Retry>) -> Option<Fact> {
    let Some(reason) = retry else {
        meters::rotated();
        return None;
    };
    Some(Fact::new(EventKind::RefreshRetried { reason }).of_user(session.user).in_session(session.id))
}

impl Refused {
    fn outcome(self, session: SessionId) -> Outcome<Grant> {
        let ends = self.refusal.ends_session();
        let fact = ends.zip(self.owner).filter(|_| self.ended);
        let fact = fact.map(|(reason, owner)| Fact::session_ended(session, owner, reason));
        let rejected = rejection(self.refusal, self.reason);
        Outcome::new(Err(rejected.into()), ends.map(|_| session)).telling(fact)
    }
}

fn mismatch(session: SessionId, named: UserId) -> Outcome<Grant> {
    let kind = EventKind::TokenMismatch { refresh_session_id: session };
    let fact = Fact::new(kind).of_user(named).in_session(session);
    Outcome::from(ServiceError::from(Rejected::TokenMismatch)).telling([fact])
}

/// The answer agrees with the reason that the session's row holds: an end by time that housekeeping has noted down is still
/// an end by time.
fn rejection(refusal: Refusal, reason: Option<RevocationReason>) -> Rejected {
    match refusal {
        Refusal::Invalid => Rejected::RefreshTokenInvalid,
        Refusal::Expired | Refusal::Revoked(RevocationReason::Idle | RevocationReason::Expired) => {
            Rejected::RefreshTokenExpired(reason)
        }
        Refusal::Reused => Rejected::RefreshTokenReused,
        Refusal::Revoked(_) | Refusal::UserDisabled | Refusal::NewerThanDatabase => {
            Rejected::SessionRevoked(reason)
        }
    }
}
