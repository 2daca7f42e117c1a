//! One fetch of a key set.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use ureq::Agent;
use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{RootCerts, TlsConfig};

use super::JwksError;
use super::address::Address;
use crate::domain::keys::KeySet;

/// How long a fetch may take, from the look-up of the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest document.
const MAX_BYTES: u64 = 64 * 1024;
/// The largest head of an answer.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// For how long a document is kept: what the issuer says, within these bounds.
const MIN_FRESH: Duration = Duration::from_secs(60);
const MAX_FRESH: Duration = Duration::from_secs(60 * 60);
/// Where it says nothing.
const DEFAULT_FRESH: Duration = Duration::from_secs(5 * 60);

/// A set of keys, and how long it is good for.
pub(super) struct Fetched {
    pub(super) keys: KeySet,
    pub(super) fresh_for: Duration,
}

/// Fetches from one address, and from nowhere else.
pub(super) struct Fetcher {
    agent: Agent,
    address: Address,
}

impl Fetcher {
    pub(super) fn new(address: Address) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .https_only(!address.is_loopback())
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_response_header_size(MAX_HEADER_BYTES)
            // The next fetch is minutes away.
            .max_idle_connections(0)
            .user_agent(concat!("actix-authflow/", env!("CARGO_PKG_VERSION")))
            .accept("application/jwk-set+json, application/json");
        if address.is_loopback() {
            config = config.proxy(None);
        }
        Self { agent: config.build().new_agent(), address }
    }

    pub(super) fn fetch(&self) -> Result<Fetched, JwksError> {
        let unreachable = |error: ureq::Error| self.address.unreachable(error);
        let mut response = self.agent.get(self.address.uri()).call().map_err(unreachable)?;
        self.check_status(&response)?;
        let fresh_for = fresh_for(response.headers());
        let body = response.body_mut().with_config().limit(MAX_BYTES).read_to_vec().map_err(unreachable)?;
        let keys = KeySet::from_jwks(&body)
            .map_err(|error| JwksError::Keys { url: self.address.to_string(), error })?;
        Ok(Fetched { keys, fresh_for })
    }

    fn check_status<T>(&self, response: &Response<T>) -> Result<(), JwksError> {
        let status = response.status();
        match status.as_u16() {
            200 => Ok(()),
            300..400 => {
                Err(self.address.unreachable(format_args!("answered {status}; redirects are not followed")))
            }
            _ => Err(self.address.unreachable(format_args!("answered {status}"))),
        }
    }
}

/// The freshness that is left to an answer (RFC 9111 §4.2), within bounds of our own.
fn fresh_for(headers: &HeaderMap) -> Duration {
    let age = headers.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    let directives = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let max_age = directives.flat_map(|value| value.split(',')).find_map(max_age);
    let left = max_age.map(|max_age| Duration::from_secs(max_age.saturating_sub(age)));
    left.unwrap_or(DEFAULT_FRESH).clamp(MIN_FRESH, MAX_FRESH)
}

fn max_age(directive: &str) -> Option<u64> {
    let (name, seconds) = directive.trim().split_once('=')?;
    if name.eq_ignore_ascii_case("max-age") { seconds.trim_matches('"').parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_says_how_long_its_keys_are_good_within_bounds() {
        for (cache_control, age, seconds) in [
            ("public, max-age=300", "", 300),
            ("MAX-AGE=\"600\", public", "", 600),
            ("max-age=600, stale-if-error=5", "250", 350),
            ("max-age=600", "900", 60),
            ("max-age=0, must-revalidate", "", 60),
            ("max-age=1", "", 60),
            ("max-age=86400", "", 3600),
            ("max-age=99999999999999999999999", "", 300),
            ("max-age=-5", "", 300),
            ("s-maxage=600", "", 300),
            ("no-store", "nonsense", 300),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, cache_control.parse().unwrap());
            headers.insert(header::AGE, age.parse().unwrap());
            assert_eq!(fresh_for(&headers).as_secs(), seconds, "{cache_control} {age}");
        }
        assert_eq!(fresh_for(&HeaderMap::new()), DEFAULT_FRESH);
    }
}
