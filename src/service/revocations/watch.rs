//! Keeping this node's memory of ended sessions, its clock and its keys in step with the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use diesel::PgConnection;

use super::ALL;
use super::bell::{Bell, Woken};
use crate::domain::verifier::Verifier;
use crate::meters::{self, Task};
use crate::service::keyring::Keyring;
use crate::store::{Session, Store, StoreError, TRANSACTION_LIMIT};

/// What each question covers: a margin over the longest time a revocation can take from its timestamp to its commit, which
/// is twice `TRANSACTION_LIMIT` of the store.
const WINDOW: TimeDelta = TimeDelta::seconds(60);
const _: () =
    assert!(WINDOW.num_seconds() as u64 >= 2 * 2 * TRANSACTION_LIMIT.as_secs(), "that, and as much again");
/// What a question covers that a hint gave rise to. The hint came after a commit, and hardly any takes longer; one that
/// does is found by the next regular question.
const HINTED: TimeDelta = TimeDelta::seconds(5);
/// How long hints wait after one was heeded: whoever can send them makes a node read ten times a second and no more.
const REST: Duration = Duration::from_millis(100);
/// How many intervals later everything is read again, in case a commit took longer than the window. A minute, with the interval
/// of a second that all have but tests.
const RELOAD: u32 = 60;

/// The background task that asks the database each second. It ends when this handle is dropped.
pub(crate) struct RevocationWatch {
    bell: Arc<Bell>,
}

/// What the task keeps in step, and how often it looks by itself.
pub(crate) struct Watched {
    pub(crate) store: Store,
    pub(crate) verifier: Verifier,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) interval: Duration,
}

impl RevocationWatch {
    /// Loads everything once, and starts to watch. The connection is one of its own: a busy pool must not delay it.
    pub(crate) fn start(watched: Watched) -> Result<Self, StoreError> {
        let mut connection = watched.store.dedicated()?;
        watched.load(&mut connection, ALL)?;
        let bell = Arc::new(Bell::default());
        let rung = Arc::clone(&bell);
        let watch = move || watched.watch(connection, &rung);
        let thread = std::thread::Builder::new().name("authflow-revocations".into()).spawn(watch);
        thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { bell })
    }

    /// Makes the task look before its time.
    pub(super) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }
}

impl Drop for RevocationWatch {
    /// The thread ends after at most one question to the database; nobody waits for one that hangs.
    fn drop(&mut self) {
        self.bell.stop();
    }
}

impl Watched {
    fn watch(&self, connection: PgConnection, bell: &Bell) {
        let mut connection = Some(connection);
        let mut loaded = Instant::now();
        let mut next = loaded + self.interval;
        loop {
            if bell.wait(next.saturating_duration_since(Instant::now())) == Woken::Stopped {
                return;
            }
            let regular = Instant::now() >= next;
            let everything = connection.is_none() || loaded.elapsed() >= self.interval * RELOAD;
            let window = match (everything, regular) {
                (true, _) => ALL,
                (false, true) => WINDOW,
                (false, false) => HINTED,
            };
            match connection
                .take()
                .map_or_else(|| self.store.dedicated(), Ok)
                .and_then(|open| self.ask(open, window))
            {
                Ok(kept) => {
                    connection = kept;
                    loaded = if everything { Instant::now() } else { loaded };
                }
                Err(error) => {
                    meters::failed(Task::Revocations);
                    tracing::warn!(%error, "revocations could not be read; trying again");
                }
            }
            if regular {
                next = Instant::now() + self.interval;
            }
            if bell.rest(REST.min(self.interval)) {
                return;
            }
        }
    }

    /// Answers with the connection, unless the server takes no writes: after a failover that is the one before, which no
    /// longer learns of anything. The next question goes to whichever server can be had then, and asks for everything.
    fn ask(&self, mut open: PgConnection, window: TimeDelta) -> Result<Option<PgConnection>, StoreError> {
        let from_primary = self.load(&mut open, window)?;
        if window != HINTED
            && let Err(error) = self.keyring.sync(|| Session::from(&mut open).read_keys())
        {
            meters::failed(Task::SigningKeys);
            tracing::error!(%error, "the signing keys could not be brought up to date; trying again");
        }
        if !from_primary {
            tracing::warn!("revocations come from a server that takes no writes; looking for another");
        }
        Ok(from_primary.then_some(open))
    }

    /// Reads what has ended, and answers whether that comes from a server that takes writes.
    fn load(&self, connection: &mut PgConnection, window: TimeDelta) -> Result<bool, StoreError> {
        let (asked, revocations) = (Instant::now(), self.verifier.revocations());
        let read = Session::from(connection).recently_revoked(window)?;
        self.verifier.clock().set(read.now);
        for (session, revoked_at) in read.sessions {
            revocations.insert(session, (revoked_at + ALL).timestamp());
        }
        if window != HINTED {
            revocations.forget_expired(read.now.timestamp());
        }
        // The primary of yesterday has no news, however quickly it answers.
        if window != HINTED && read.from_primary {
            revocations.complete_as_of(asked);
        }
        Ok(read.from_primary)
    }
}
