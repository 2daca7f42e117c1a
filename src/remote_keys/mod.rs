//! Keys that are fetched: a verifier that follows the key set its issuer publishes.
//!
//! One background thread fetches: by the clock, and when a token names a key that is not known. Verification itself never
//! waits for it. Whatever goes wrong on the way, the keys that are at hand stay.

mod address;
mod demand;
mod fetch;
mod watch;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use self::address::Address;
use self::demand::Demand;
use self::fetch::{Fetched, Fetcher};
use self::watch::Watch;
use crate::domain::access_token::AccessTokenRules;
use crate::domain::clock::Clock;
use crate::domain::keys::KeyError;
use crate::domain::verifier::Verifier;

/// Why the keys of an issuer cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwksError {
    /// The URL cannot be used.
    #[error("the URL of the key set {0}")]
    Url(&'static str),
    /// The issuer cannot be reached, or does not answer with a document.
    #[error("the key set at {url} cannot be fetched: {reason}")]
    Fetch {
        /// The URL, without its query.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The document is no key set, or holds a key that cannot be used.
    #[error("the key set at {url} cannot be used: {error}")]
    Keys {
        /// The URL, without its query.
        url: String,
        /// What is wrong with the document.
        error: KeyError,
    },
}

impl Verifier {
    /// A verifier for tokens of `issuer` meant for `audience`, by the public keys that the issuer publishes at `url`.
    ///
    /// The keys are fetched before this returns: a verifier that exists has keys. Afterwards a thread of its own keeps
    /// them fresh, until the last clone is dropped. It fetches again when the answer's `Cache-Control: max-age` is over
    /// (within 1 minute and 1 hour; 5 minutes where there is none), and every 30 seconds while that fails. Until it
    /// succeeds the old keys stay in use, and each failure is logged as a warning.
    ///
    /// A token that names an unknown key is refused at once as [`Invalid`](crate::TokenRefused::Invalid), and has the keys
    /// fetched: at most once in 30 seconds, and for one and the same unknown key once in 5 minutes. So a client whose
    /// token is signed by a key that was never announced is answered 401 `token_invalid` until that fetch is done, a
    /// moment later. Where the issuer publishes a key longer than `max-age` before it signs with it, nobody notices.
    /// A key that the issuer takes back is trusted until the next fetch.
    ///
    /// Only this URL is ever fetched, whatever a token says. It must be `https`, or `http` on a loopback host. Redirects are
    /// not followed. The answer may have 64 KiB and take 5 seconds. TLS trusts what the operating system trusts
    /// (`SSL_CERT_FILE` on Linux), and `HTTPS_PROXY` is heeded.
    ///
    /// Needs the feature `jwks-fetch`, and no particular runtime. Like [`from_jwks`](Self::from_jwks) it knows of no
    /// revocations.
    ///
    /// ```no_run
    /// use actix_authflow::{Guard, Verifier};
    ///
    /// # async fn start() -> Result<(), actix_authflow::JwksError> {
    /// let url = "https://login.example.com/auth/.well-known/jwks.json";
    /// let verifier = Verifier::from_jwks_url(url, "https://login.example.com", "my-api").await?;
    /// let guard = Guard::new(verifier);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`JwksError`] if the URL cannot be used or the first fetch fails. Nothing is left running then. A service that
    /// may start before its issuer tries again.
    pub async fn from_jwks_url(
        url: &str,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Result<Self, JwksError> {
        let address = Address::parse(url)?;
        let failed = address.clone();
        let rules = AccessTokenRules::new(issuer, audience);
        let (tell, told) = oneshot::channel();
        let work = move || {
            let fetcher = Fetcher::new(address);
            match fetcher.fetch() {
                Ok(first) => {
                    let verifier = Self::new(first.keys, rules, Clock::System);
                    let watch = watch(&verifier, fetcher);
                    // Where nobody waits any more, this drops the verifier, and with it the watch.
                    drop(tell.send(Ok(verifier)));
                    watch.run(first.fresh_for);
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        };
        let thread = thread::Builder::new().name("authflow-jwks".into()).spawn(work);
        thread.map_err(|error| failed.unreachable(&error))?;
        told.await.unwrap_or_else(|_| Err(failed.unreachable("the fetching thread ended")))
    }
}

/// Connects a verifier with the thread that fetches for it. The thread does not keep the verifier alive; it ends when the
/// verifier, and with it the sending half of the channel, is gone.
fn watch(verifier: &Verifier, fetcher: Fetcher) -> Watch<impl FnMut() -> Result<Fetched, JwksError> + use<>> {
    let demand = Arc::new(Mutex::new(Demand::default()));
    // One wish is enough: a fetch answers all of them.
    let (wake, woken) = mpsc::sync_channel(1);
    let asked = Arc::clone(&demand);
    verifier.on_unknown_key(move |kid| {
        let wanted = asked.lock().unwrap_or_else(PoisonError::into_inner).ask(kid, Instant::now());
        if wanted {
            // Full: a fetch is about to begin anyway.
            let _ = wake.try_send(());
        }
    });
    Watch { verifier: verifier.downgrade(), woken, demand, fetch: move || fetcher.fetch() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::keys::KeySet;

    #[test]
    fn the_thread_ends_with_the_last_verifier() {
        let jwk = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        let keys = KeySet::from_jwks(jwk.as_bytes()).unwrap();
        let verifier = Verifier::new(keys, AccessTokenRules::new("issuer", "audience"), Clock::System);
        let watch = watch(&verifier, Fetcher::new(Address::parse("http://localhost:1/").unwrap()));
        let (ended, end) = mpsc::channel();
        thread::spawn(move || {
            watch.run(Duration::from_secs(3600));
            ended.send(()).unwrap();
        });
        let clone = verifier.clone();
        drop(verifier);
        assert!(end.recv_timeout(Duration::from_millis(50)).is_err(), "a clone is left");
        drop(clone);
        end.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
