//! The thread that keeps the keys of a verifier fresh.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::JwksError;
use super::demand::Demand;
use super::fetch::Fetched;
use crate::domain::verifier::WeakVerifier;

/// How soon a failed fetch is repeated.
const RETRY: Duration = Duration::from_secs(30);

/// All that the thread needs.
pub(super) struct Watch<F> {
    pub(super) verifier: WeakVerifier,
    /// Receives when the keys are wanted before their time, and disconnects with the verifier.
    pub(super) woken: Receiver<()>,
    pub(super) demand: Arc<Mutex<Demand>>,
    pub(super) fetch: F,
}

impl<F: FnMut() -> Result<Fetched, JwksError>> Watch<F> {
    /// Fetches again and again, first after `wait`, until the verifier is gone.
    pub(super) fn run(mut self, mut wait: Duration) {
        loop {
            match self.woken.recv_timeout(wait) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            wait = match (self.fetch)() {
                Ok(fetched) => self.take_over(fetched),
                Err(error) => self.keep(&error),
            };
        }
    }

    fn take_over(&self, Fetched { keys, fresh_for }: Fetched) -> Duration {
        // Where the verifier is gone, the channel says so next.
        if let Some(verifier) = self.verifier.upgrade()
            && verifier.with_keys(|old| old.public() != keys.public())
        {
            tracing::info!("the issuer has changed its keys");
            verifier.replace_keys(keys);
        }
        fresh_for
    }

    fn keep(&self, error: &JwksError) -> Duration {
        tracing::warn!(%error, "the issuer's keys could not be fetched; the ones at hand stay in use");
        self.demand.lock().unwrap_or_else(PoisonError::into_inner).forget();
        RETRY
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{SyncSender, sync_channel};
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::domain::access_token::AccessTokenRules;
    use crate::domain::clock::Clock;
    use crate::domain::keys::KeySet;
    use crate::domain::verifier::Verifier;

    const FRESH: Duration = Duration::from_millis(20);

    fn keys(kid: &str) -> KeySet {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let jwk = serde_json::json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": kid, "x": x});
        KeySet::from_jwks(serde_json::json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
    }

    fn fetched(kid: &str) -> Result<Fetched, JwksError> {
        Ok(Fetched { keys: keys(kid), fresh_for: FRESH })
    }

    fn watch<F>(fetch: F) -> (Verifier, SyncSender<()>, Watch<F>) {
        let verifier = Verifier::new(keys("old"), AccessTokenRules::new("i", "a"), Clock::System);
        let (wake, woken) = sync_channel(1);
        let watch = Watch { verifier: verifier.downgrade(), woken, demand: Arc::default(), fetch };
        (verifier, wake, watch)
    }

    fn knows(verifier: &Verifier, kid: &str) -> bool {
        verifier.with_keys(|keys| keys.find(kid).is_some())
    }

    #[track_caller]
    fn eventually(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited in vain");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn keys_are_fetched_by_the_clock_until_the_verifier_is_gone() {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let (verifier, wake, watch) = watch(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            fetched("new")
        });
        let thread = thread::spawn(move || watch.run(FRESH));
        eventually(|| count.load(Ordering::Relaxed) >= 3);
        assert!(knows(&verifier, "new") && !knows(&verifier, "old"));
        drop((verifier, wake));
        thread.join().unwrap();
    }

    #[test]
    fn keys_are_fetched_at_once_when_they_are_wanted() {
        let (verifier, wake, watch) = watch(|| fetched("new"));
        let thread = thread::spawn(move || watch.run(Duration::from_secs(3600)));
        wake.send(()).unwrap();
        eventually(|| knows(&verifier, "new"));
        drop((verifier, wake));
        thread.join().unwrap();
    }

    #[test]
    fn a_failure_leaves_the_keys_and_is_repeated_sooner() {
        let (verifier, _wake, watch) = watch(|| fetched("unused"));
        let demand = Arc::clone(&watch.demand);
        let now = Instant::now();
        assert!(demand.lock().unwrap().ask("new", now));
        assert_eq!(watch.keep(&JwksError::Url("is a test")), Duration::from_secs(30));
        assert!(knows(&verifier, "old"));
        assert!(demand.lock().unwrap().ask("new", now + RETRY), "it is not known to be absent");
    }
}
