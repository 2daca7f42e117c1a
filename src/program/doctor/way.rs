//! The way to the service: the requests that are sent along it, and what comes back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::{HeaderMap, Request, Uri, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, AsSendBody};

use super::super::Result;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Answers of the service are far smaller.
const MAX_ANSWER_BYTES: u64 = 256 * 1024;
/// A client address that is nobody's (RFC 5737): whoever is taken for it was believed.
pub(super) const PRETENDED_ADDRESS: &str = "192.0.2.66";
/// The longest body that the service reads is 16 KiB; this one it takes.
const LONG_BODY_BYTES: usize = 15 * 1024;

/// The address of a scope, and what sends requests to it.
pub(super) struct Way {
    agent: Agent,
    uri: Uri,
}

/// What came of the requests.
pub(super) struct Observed {
    pub(super) url: Uri,
    /// The report, asked for twice.
    pub(super) reports: [Answer; 2],
    /// The report, asked for as a page of the same origin would, with the cookie of the first.
    pub(super) posted: Answer,
    /// The same with a long body.
    pub(super) long: Answer,
    /// A path that is not there.
    pub(super) nowhere: Answer,
    /// A guarded route, with something in place of a token.
    pub(super) guarded: Answer,
}

/// An answer, whoever gave it.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// What the service says of a request, at `/doctor`.
#[derive(Deserialize)]
pub(super) struct Report {
    pub(super) nonce: String,
    pub(super) host: Option<String>,
    pub(super) forwarded_proto: Option<String>,
    pub(super) forwarded_for: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) peer_is_trusted: bool,
    pub(super) client: Option<String>,
    pub(super) probes: Vec<String>,
    pub(super) set_cookie: String,
}

/// The part of a problem document (RFC 9457) that programs decide by.
#[derive(Deserialize)]
struct Problem {
    code: String,
}

impl Way {
    pub(super) fn to(url: &str) -> Result<Self> {
        let uri: Uri = url.trim_end_matches('/').parse().map_err(|error| format!("--url {url}: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https"))
            || uri.host().is_none()
            || uri.query().is_some()
        {
            return Err(format!(
                "--url {url} is no address of a scope (for example: https://app.example.com/auth)"
            )
            .into());
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .max_redirects(0)
            .http_status_as_error(false)
            .allow_non_standard_methods(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("authflow-doctor/", env!("CARGO_PKG_VERSION")));
        Ok(Self { agent: config.build().new_agent(), uri })
    }

    /// Sends the requests one after the other.
    pub(super) fn observe(self) -> Result<Observed> {
        let reports = [self.get("/doctor", None)?, self.get("/doctor", None)?];
        let cookie = reports[0].json::<Report>().and_then(|report| pair(&report.set_cookie));
        let long = format!(r#"{{"padding":"{}"}}"#, "-".repeat(LONG_BODY_BYTES));
        Ok(Observed {
            posted: self.post("{}", cookie.as_deref())?,
            long: self.post(&long, None)?,
            nowhere: self.get("/nowhere", None)?,
            guarded: self.get("/me", Some("Bearer authflow-doctor"))?,
            reports,
            url: self.uri,
        })
    }

    fn get(&self, path: &str, authorization: Option<&str>) -> Result<Answer> {
        let mut request = Request::get(self.at(path)).header("X-Forwarded-For", PRETENDED_ADDRESS);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(())?)
    }

    /// What a page of the same origin sends.
    fn post(&self, body: &str, cookie: Option<&str>) -> Result<Answer> {
        let mut request = Request::post(self.at("/doctor"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ORIGIN, self.origin());
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        self.send(request.body(body)?)
    }

    fn send(&self, request: Request<impl AsSendBody>) -> Result<Answer> {
        let path = request.uri().path().to_owned();
        let unreachable =
            |error: ureq::Error| format!("{path} of {} cannot be reached: {error}", self.origin());
        let mut response = self.agent.run(request).map_err(unreachable)?;
        let body =
            response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec().map_err(unreachable)?;
        let (head, _) = response.into_parts();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    fn at(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    fn origin(&self) -> String {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{}://{authority}", self.uri.scheme_str().unwrap_or_default())
    }
}

/// As it was asked for, without a slash at the end.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.uri.path().trim_end_matches('/'))
    }
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.body).ok()
    }

    /// The code of a refusal of the service itself.
    pub(super) fn code(&self) -> Option<String> {
        Some(self.json::<Problem>()?.code)
    }

    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The `name=value` of a `Set-Cookie`.
fn pair(set_cookie: &str) -> Option<String> {
    Some(set_cookie.split(';').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_named_by_its_address() {
        for (url, shown) in [
            ("https://app.example.com/auth", "https://app.example.com/auth"),
            ("https://app.example.com/auth/", "https://app.example.com/auth"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(Way::to(url).unwrap().to_string(), shown);
        }
        for url in
            ["", "app.example.com/auth", "/auth", "ftp://app.example.com", "https://app.example.com/auth?a=b"]
        {
            assert!(Way::to(url).is_err(), "{url}");
        }
    }
}
