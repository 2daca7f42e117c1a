//! Where an issuer publishes its keys.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use super::JwksError;

/// A URL that may be fetched: `https` anywhere, `http` on this machine only.
#[derive(Clone)]
pub(super) struct Address {
    uri: Uri,
    is_loopback: bool,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, JwksError> {
        let uri: Uri = url.parse().map_err(|_| JwksError::Url("is malformed"))?;
        let authority = uri.authority().ok_or(JwksError::Url("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(JwksError::Url("must not hold credentials"));
        }
        let is_loopback = is_loopback(authority.host());
        match uri.scheme_str() {
            Some("https") => Ok(Self { uri, is_loopback }),
            Some("http") if is_loopback => Ok(Self { uri, is_loopback }),
            Some("http") => Err(JwksError::Url("must be https; plain http is for loopback hosts only")),
            _ => Err(JwksError::Url("must be https")),
        }
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    pub(super) fn unreachable(&self, reason: impl fmt::Display) -> JwksError {
        JwksError::Fetch { url: self.to_string(), reason: reason.to_string() }
    }
}

/// Without the query, in which somebody may have put a secret.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}{}", self.uri.scheme_str().unwrap_or_default(), self.uri.path())
    }
}

fn is_loopback(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || literal.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_for_everybody_and_http_for_this_machine() {
        for url in [
            "https://login.example.com/auth/.well-known/jwks.json",
            "HTTPS://login.example.com:8443/jwks",
            "https://10.0.0.1/jwks",
            "http://localhost:8080/jwks",
            "http://127.0.0.1/jwks",
            "http://127.8.8.8:1/jwks",
            "http://[::1]:8080/jwks",
        ] {
            assert!(Address::parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "http://login.example.com/jwks",
            "http://10.0.0.1/jwks",
            "http://0.0.0.0/jwks",
            "http://[::]/jwks",
            "http://localhost.example.com/jwks",
            "http://127.0.0.1.example.com/jwks",
            "http://127.0.0.1@login.example.com/jwks",
            "https://user:password@login.example.com/jwks",
            "ftp://localhost/jwks",
            "file:///etc/jwks.json",
            "/jwks",
            "login.example.com",
            "https://",
            "",
        ] {
            assert!(matches!(Address::parse(url).map(drop), Err(JwksError::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let address = Address::parse("https://login.example.com/jwks?token=secret").unwrap();
        assert_eq!(address.to_string(), "https://login.example.com/jwks");
    }
}
