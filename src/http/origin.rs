//! Web origins (RFC 6454) in the form in which browsers send them.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// `scheme://host[:port]` with scheme `http` or `https`: lower case, in ASCII, without the scheme's default port, as RFC 6454
/// §6.2 serialises it. The opaque origin `null` is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Scheme,
    serialized: String,
}

/// A text that is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an origin: {fault}; write it like https://app.example.com or http://localhost:3000")]
pub(crate) struct InvalidOrigin {
    text: String,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("it has to begin with https:// or http://")]
    Scheme,
    #[error("nothing may follow the host and port, not even a slash")]
    Path,
    #[error("it must not hold a user name")]
    UserInfo,
    #[error("its host is not a name in ASCII, an IPv4 address or an IPv6 address in brackets")]
    Host,
    #[error("its port is not a number from 1 to 65535")]
    Port,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Origin {
    /// The serialised origin.
    pub(crate) fn as_str(&self) -> &str {
        &self.serialized
    }

    /// Reads an `Origin` header. `None` for everything that is not the origin of a web page.
    pub(crate) fn from_header(value: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(value).ok()?).ok()
    }

    /// Whether a `Host` header or a request's authority names the host and port of this origin. The scheme is not
    /// compared, since behind a proxy that terminates TLS it is not known; its default port may be written or left out.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        authority(host, self.scheme).is_ok_and(|host| host == self.serialized[self.scheme.prefix().len()..])
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let (scheme, rest) = text.split_once("://").ok_or(Fault::Scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(Fault::Scheme),
        };
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(Fault::Path);
        }
        if rest.contains('@') {
            return Err(Fault::UserInfo);
        }
        let serialized = format!("{}{}", scheme.prefix(), authority(rest, scheme)?);
        Ok(Self { scheme, serialized })
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    /// Reads an origin from a configuration. Upper case and a default port are put into the form that browsers send.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        Self::parse(text).map_err(|fault| InvalidOrigin { text: text.to_owned(), fault })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.serialized)
    }
}

impl Scheme {
    fn prefix(self) -> &'static str {
        match self {
            Self::Http => "http://",
            Self::Https => "https://",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// `host[:port]` in its normal form: lower case, and without the default port of the scheme.
fn authority(text: &str, scheme: Scheme) -> Result<String, Fault> {
    let host_len = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').ok_or(Fault::Host)? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(host_len);
    let host = normal_host(host).ok_or(Fault::Host)?;
    let port = match port {
        "" => scheme.default_port(),
        _ => port.strip_prefix(':').and_then(parse_port).ok_or(Fault::Port)?,
    };
    Ok(if port == scheme.default_port() { host } else { format!("{host}:{port}") })
}

fn normal_host(host: &str) -> Option<String> {
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return literal.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_valid = !host.is_empty() && !host.starts_with('.') && host.bytes().all(is_name);
    is_valid.then(|| host.to_ascii_lowercase())
}

/// Digits only: `u16::from_str` would take a sign as well.
fn parse_port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn origins_in_the_form_of_browsers() {
        for (text, expected) in [
            ("https://app.example.com", "https://app.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("HTTPS://App.Example.Com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("http://app.example.com:443", "http://app.example.com:443"),
            ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
            ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
            ("https://my_host", "https://my_host"),
            ("https://example.com.", "https://example.com."),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_origin_says_why() {
        for (text, fault) in [
            ("", Fault::Scheme),
            ("null", Fault::Scheme),
            ("*", Fault::Scheme),
            ("app.example.com", Fault::Scheme),
            ("//app.example.com", Fault::Scheme),
            ("https:app.example.com", Fault::Scheme),
            ("ftp://app.example.com", Fault::Scheme),
            ("chrome-extension://abcdefgh", Fault::Scheme),
            (" https://app.example.com", Fault::Scheme),
            ("https://app.example.com/", Fault::Path),
            ("https://app.example.com/path", Fault::Path),
            ("https://app.example.com?query", Fault::Path),
            ("https://app.example.com#fragment", Fault::Path),
            ("https://app.example.com\\evil", Fault::Path),
            ("https://user@app.example.com", Fault::UserInfo),
            ("https://user:password@app.example.com", Fault::UserInfo),
            ("https://", Fault::Host),
            ("https://:443", Fault::Host),
            ("https://.example.com", Fault::Host),
            ("https://*.example.com", Fault::Host),
            ("https://b\u{fc}cher.example", Fault::Host),
            ("https://app example.com", Fault::Host),
            ("https://app.example.com ", Fault::Host),
            ("https://a.example,https://b.example", Fault::Path),
            ("https://[::1", Fault::Host),
            ("https://[]", Fault::Host),
            ("https://[1.2.3.4]", Fault::Host),
            ("https://[fe80::1%25eth0]", Fault::Host),
            ("https://[::1]a", Fault::Port),
            ("https://app.example.com:", Fault::Port),
            ("https://app.example.com:0", Fault::Port),
            ("https://app.example.com:0443", Fault::Port),
            ("https://app.example.com:+443", Fault::Port),
            ("https://app.example.com:65536", Fault::Port),
            ("https://app.example.com:80:80", Fault::Port),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap_err().fault, fault, "{text:?}");
        }
        assert_eq!(
            "app.example.com".parse::<Origin>().unwrap_err().to_string(),
            "\"app.example.com\" is not an origin: it has to begin with https:// or http://; write it like \
             https://app.example.com or http://localhost:3000"
        );
    }

    #[test]
    fn hosts_compare_by_host_and_port() {
        for (origin, host, same) in [
            ("https://app.example", "app.example", true),
            ("https://app.example", "APP.Example", true),
            ("https://app.example", "app.example:443", true),
            ("https://app.example:443", "app.example", true),
            ("http://app.example", "app.example:80", true),
            ("https://app.example:8443", "app.example:8443", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://[::1]", "[0:0::1]", true),
            ("https://app.example", "app.example:80", false),
            ("http://app.example", "app.example:443", false),
            ("https://app.example", "app.example:8443", false),
            ("https://app.example:8443", "app.example", false),
            ("https://app.example", "evil.example", false),
            ("https://app.example", "app.example.evil.example", false),
            ("https://app.example.evil.example", "app.example", false),
            ("https://evilapp.example", "app.example", false),
            ("https://app.example", "app.example.", false),
            ("https://app.example", "user@app.example", false),
            ("https://app.example", "https://app.example", false),
            ("https://app.example", "app.example/", false),
            ("https://app.example", "", false),
            ("https://app.example", " app.example", false),
            ("https://app.example", "app.example:", false),
        ] {
            assert_eq!(origin.parse::<Origin>().unwrap().is_at(host), same, "{origin} {host}");
        }
    }

    proptest! {
        #[test]
        fn an_origin_reads_back_as_itself(text in "(http|HTTPS)://([a-zA-Z0-9._-]{1,12}|\\[[0-9a-f:]{2,12}\\])(:[0-9]{0,6})?") {
            if let Ok(origin) = text.parse::<Origin>() {
                prop_assert_eq!(origin.as_str().parse::<Origin>(), Ok(origin.clone()));
                prop_assert!(origin.is_at(text.split_once("://").unwrap().1));
            }
        }

        #[test]
        fn nothing_panics(text in "(https://)?.{0,40}") {
            let _ = text.parse::<Origin>();
        }
    }
}
