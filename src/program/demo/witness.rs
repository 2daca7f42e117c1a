//! What the demo has seen: the refresh tokens that went over the wire, and what became of those that were presented.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use uuid::Uuid;

use super::token::UnverifiedPlace;

/// A demo is watched by one person; what is older than this much is forgotten.
const MAX_SESSIONS: usize = 100;
const MAX_GENERATIONS: usize = 200;
const MAX_PRESENTATIONS: usize = 200;

/// The memory of the demo. It holds live tokens, so it exists behind `--demo` only, and gives none of them away.
pub(crate) struct Witness {
    window: Duration,
    sessions: Mutex<VecDeque<Seen>>,
}

struct Seen {
    session: Uuid,
    copies: VecDeque<Copied>,
    presentations: VecDeque<Presentation>,
}

/// A token as a thief would have it.
struct Copied {
    generation: u32,
    issued_at: DateTime<Utc>,
    /// `name=value`, as it stands in a `Cookie` header.
    cookie: SecretString,
}

/// One token was presented at `/auth/refresh`, and this is what came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Presentation {
    pub(super) at: DateTime<Utc>,
    pub(super) by: Party,
    pub(super) presented: u32,
    pub(super) received: Option<u32>,
    pub(super) status: u16,
    pub(super) code: Option<&'static str>,
}

/// Who presented it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Party {
    /// A browser, with its own cookie.
    Owner,
    /// Whoever asked for a replay.
    Thief,
}

/// The chain of a session as the page draws it: numbers and times.
#[derive(Debug, Serialize)]
pub(super) struct Chain {
    window_seconds: u64,
    now: DateTime<Utc>,
    generations: Vec<Generation>,
    presentations: Vec<Presentation>,
}

#[derive(Debug, Serialize)]
struct Generation {
    generation: u32,
    issued_at: DateTime<Utc>,
}

impl Witness {
    /// Remembers nothing yet. `window` is that of the rule, which the page explains.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, sessions: Mutex::default() }
    }

    /// A token was issued. One that is issued again is the same one.
    pub(super) fn issued(&self, place: UnverifiedPlace, cookie: &str) {
        let mut sessions = self.sessions();
        let seen = seen(&mut sessions, place.session);
        if seen.copies.iter().all(|copy| copy.generation != place.generation) {
            let cookie = SecretString::from(cookie);
            push(
                &mut seen.copies,
                MAX_GENERATIONS,
                Copied { generation: place.generation, issued_at: Utc::now(), cookie },
            );
        }
    }

    /// A token was presented. Of a session that has issued nothing here there is nothing to tell.
    pub(super) fn presented(&self, session: Uuid, presentation: Presentation) {
        if let Some(seen) = self.sessions().iter_mut().find(|seen| seen.session == session) {
            push(&mut seen.presentations, MAX_PRESENTATIONS, presentation);
        }
    }

    /// The copy of one generation.
    pub(super) fn copy(&self, place: UnverifiedPlace) -> Option<SecretString> {
        let sessions = self.sessions();
        let seen = sessions.iter().find(|seen| seen.session == place.session)?;
        let copy = seen.copies.iter().find(|copy| copy.generation == place.generation)?;
        Some(copy.cookie.clone())
    }

    /// All that was seen of a session, without the tokens.
    pub(super) fn chain(&self, session: Uuid) -> Option<Chain> {
        let sessions = self.sessions();
        let seen = sessions.iter().find(|seen| seen.session == session)?;
        let generation =
            |copy: &Copied| Generation { generation: copy.generation, issued_at: copy.issued_at };
        Some(Chain {
            window_seconds: self.window.as_secs(),
            now: Utc::now(),
            generations: seen.copies.iter().map(generation).collect(),
            presentations: seen.presentations.iter().cloned().collect(),
        })
    }

    fn sessions(&self) -> MutexGuard<'_, VecDeque<Seen>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was seen of a session, from now on if nothing was.
fn seen(sessions: &mut VecDeque<Seen>, session: Uuid) -> &mut Seen {
    let known = sessions.iter().position(|seen| seen.session == session);
    let index = known.unwrap_or_else(|| {
        let new = Seen { session, copies: VecDeque::new(), presentations: VecDeque::new() };
        push(sessions, MAX_SESSIONS, new);
        sessions.len() - 1
    });
    &mut sessions[index]
}

fn push<T>(list: &mut VecDeque<T>, most: usize, item: T) {
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let witness = Witness::new(Duration::from_secs(10));
        let place = |session, generation| UnverifiedPlace { session: Uuid::from_u128(session), generation };
        for generation in 0..=200 {
            witness.issued(place(0, generation), "a=b");
        }
        assert!(witness.copy(place(0, 0)).is_none());
        assert!(witness.copy(place(0, 1)).is_some());
        for session in 1..=100 {
            witness.issued(place(session, 0), "a=b");
        }
        assert!(witness.chain(Uuid::from_u128(0)).is_none());
        assert!(witness.chain(Uuid::from_u128(1)).is_some());
    }
}
