//! Telling the other nodes that a session has ended, and hearing it from them: sooner than they would find out by asking.
//!
//! A hint says no more than "read the table". One that is lost, forged or late costs a second or a question: what has
//! ended is always in the table, and every node asks it each second anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::bell::{Bell, Woken};
use super::{Announcer, RevocationWatch};
use crate::meters::{self, Task};
use crate::store::{Listener, StoreError};

/// How often the connection is looked at for hints. libpq can only be asked, not waited for, by way of Diesel; a look
/// costs microseconds, and a hint waits for half of this on average.
const STEP: Duration = Duration::from_millis(50);
/// How often the server is asked whether it is still the one where sessions end. It is silent otherwise, and so is the
/// primary of yesterday.
const CONFIRMED: Duration = Duration::from_secs(5);
/// How long to wait before connecting again; each failure doubles it.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The background task. It ends when this handle is dropped.
pub(crate) struct Hints {
    outbox: Arc<Bell>,
    listening: Arc<AtomicBool>,
}

impl Hints {
    /// Starts the task, which sends what `announcer` has to tell, and makes `watch` look when others tell something. Connects
    /// first, so that a node that is up can be told; where that fails the task goes on trying.
    pub(crate) fn start(
        url: SecretString,
        announcer: &Announcer,
        watch: &RevocationWatch,
    ) -> Result<Self, StoreError> {
        let hints = Self { outbox: Arc::clone(&announcer.outbox), listening: Arc::default() };
        let (outbox, listening) = (Arc::clone(&hints.outbox), Arc::clone(&hints.listening));
        let inbox = watch.bell();
        let first = Listener::connect(&url);
        listening.store(first.is_ok(), Ordering::Relaxed);
        let run = move || run(first, &url, &outbox, &inbox, &listening);
        let thread = std::thread::Builder::new().name("authflow-hints".into()).spawn(run);
        thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(hints)
    }

    /// Whether there is a connection at this moment on which hints arrive.
    pub(crate) fn listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.outbox.stop();
    }
}

fn run(
    first: Result<Listener, StoreError>,
    url: &SecretString,
    outbox: &Bell,
    inbox: &Bell,
    listening: &AtomicBool,
) {
    let (mut connected, mut rest) = (first, FIRST_REST);
    loop {
        let ended = connected.and_then(|listener| {
            rest = FIRST_REST;
            listening.store(true, Ordering::Relaxed);
            attend(listener, outbox, inbox)
        });
        listening.store(false, Ordering::Relaxed);
        let Err(error) = ended else { return };
        meters::failed(Task::Listening);
        tracing::warn!(%error, "revocations are polled for only; trying to listen again");
        if outbox.rest(rest) {
            return;
        }
        rest = (rest * 2).min(LONGEST_REST);
        connected = Listener::connect(url);
        if connected.is_ok() {
            // What was told while nobody listened.
            inbox.ring();
        }
    }
}

/// Until the connection breaks, which is an error, or the task is to end.
fn attend(mut listener: Listener, outbox: &Bell, inbox: &Bell) -> Result<(), StoreError> {
    let mut confirmed = Instant::now();
    loop {
        match outbox.wait(STEP) {
            Woken::Rung => {
                listener.notify()?;
                // What ends in the meantime is told with one more.
                if outbox.rest(STEP) {
                    return Ok(());
                }
            }
            Woken::Idle => {}
            Woken::Stopped => return Ok(()),
        }
        if listener.heard()? {
            inbox.ring();
        }
        if confirmed.elapsed() >= CONFIRMED {
            listener.confirm()?;
            confirmed = Instant::now();
        }
    }
}
