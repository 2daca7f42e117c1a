//! Refresh: one guarded insertion, of several requests together where there are several, and the rule where that added no
//! row.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::{Rejected, ServiceError};
use super::issue::Admitted;
use super::{Grant, Lifetimes, Outcome, Service};
use crate::domain::event::{EventKind, Fact, Retry};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::keys::SigningKey;
use crate::domain::refresh_token::{Nonce, RefreshToken};
use crate::domain::rotation::{Decision, Presented, Refusal, decide};
use crate::domain::session::{LiveSession, RevocationReason, Transport};
use crate::meters;
use crate::store::{ChainRead, Rotation, RotationTerms, Session, StoreError};

/// How often the insertion is tried when the rule says that it should have worked: the window may pass, or a competing
/// transaction may roll back, between the insertion and the second look.
const ATTEMPTS: u32 = 5;

/// A genuine refresh token, what came with it, and all that follows from both before the database is asked. Every attempt to
/// answer it is an attempt at the same rotation.
pub(crate) struct RefreshRequest {
    token: RefreshToken,
    rotation: Rotation,
    successor: RefreshToken,
}

/// A session that has come to its next generation, and the key that is noted there.
pub(crate) struct Rotated {
    session: LiveSession,
    key: Arc<SigningKey>,
}

/// A request that is answered by itself.
struct Attempt<'a> {
    request: &'a RefreshRequest,
    terms: RotationTerms,
    /// Whether the insertion has been tried, and is not known to have added anything: a second look is first then.
    tried: bool,
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
    /// Whether requests may be answered together: not where the host is asked for its claims, before anything is consumed.
    pub(crate) fn refreshes_together(&self) -> bool {
        self.hooks.claims.is_none()
    }

    /// Derives the successor of a refresh token. `user` is the one that the access token names, `None` where none is required.
    pub(crate) fn refresh_request(
        &self,
        token: RefreshToken,
        transport: Transport,
        user: Option<UserId>,
    ) -> RefreshRequest {
        let own_nonce = Nonce::random();
        let successor = self.refresh_keys.successor(&token, &own_nonce);
        let (generation, digest) = (token.generation(), token.digest());
        let presented = Presented { generation, digest, transport, own_nonce };
        let rotation = Rotation { session: token.session(), user, presented, successor: successor.digest() };
        RefreshRequest { token, rotation, successor }
    }

    /// Rotates for all of these at once, where the rule allows it. `None` says that nothing is known to have been added: the
    /// second look tells. Waits for no session that somebody is about to end.
    pub(crate) fn rotate_together(&self, asked: &[Arc<RefreshRequest>]) -> Vec<Option<Rotated>> {
        let key = self.keyring.signing_key();
        let terms = self.terms(&key);
        let rotations: Vec<_> = asked.iter().map(|request| &request.rotation).collect();
        let rotated = self.store.run(|session| session.rotate_together(&rotations, &terms));
        let rotated = rotated.unwrap_or_else(|error| {
            tracing::warn!(%error, requests = asked.len(), "not rotated together, each will be by itself");
            vec![None; asked.len()]
        });
        let granted = |session| {
            meters::rotated();
            Rotated { session, key: Arc::clone(&key) }
        };
        rotated.into_iter().map(|session| session.map(granted)).collect()
    }

    /// The tokens for a session that was rotated together with others.
    pub(crate) fn grant_rotated(
        &self,
        rotated: Rotated,
        request: &RefreshRequest,
    ) -> Result<Grant, ServiceError> {
        let Rotated { session, key } = rotated;
        self.grant(Admitted { session, claims: Map::new() }, request.successor.clone(), &key)
    }

    fn terms(&self, key: &SigningKey) -> RotationTerms {
        let Lifetimes { grace, refresh: refresh_life, .. } = self.lifetimes;
        RotationTerms { grace, refresh_life, signed_by: key.kid().to_owned() }
    }

    /// Answers one request by the rule: by a second look at once, where it has been `tried` together with others.
    pub(crate) fn refresh(&self, request: &RefreshRequest, tried: bool) -> Outcome<Grant> {
        let key = self.keyring.signing_key();
        let attempt = Attempt { request, terms: self.terms(&key), tried };
        let session = request.rotation.session;
        // Before the rotation, because what the host refuses must consume nothing.
        let claims = match self.claims_for(&attempt) {
            Ok(claims) => claims,
            Err(StoreError::Refused) => return Outcome::from(ServiceError::from(Rejected::HostRefused)),
            Err(error) => return Outcome::from(ServiceError::from(error)),
        };
        match self.rotate_or_end(&attempt) {
            Ok(Refreshed::Granted { session, token, retry }) => {
                let fact = given(&session, retry);
                Outcome::from(self.grant(Admitted { session, claims }, token, &key)).telling(fact)
            }
            Ok(Refreshed::Refused(refused)) => refused.outcome(session),
            Ok(Refreshed::Mismatch(user)) => mismatch(session, user),
            Err(error) => Outcome::from(ServiceError::from(error)),
        }
    }

    /// Rotates, or ends the session where that is what the rule concludes.
    fn rotate_or_end(&self, attempt: &Attempt<'_>) -> Result<Refreshed, StoreError> {
        // For the next run, should the answer to the revocation be lost: it would find the session ended, and nobody would
        // hear why.
        let mut concluded = None;
        self.store.run(|session| {
            let mut refused = match concluded {
                Some(refused) => refused,
                None => match self.rotate(session, attempt)? {
                    Refreshed::Refused(refused) => refused,
                    other => return Ok(other),
                },
            };
            if let Some(reason) = refused.refusal.ends_session() {
                let repeated = concluded.replace(refused).is_some();
                // Of several requests that conclude this at the same time, one ends the session.
                refused.ended =
                    session.revoke(attempt.request.rotation.session, reason)?.is_some() || repeated;
            }
            Ok(Refreshed::Refused(refused))
        })
    }

    /// The host's own claims, for a token that the rule grants as things stand. Without a hook there is nothing to read.
    fn claims_for(&self, attempt: &Attempt<'_>) -> Result<Map<String, Value>, StoreError> {
        if self.hooks.claims.is_none() {
            return Ok(Map::new());
        }
        let (Rotation { session: id, presented, .. }, terms) = (&attempt.request.rotation, &attempt.terms);
        let generation = presented.generation;
        let read = self.store.run(|session| session.read_chain(*id, generation, &terms.signed_by))?;
        match read {
            Some(read)
                if !matches!(decide(presented, Some(&read.chain), terms.grace), Decision::Refuse(_)) =>
            {
                self.host_claims(&read.live)
            }
            _ => Ok(Map::new()),
        }
    }

    /// Adds the next generation, or says by the rule what else the answer is. Changes nothing else.
    fn rotate(&self, session: &mut Session<'_>, attempt: &Attempt<'_>) -> Result<Refreshed, StoreError> {
        let &Attempt { request, ref terms, mut tried } = attempt;
        let rotation = &request.rotation;
        for _ in 0..ATTEMPTS {
            if !tried && let Some(live) = session.rotate(rotation, terms)? {
                return Ok(Refreshed::Granted {
                    session: live,
                    token: request.successor.clone(),
                    retry: None,
                });
            }
            tried = false;
            // The second look takes its own time for the one at which the client came. After a long wait that is too late: the
            // client has been answered and has come back elsewhere, and its own rotation would look like a theft.
            session.still_awaited()?;
            let generation = rotation.presented.generation;
            let read = session.read_chain(rotation.session, generation, &terms.signed_by)?;
            let owner = read.as_ref().map(|read| read.live.user);
            if let (Some(owner), Some(named)) = (owner, rotation.user)
                && owner != named
            {
                return Ok(Refreshed::Mismatch(named));
            }
            let chain = read.as_ref().map(|read| &read.chain);
            let decision = decide(&rotation.presented, chain, terms.grace);
            let reason = match &decision {
                Decision::Refuse(refusal) => refusal.reason(chain),
                Decision::Rotate | Decision::SameAgain | Decision::SameSuccessor { .. } => None,
            };
            let refusal = match (decision, read) {
                (Decision::Rotate, _) => continue,
                (Decision::Refuse(refusal), _) => refusal,
                (decision, Some(read)) => match self.given_before(&decision, request) {
                    Some((known, retry)) => return again(session, attempt, read, known, retry),
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
        request: &RefreshRequest,
    ) -> Option<(RefreshToken, Option<Retry>)> {
        let token = &request.token;
        match decision {
            Decision::SameAgain => Some((token.clone(), Some(Retry::SameToken))),
            Decision::SameSuccessor { nonce, digest } => {
                let known = self.refresh_keys.known_successor(token, nonce, digest)?;
                let ours = *nonce == request.rotation.presented.own_nonce;
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
    attempt: &Attempt<'_>,
    read: ChainRead,
    token: RefreshToken,
    retry: Option<Retry>,
) -> Result<Refreshed, StoreError> {
    if !read.signer_noted {
        session.add_signer(attempt.request.rotation.session, token.generation(), &attempt.terms.signed_by)?;
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
