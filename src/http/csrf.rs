//! Whether a state-changing request comes from a page that may send it (cross-site request forgery).
//!
//! A decision on headers that scripts cannot set: `Origin` (RFC 6454 §7) and `Sec-Fetch-Site` (W3C Fetch Metadata).

use actix_web::dev::RequestHead;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};

use super::origin::Origin;
use crate::domain::event::OriginFault;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// From which pages requests are taken: those of the listed origins, or without a list those of the service's own host.
#[derive(Debug, Clone, Default)]
pub(crate) struct OriginPolicy {
    allowed: Vec<Origin>,
}

/// What a request without either header is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It passes: it comes from no browser, and something that no foreign page has is asked for as well.
    Optional,
    /// It is refused, because the cookie alone decides. `Sec-Fetch-Site: none` is no evidence then: it says that the user
    /// and no page caused the request, not that it is ours.
    Required,
}

impl OriginPolicy {
    /// A policy for these origins; an empty list means the service's own host only. With a list the own origin has to be on
    /// it as well if its pages send requests.
    pub(crate) fn new(allowed: Vec<Origin>) -> Self {
        Self { allowed }
    }

    /// Decides about a request to `host` (see [`requested_host`]).
    ///
    /// With a list, `Origin` has to be on it to the byte. Without one, `Sec-Fetch-Site: same-origin` or `none` passes, else
    /// the host and port of `Origin` have to be those requested. Where there is no `Origin`, `Sec-Fetch-Site` alone decides,
    /// and `evidence` where there is neither. `Origin: null` never passes.
    ///
    /// # Errors
    ///
    /// [`OriginFault`] names the rule.
    pub(crate) fn check(
        &self,
        headers: &HeaderMap,
        host: Option<&str>,
        evidence: Evidence,
    ) -> Result<(), OriginFault> {
        let origin = single(headers, ORIGIN)?;
        let site = single(headers, SEC_FETCH_SITE)?;
        single(headers, HOST)?;
        match origin {
            Some(origin) if origin == "null" => Err(OriginFault::Opaque),
            Some(origin) => self.check_origin(origin, site, host, evidence),
            None => check_site(site, evidence),
        }
    }

    fn check_origin(
        &self,
        origin: &HeaderValue,
        site: Option<&HeaderValue>,
        host: Option<&str>,
        evidence: Evidence,
    ) -> Result<(), OriginFault> {
        let passes = if self.allowed.is_empty() {
            site.is_some_and(|site| is_own_site(site, evidence)) || is_at_host(origin, host)
        } else {
            self.allowed.iter().any(|allowed| origin == allowed.as_str())
        };
        if passes { Ok(()) } else { Err(OriginFault::ForeignOrigin) }
    }
}

/// The host and port that the client asked for: the authority of the request's target, which HTTP/2 always and HTTP/1.1
/// sometimes sends (RFC 9113 §8.3.1, RFC 9112 §3.2.2), else the `Host` header.
///
/// Unlike the framework's `ConnectionInfo::host` it ignores `Forwarded` and `X-Forwarded-Host`, which anybody may send.
pub(crate) fn requested_host(head: &RequestHead) -> Option<&str> {
    match head.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => head.headers.get(HOST)?.to_str().ok(),
    }
}

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, OriginFault> {
    let mut values = headers.get_all(name);
    let first = values.next();
    if values.next().is_some() { Err(OriginFault::Repeated) } else { Ok(first) }
}

fn is_own_site(site: &HeaderValue, evidence: Evidence) -> bool {
    site == "same-origin" || (site == "none" && evidence == Evidence::Optional)
}

fn is_at_host(origin: &HeaderValue, host: Option<&str>) -> bool {
    match (Origin::from_header(origin.as_bytes()), host) {
        (Some(origin), Some(host)) => origin.is_at(host),
        _ => false,
    }
}

