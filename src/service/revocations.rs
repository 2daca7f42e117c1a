//! Keeping this node's memory of ended sessions, its clock and its keys in step with the database.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::PgConnection;

use crate::domain::access_token::MAX_LIFE;
use crate::domain::ids::SessionId;
use crate::domain::verifier::Verifier;
use crate::service::keyring::Keyring;
use crate::store::{Session, Store, StoreError};

/// How often the database is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// What each question covers: a margin over the longest time a revocation can take from its timestamp to its commit.
const WINDOW: TimeDelta = TimeDelta::seconds(60);
/// How often everything is read again, in case a commit took longer than that.
const RELOAD: Duration = Duration::from_secs(60);
/// How long tokens of an ended session can still be valid.
const ALL: TimeDelta = TimeDelta::seconds(MAX_LIFE + 60);

/// The background task that asks the database each second. It ends when this handle is dropped.
pub(crate) struct RevocationWatch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Remembers that sessions have ended, on this node and at once.
pub(crate) fn remember(verifier: &Verifier, ended: &[SessionId]) {
    let forget_after = verifier.clock().now() + ALL.num_seconds();
    ended.iter().for_each(|session| verifier.revocations().insert(*session, forget_after));
}

/// The database's time, for a clock that has not been set yet.
pub(crate) fn database_time(store: &Store) -> Result<DateTime<Utc>, StoreError> {
    Ok(Session::from(&mut store.dedicated()?).recently_revoked(TimeDelta::zero())?.now)
}

impl RevocationWatch {
    /// Loads everything once, and starts to watch. The connection is one of its own: a busy pool must not delay it.
    pub(crate) fn start(store: Store, verifier: Verifier, keyring: Arc<Keyring>) -> Result<Self, StoreError> {
        let mut connection = store.dedicated()?;
        load(&mut connection, &verifier, ALL)?;
        let (stop, stopped) = channel();
        let watch = move || watch(&store, connection, &verifier, &keyring, &stopped);
        let thread = std::thread::Builder::new().name("authflow-revocations".into()).spawn(watch);
        let thread = thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for RevocationWatch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends after at most one question to the database; nobody waits for one that hangs.
            drop(thread);
        }
    }
}

fn watch(
    store: &Store,
    connection: PgConnection,
    verifier: &Verifier,
    keyring: &Keyring,
    stopped: &Receiver<()>,
) {
    let mut connection = Some(connection);
    let mut loaded = Instant::now();
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let everything = connection.is_none() || loaded.elapsed() >= RELOAD;
        let window = if everything { ALL } else { WINDOW };
        let read = connection.take().map_or_else(|| store.dedicated(), Ok).and_then(|mut open| {
            load(&mut open, verifier, window)?;
            if let Err(error) = keyring.sync(|| Session::from(&mut open).read_keys()) {
                tracing::error!(%error, "the signing keys could not be brought up to date; trying again");
            }
            Ok(open)
        });
        match read {
            Ok(open) => {
                connection = Some(open);
                loaded = if everything { Instant::now() } else { loaded };
            }
            Err(error) => tracing::warn!(%error, "revocations could not be read; trying again"),
        }
    }
}

fn load(connection: &mut PgConnection, verifier: &Verifier, window: TimeDelta) -> Result<(), StoreError> {
    let read = Session::from(connection).recently_revoked(window)?;
    verifier.clock().set(read.now);
    for (session, revoked_at) in read.sessions {
        verifier.revocations().insert(session, (revoked_at + ALL).timestamp());
    }
    verifier.revocations().forget_expired(read.now.timestamp());
    Ok(())
}
