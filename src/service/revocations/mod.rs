//! How sessions that have ended become known: on this node at once, on the others by reading the table, and sooner by a
//! hint that there is something to read.

mod bell;
mod hints;
mod watch;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use self::bell::Bell;
pub(crate) use self::hints::Hints;
pub(crate) use self::watch::{RevocationWatch, Watched};
use crate::domain::access_token::MAX_LIFE;
use crate::domain::ids::SessionId;
use crate::domain::verifier::Verifier;
use crate::store::{Session, Store, StoreError};

/// How long tokens of an ended session can still be valid.
const ALL: TimeDelta = TimeDelta::seconds(MAX_LIFE + 60);

/// Makes it known that sessions have ended here.
#[derive(Clone)]
pub(crate) struct Announcer {
    verifier: Verifier,
    /// Wakes the thread that tells the others.
    outbox: Arc<Bell>,
}

impl Announcer {
    /// One whose hints go to nobody until there are [`Hints`].
    pub(crate) fn new(verifier: Verifier) -> Self {
        Self { verifier, outbox: Arc::default() }
    }

    /// Refuses the sessions' access tokens on this node from now on, and has the others told. To be called after the commit.
    /// Waits for nobody.
    pub(crate) fn announce(&self, ended: &[SessionId]) {
        if ended.is_empty() {
            return;
        }
        let forget_after = self.verifier.clock().now() + ALL.num_seconds();
        ended.iter().for_each(|session| self.verifier.revocations().insert(*session, forget_after));
        self.outbox.ring();
    }

    /// The verifier that refuses them.
    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// The database's time, for a clock that has not been set yet.
pub(crate) fn database_time(store: &Store) -> Result<DateTime<Utc>, StoreError> {
    Ok(Session::from(&mut store.dedicated()?).recently_revoked(TimeDelta::zero())?.now)
}