fn check_site(site: Option<&HeaderValue>, evidence: Evidence) -> Result<(), OriginFault> {
    match (site, evidence) {
        (Some(site), _) if is_own_site(site, evidence) => Ok(()),
        (Some(site), Evidence::Required) if site == "none" => Err(OriginFault::NoEvidence),
        (Some(_), _) => Err(OriginFault::ForeignSite),
        (None, Evidence::Optional) => Ok(()),
        (None, Evidence::Required) => Err(OriginFault::NoEvidence),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::Evidence::{Optional, Required};
    use super::OriginFault::{ForeignOrigin, ForeignSite, NoEvidence, Opaque, Repeated};
    use super::*;

    /// `name: value` lines to a map.
    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn check(allowed: &[&str], lines: &[&str], evidence: Evidence) -> Result<(), OriginFault> {
        let allowed = allowed.iter().map(|origin| origin.parse().unwrap()).collect();
        OriginPolicy::new(allowed).check(&headers(lines), Some("app.example"), evidence)
    }

    #[test]
    fn with_a_list_the_origin_is_on_it_exactly() {
        let list = ["https://app.example", "http://localhost:3000"];
        for (lines, expected) in [
            (&["origin: https://app.example"][..], Ok(())),
            (&["origin: http://localhost:3000"], Ok(())),
            (&["origin: https://app.example", "sec-fetch-site: cross-site"], Ok(())),
            (&["origin: https://app.example", "sec-fetch-site: same-site"], Ok(())),
            (&["origin: http://app.example"], Err(ForeignOrigin)),
            (&["origin: https://app.example:443"], Err(ForeignOrigin)),
            (&["origin: https://APP.example"], Err(ForeignOrigin)),
            (&["origin: https://app.example/"], Err(ForeignOrigin)),
            (&["origin: https://app.example.evil.example"], Err(ForeignOrigin)),
            (&["origin: https://sub.app.example"], Err(ForeignOrigin)),
            (&["origin: http://localhost:3001"], Err(ForeignOrigin)),
            (&["origin: https://evil.example", "sec-fetch-site: same-origin"], Err(ForeignOrigin)),
            (&["origin: "], Err(ForeignOrigin)),
            (&["origin: \u{e9}"], Err(ForeignOrigin)),
            (&["origin: null"], Err(Opaque)),
            (&["sec-fetch-site: same-origin"], Ok(())),
            (&["sec-fetch-site: none"], Ok(())),
            (&["sec-fetch-site: same-site"], Err(ForeignSite)),
            (&["sec-fetch-site: cross-site"], Err(ForeignSite)),
            (&[], Ok(())),
        ] {
            assert_eq!(check(&list, lines, Optional), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_list_without_the_own_origin_refuses_it() {
        assert_eq!(
            check(&["https://other.example"], &["origin: https://app.example"], Optional),
            Err(ForeignOrigin)
        );
    }

    #[test]
    fn without_a_list_the_browsers_word_or_the_same_host_passes() {
        for (lines, expected) in [
            (&["sec-fetch-site: same-origin"][..], Ok(())),
            (&["sec-fetch-site: none"], Ok(())),
            (&["sec-fetch-site: same-origin", "origin: http://127.0.0.1:5173"], Ok(())),
            (&["origin: https://app.example"], Ok(())),
            (&["origin: https://app.example:443"], Ok(())),
            (&["origin: http://app.example"], Ok(())),
            (&["origin: https://app.example", "x-forwarded-host: evil.example"], Ok(())),
            (&["origin: https://app.example:8443"], Err(ForeignOrigin)),
            (&["origin: https://evil.example"], Err(ForeignOrigin)),
            (&["origin: https://evil.example", "sec-fetch-site: cross-site"], Err(ForeignOrigin)),
            (&["origin: https://sub.app.example", "sec-fetch-site: same-site"], Err(ForeignOrigin)),
            (&["origin: https://evil.example", "x-forwarded-host: evil.example"], Err(ForeignOrigin)),
            (&["origin: https://evil.example", "forwarded: host=evil.example"], Err(ForeignOrigin)),
            (&["origin: chrome-extension://app.example"], Err(ForeignOrigin)),
            (&["origin: app.example"], Err(ForeignOrigin)),
            (&["origin: "], Err(ForeignOrigin)),
            (&["origin: null"], Err(Opaque)),
            (&["origin: null", "sec-fetch-site: same-origin"], Err(Opaque)),
            (&["sec-fetch-site: same-site"], Err(ForeignSite)),
            (&["sec-fetch-site: cross-site"], Err(ForeignSite)),
            (&["sec-fetch-site: Same-Origin"], Err(ForeignSite)),
            (&["sec-fetch-site: "], Err(ForeignSite)),
            (&[], Ok(())),
        ] {
            assert_eq!(check(&[], lines, Optional), expected, "{lines:?}");
        }
    }

    #[test]
    fn where_evidence_is_required_silence_is_refused() {
        for (lines, expected) in [
            (&["origin: https://app.example"][..], Ok(())),
            (&["sec-fetch-site: same-origin"], Ok(())),
            (&["sec-fetch-site: none", "origin: https://app.example"], Ok(())),
            (&["sec-fetch-site: none"], Err(NoEvidence)),
            (&["sec-fetch-site: none", "origin: https://evil.example"], Err(ForeignOrigin)),
            (&["sec-fetch-site: cross-site"], Err(ForeignSite)),
            (&["origin: null"], Err(Opaque)),
            (&[], Err(NoEvidence)),
        ] {
            assert_eq!(check(&[], lines, Required), expected, "{lines:?}");
        }
        let list = ["https://spa.example"];
        assert_eq!(check(&list, &["origin: https://spa.example"], Required), Ok(()));
        assert_eq!(check(&list, &["origin: https://app.example"], Required), Err(ForeignOrigin));
        assert_eq!(check(&list, &[], Required), Err(NoEvidence));
    }

    #[test]
    fn a_header_sent_twice_is_refused_whatever_it_says() {
        for line in ["origin: https://app.example", "sec-fetch-site: same-origin", "host: app.example"] {
            for list in [&[][..], &["https://app.example"]] {
                assert_eq!(check(list, &[line, line], Optional), Err(Repeated), "{line}");
            }
        }
    }

    #[test]
    fn without_a_host_no_origin_is_the_same() {
        let headers = headers(&["origin: https://app.example"]);
        assert_eq!(OriginPolicy::default().check(&headers, None, Optional), Err(ForeignOrigin));
        assert_eq!(OriginPolicy::default().check(&headers, Some(""), Optional), Err(ForeignOrigin));
    }

    #[test]
    fn ipv6_hosts_compare() {
        let headers = headers(&["origin: http://[::1]:8080"]);
        assert_eq!(OriginPolicy::default().check(&headers, Some("[::1]:8080"), Optional), Ok(()));
        assert_eq!(OriginPolicy::default().check(&headers, Some("[::1]"), Optional), Err(ForeignOrigin));
    }

    #[test]
    fn the_requested_host_is_the_targets_or_the_headers_and_never_a_forwarded_one() {
        let request = |uri: &str, lines: &[&str]| {
            let mut request = TestRequest::with_uri(uri);
            for line in lines {
                request = request.append_header(line.split_once(": ").unwrap());
            }
            let request = request.to_http_request();
            requested_host(request.head()).map(str::to_owned)
        };
        let forwarded =
            ["x-forwarded-host: evil.example", "forwarded: host=evil.example", "host: app.example:8080"];
        assert_eq!(request("/auth/login", &forwarded).as_deref(), Some("app.example:8080"));
        assert_eq!(request("https://app.example/auth/login", &[]).as_deref(), Some("app.example"));
        assert_eq!(request("https://app.example/", &["host: evil.example"]).as_deref(), Some("app.example"));
        assert_eq!(request("/auth/login", &["x-forwarded-host: evil.example"]), None);
        assert_eq!(request("/auth/login", &["host: \u{e9}"]), None);
    }
}
