//! The background task that measures what cannot be counted: once a second it looks how things stand. It asks neither the
//! database nor anybody who might, so that its figures are fresh above all when something hangs.

use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::Error;
use crate::http::state::State;
use crate::meters::{self, Levels, Pool};
use crate::service::revocations::Hints;

/// How often it looks. Prometheus asks less often.
const INTERVAL: Duration = Duration::from_secs(1);

/// Ends when this handle is dropped.
pub(super) struct Sampler {
    _stop: Sender<()>,
}

/// What is looked at. It may end at any time.
pub(super) struct Sampled {
    pub(super) state: Weak<State>,
    /// None where revocations are polled for only.
    pub(super) hints: Option<Weak<Hints>>,
}

impl Sampler {
    /// Starts the task, which looks at once.
    pub(super) fn start(sampled: Sampled) -> Result<Self, Error> {
        let (stop, stopped) = channel();
        let sample = move || sample(&sampled, &stopped);
        let thread = std::thread::Builder::new().name("authflow-metrics".into()).spawn(sample);
        thread.map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Self { _stop: stop })
    }
}

fn sample(sampled: &Sampled, stopped: &Receiver<()>) {
    while let Some(levels) = sampled.levels() {
        meters::levels(&levels);
        if stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

impl Sampled {
    fn levels(&self) -> Option<Levels> {
        let state = self.state.upgrade()?;
        let hints = self.hints.as_ref().and_then(Weak::upgrade);
        let (verifier, keyring) = (&state.verifier, &state.service.keyring);
        let (in_use, idle, size) = state.service.store.pool();
        Some(Levels {
            revocation_lag: verifier.revocation_lag().unwrap_or_default(),
            revoked_sessions: verifier.revocations().len(),
            listening: hints.is_some_and(|hints| hints.listening()),
            signing_key_age: keyring.signing_for(verifier.clock().time()).and_then(|age| age.to_std().ok()),
            signing_key_life: keyring.signing_key_life().and_then(|life| life.to_std().ok()),
            queues: state.jobs.levels(),
            pool: Pool { idle, in_use, size },
        })
    }
}
