//! The cookies with credentials, read and written on bytes.
//!
//! actix-web's own lookup percent-decodes names, trims Unicode spaces, takes the first of two, and loses every cookie when
//! one is not UTF-8. Each of these lets a cookie that a sibling domain planted pass for ours in spite of its `__Host-`
//! prefix, so nothing here decodes, unquotes or folds anything.

use std::fmt;

use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue};
use zeroize::Zeroizing;

/// What a browser checks before it stores the cookie: set over TLS by this very host, for all paths, out of reach of scripts
/// (draft-ietf-httpbis-rfc6265bis "Cookie Name Prefixes" and its successor's `__Host-Http-`).
const PREFIX: &str = "__Host-Http-";
/// Prefixes that browsers give a meaning to, whatever the case.
const RESERVED_PREFIXES: [&str; 3] = ["__host-", "__secure-", "__http-"];
/// The longest name; the rest of what a browser keeps of a cookie is for the token.
const MAX_SUFFIX_BYTES: usize = 64;
/// Browsers drop a cookie whose name and value are longer together (rfc6265bis §5.6).
const MAX_COOKIE_BYTES: usize = 4096;

/// The suffix of the refresh cookie, where none is configured.
pub(crate) const DEFAULT_SUFFIX: &str = "refresh_token";
/// What the name of the cookie ends in by which a device is known again.
const DEVICE: &str = "device";
/// The suffix of the cookie that only shows what becomes of it.
const PROBE: &str = "authflow_probe";

/// The cookies of this library.
#[derive(Debug, Clone)]
pub(crate) struct Cookies {
    /// Holds the refresh token.
    pub(crate) refresh: CredentialCookie,
    /// Holds the device token, by which a device is known again at its next login.
    pub(crate) device: CredentialCookie,
    /// Holds nothing of worth: shows whether the others survive the way.
    pub(crate) probe: CredentialCookie,
}

/// A cookie with a credential: its name, and how it is read, set, cleared and hidden.
#[derive(Debug, Clone)]
pub(crate) struct CredentialCookie {
    name: String,
    security: Security,
    cleared: HeaderValue,
}

/// Whether browsers may send the cookie without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Security {
    /// `Secure`, and a name that browsers defend with the prefix `__Host-Http-`.
    Secure,
    /// Neither, for development on a loopback address without TLS.
    Insecure,
}

/// A name that the cookie cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no cookie name: use up to {MAX_SUFFIX_BYTES} letters, digits, '-', '.' or '_', neither {PROBE} nor ending in \
     {DEVICE}, such as {DEFAULT_SUFFIX}"
)]
pub(crate) struct InvalidCookieName(String);

/// A token that fits into no cookie: over 4,096 bytes with the name, or with a byte outside RFC 6265 §4.1.1 `cookie-octet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token does not fit into a cookie")]
pub(crate) struct InvalidCookieValue;

/// The request has our cookie twice. Which of them a browser's owner meant cannot be known, so neither is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cookie was sent more than once")]
pub(crate) struct DuplicateCookie;

/// The `name=value` pairs that [`CredentialCookie::strip`] took out of a request: normally one or none. Wiped when dropped.
#[derive(Clone, Default)]
pub(crate) struct StrippedCookie(Vec<Zeroizing<Vec<u8>>>);

impl Cookies {
    /// The refresh cookie under this suffix, and the cookie of the device under one that follows from it: `device`, or
    /// `<suffix>_device` where another suffix than the default tells applications on one host apart.
    ///
    /// # Errors
    ///
    /// [`InvalidCookieName`] if it is no name for a cookie, could be that of another application's device, or is that of the
    /// probe, whose value is told to the caller.
    pub(crate) fn new(suffix: &str, security: Security) -> Result<Self, InvalidCookieName> {
        if suffix.ends_with(DEVICE) || suffix == PROBE {
            return Err(InvalidCookieName(suffix.to_owned()));
        }
        let refresh = CredentialCookie::new(suffix, security)?;
        let device = match suffix {
            DEFAULT_SUFFIX => DEVICE.to_owned(),
            other => format!("{other}_{DEVICE}"),
        };
        let (device, probe) =
            (CredentialCookie::named(&device, security)?, CredentialCookie::named(PROBE, security)?);
        Ok(Self { refresh, device, probe })
    }

    /// Takes both cookies out of the request. See [`CredentialCookie::strip`].
    pub(crate) fn strip(&self, headers: &mut HeaderMap) -> StrippedCookie {
        let mut stripped = self.refresh.strip(headers);
        stripped.extend(self.device.strip(headers));
        stripped
    }
}

impl CredentialCookie {
    /// The cookie `__Host-Http-<suffix>`, or plain `<suffix>` if it is insecure. The suffix is configurable because cookies
    /// know no ports: two services on one host need two names.
    ///
    /// # Errors
    ///
    /// [`InvalidCookieName`] unless the suffix is an RFC 9110 §5.6.2 `token` of at most 64 bytes, without a prefix that has a
    /// meaning of its own.
    fn new(suffix: &str, security: Security) -> Result<Self, InvalidCookieName> {
        let lower = suffix.to_ascii_lowercase();
        let is_reserved = RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
        let is_token =
            !suffix.is_empty() && suffix.len() <= MAX_SUFFIX_BYTES && suffix.bytes().all(is_token_byte);
        if is_token && !is_reserved {
            Self::named(suffix, security)
        } else {
            Err(InvalidCookieName(suffix.to_owned()))
        }
    }

    fn named(suffix: &str, security: Security) -> Result<Self, InvalidCookieName> {
        let name = match security {
            Security::Secure => format!("{PREFIX}{suffix}"),
            Security::Insecure => suffix.to_owned(),
        };
        let cleared =
            render(&name, security, "", Some(0)).map_err(|_| InvalidCookieName(suffix.to_owned()))?;
        Ok(Self { name, security, cleared })
    }

    #[cfg(test)]
    fn name(&self) -> &str {
        &self.name
    }

    /// The cookie's value, from however many `Cookie` headers there are and from what was stripped of them. Other cookies may
    /// be as broken as they like.
    ///
    /// # Errors
    ///
    /// [`DuplicateCookie`] if the name occurs twice, even with the same value.
    pub(crate) fn read<'a>(
        &self,
        headers: &'a HeaderMap,
        stripped: &'a StrippedCookie,
    ) -> Result<Option<&'a [u8]>, DuplicateCookie> {
        let stripped = stripped.0.iter().filter_map(|pair| self.value_of(pair));
        let mut values = self.values(headers).chain(stripped);
        let first = values.next();
        if values.next().is_some() { Err(DuplicateCookie) } else { Ok(first) }
    }

    /// Every value under the cookie's name, in these headers.
    pub(crate) fn values<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> {
        headers.get_all(COOKIE).flat_map(pairs).filter_map(|pair| self.value_of(pair))
    }

    /// A `Set-Cookie` that stores the token for `max_age` seconds, or until the browser closes. A life of less than a second
    /// counts as one, because a `Max-Age` of 0 would remove the cookie instead.
    ///
    /// # Errors
    ///
    /// [`InvalidCookieValue`] if the token cannot stand in a cookie; those of this library always can.
    pub(crate) fn set(&self, token: &str, max_age: Option<u64>) -> Result<HeaderValue, InvalidCookieValue> {
        render(&self.name, self.security, token, max_age.map(|seconds| seconds.max(1)))
    }

    /// A `Set-Cookie` that removes the cookie, with the attributes it was set with: a browser ignores any other.
    pub(crate) fn clear(&self) -> HeaderValue {
        self.cleared.clone()
    }

    /// Takes our cookie out of the request, so that neither the application's handlers nor its logs see it, and returns what
    /// was there. Every other cookie stays byte for byte, in its place and header.
    pub(crate) fn strip(&self, headers: &mut HeaderMap) -> StrippedCookie {
        let is_ours = |pair: &&[u8]| self.value_of(pair).is_some();
        let mut stripped = StrippedCookie::default();
        for header in headers.remove(COOKIE).collect::<Vec<_>>() {
            if !pairs(&header).any(|pair| is_ours(&pair)) {
                headers.append(COOKIE, header);
                continue;
            }
            stripped.0.extend(pairs(&header).filter(is_ours).map(|pair| Zeroizing::new(pair.to_vec())));
            let rest: Vec<&[u8]> = pairs(&header).filter(|pair| !is_ours(pair)).collect();
            let rest = rest.join(&b';');
            // A part of a valid value is valid. Should it not be, losing a cookie is better than showing ours.
            if let (false, Ok(rest)) = (trim(&rest).is_empty(), HeaderValue::from_bytes(trim(&rest))) {
                headers.append(COOKIE, rest);
            }
        }
        stripped
    }

    /// The value of a `name=value` pair, if the name is ours to the byte.
    fn value_of<'a>(&self, pair: &'a [u8]) -> Option<&'a [u8]> {
        trim(pair).strip_prefix(self.name.as_bytes())?.strip_prefix(b"=")
    }
}

impl StrippedCookie {
    /// Adds what was stripped of the same request later: by a second middleware, perhaps for a second cookie.
    pub(crate) fn extend(&mut self, later: StrippedCookie) {
        self.0.extend(later.0);
    }
}

impl fmt::Debug for StrippedCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StrippedCookie([REDACTED]; {})", self.0.len())
    }
}

/// The only place that writes attributes, so that storing and removing cannot disagree. No `Domain`: `__Host-` forbids it.
fn render(
    name: &str,
    security: Security,
    value: &str,
    max_age: Option<u64>,
) -> Result<HeaderValue, InvalidCookieValue> {
    if name.len() + value.len() > MAX_COOKIE_BYTES || !value.bytes().all(is_cookie_octet) {
        return Err(InvalidCookieValue);
    }
    let secure = match security {
        Security::Secure => " Secure;",
        Security::Insecure => "",
    };
    let life = match max_age {
        None => String::new(),
        Some(0) => "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT".to_owned(),
        Some(seconds) => format!("; Max-Age={seconds}"),
    };
    let text = Zeroizing::new(format!("{name}={value}; Path=/;{secure} HttpOnly; SameSite=Strict{life}"));
    let mut header = HeaderValue::from_str(&text).map_err(|_| InvalidCookieValue)?;
    header.set_sensitive(true);
    Ok(header)
}

fn pairs(header: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    header.as_bytes().split(|&byte| byte == b';')
}

/// Without the spaces and tabs at both ends, and no other white space.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// RFC 9110 §5.6.2 `tchar`.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 6265 §4.1.1 `cookie-octet`: visible ASCII but `"`, `,`, `;` and `\`.
fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cookie() -> CredentialCookie {
        CredentialCookie::new("refresh_token", Security::Secure).unwrap()
    }

    fn headers(cookies: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in cookies {
            headers.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn read(headers: &HeaderMap) -> Result<Option<&[u8]>, DuplicateCookie> {
        static NOTHING: StrippedCookie = StrippedCookie(Vec::new());
        cookie().read(headers, &NOTHING)
    }

    fn left(headers: &HeaderMap) -> Vec<&[u8]> {
        headers.get_all(COOKIE).map(HeaderValue::as_bytes).collect()
    }

    #[test]
    fn attributes_of_a_stored_cookie() {
        let insecure = CredentialCookie::new("refresh_token", Security::Insecure).unwrap();
        for (cookie, max_age, expected) in [
            (
                cookie(),
                Some(60),
                "__Host-Http-refresh_token=rt_x; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=60",
            ),
            (cookie(), None, "__Host-Http-refresh_token=rt_x; Path=/; Secure; HttpOnly; SameSite=Strict"),
            (insecure.clone(), Some(60), "refresh_token=rt_x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"),
            (insecure.clone(), None, "refresh_token=rt_x; Path=/; HttpOnly; SameSite=Strict"),
            (insecure, Some(0), "refresh_token=rt_x; Path=/; HttpOnly; SameSite=Strict; Max-Age=1"),
        ] {
            assert_eq!(cookie.set("rt_x", max_age).unwrap(), expected);
        }
    }

    #[test]
    fn a_cookie_is_cleared_with_the_attributes_it_was_set_with() {
        for security in [Security::Secure, Security::Insecure] {
            let cookie = CredentialCookie::new("refresh_token", security).unwrap();
            let attributes = |header: HeaderValue| {
                let text = header.to_str().unwrap().to_owned();
                let kept = text
                    .split("; ")
                    .skip(1)
                    .filter(|part| !part.starts_with("Max-Age") && !part.starts_with("Expires"));
                kept.map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(attributes(cookie.clear()), attributes(cookie.set("rt_x", Some(60)).unwrap()));
        }
        assert_eq!(
            cookie().clear(),
            "__Host-Http-refresh_token=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
    }

    #[test]
    fn a_token_that_could_leave_its_place_is_refused() {
        for token in ["a;b", "a b", "a,b", "a\"b", "a\\b", "a\r\nSet-Cookie: b", "\u{e9}", "\u{7f}"] {
            assert_eq!(cookie().set(token, None), Err(InvalidCookieValue), "{token:?}");
        }
        let room = MAX_COOKIE_BYTES - cookie().name().len();
        assert!(cookie().set(&"t".repeat(room), None).is_ok());
        assert_eq!(cookie().set(&"t".repeat(room + 1), None), Err(InvalidCookieValue));
    }

    #[test]
    fn names_are_tokens_without_a_reserved_prefix() {
        for suffix in ["refresh_token", "r", "app-1.refresh", "__refresh"] {
            assert_eq!(
                CredentialCookie::new(suffix, Security::Secure).unwrap().name(),
                format!("__Host-Http-{suffix}")
            );
            assert_eq!(CredentialCookie::new(suffix, Security::Insecure).unwrap().name(), suffix);
        }
        let long = "r".repeat(MAX_SUFFIX_BYTES + 1);
        for suffix in [
            "",
            "a b",
            "a=b",
            "a;b",
            "\u{e9}",
            "a\n",
            "__Host-a",
            "__host-a",
            "__SECURE-a",
            "__Http-a",
            &long,
        ] {
            assert_eq!(CredentialCookie::new(suffix, Security::Insecure).unwrap_err().0, suffix);
        }
    }

    #[test]
    fn the_cookie_of_the_device_follows_the_name_of_the_other() {
        for (suffix, device) in [("refresh_token", "device"), ("shop", "shop_device")] {
            let cookies = Cookies::new(suffix, Security::Secure).unwrap();
            assert_eq!(cookies.refresh.name(), format!("{PREFIX}{suffix}"));
            assert_eq!(cookies.device.name(), format!("{PREFIX}{device}"));
        }
        assert!(Cookies::new(&"r".repeat(MAX_SUFFIX_BYTES), Security::Secure).is_ok());
        for suffix in ["device", "shop_device", "authflow_probe", "a;b"] {
            assert_eq!(Cookies::new(suffix, Security::Secure).unwrap_err().0, suffix);
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for cookies in [
            &[&b"__Host-Http-refresh_token=v"[..]][..],
            &[b"a=1; __Host-Http-refresh_token=v; b=2"],
            &[b"a=1;__Host-Http-refresh_token=v"],
            &[b"a=1; \t __Host-Http-refresh_token=v\t ;b"],
            &[b"a=1", b"__Host-Http-refresh_token=v"],
            &[b"a=\xff\xfe; __Host-Http-refresh_token=v"],
            &[b"%zz=%; =; ;;\"; __Host-Http-refresh_token=v"],
            &[b"__host-http-refresh_token=other; __Host-Http-refresh_token=v"],
            &[b"refresh_token=other; __Host-refresh_token=other; __Host-Http-refresh_token=v"],
        ] {
            assert_eq!(read(&headers(cookies)), Ok(Some(&b"v"[..])), "{cookies:?}");
        }
    }

    #[test]
    fn the_value_is_taken_as_it_stands() {
        for value in [&b""[..], b"\"v\"", b"a=b", b"%41", b"\xc2\xa0v", b"\xff"] {
            let sent = [b"__Host-Http-refresh_token=", value].concat();
            assert_eq!(read(&headers(&[&sent])), Ok(Some(value)));
        }
    }

    #[test]
    fn a_name_that_only_resembles_ours_is_another_cookie() {
        for sent in [
            &b"__Host-Http-refresh_token"[..],
            b"__Host-Http-refresh_token2=v",
            b"__Host-Http-refresh_token =v",
            b"__HOST-HTTP-REFRESH_TOKEN=v",
            b"%5F%5FHost-Http-refresh_token=v",
            b"\xe2\x80\x80__Host-Http-refresh_token=v",
            b"\xc2\x85__Host-Http-refresh_token=v",
            b"\xc2\xa0__Host-Http-refresh_token=v",
            b"\xa0__Host-Http-refresh_token=v",
            b"\"__Host-Http-refresh_token\"=v",
            b"=__Host-Http-refresh_token=v",
            b"$Version=1, __Host-Http-refresh_token=v",
            b"a=__Host-Http-refresh_token=v",
            b"refresh_token=v",
        ] {
            assert_eq!(read(&headers(&[sent])), Ok(None), "{sent:?}");
        }
        assert_eq!(read(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn the_same_name_twice_is_refused() {
        for cookies in [
            &[&b"__Host-Http-refresh_token=v; __Host-Http-refresh_token=w"[..]][..],
            &[b"__Host-Http-refresh_token=v; __Host-Http-refresh_token=v"],
            &[b"__Host-Http-refresh_token=v", b"__Host-Http-refresh_token=w"],
            &[b"__Host-Http-refresh_token=; a=1", b"b=1; __Host-Http-refresh_token=v"],
        ] {
            assert_eq!(read(&headers(cookies)), Err(DuplicateCookie), "{cookies:?}");
            let stripped = cookie().strip(&mut headers(cookies));
            assert_eq!(cookie().read(&HeaderMap::new(), &stripped), Err(DuplicateCookie), "{cookies:?}");
        }
    }

    #[test]
    fn stripping_leaves_the_others_byte_for_byte() {
        for (cookies, rest) in [
            (&[&b"a=1; __Host-Http-refresh_token=v; b=2"[..]][..], &[&b"a=1; b=2"[..]][..]),
            (&[b"__Host-Http-refresh_token=v; b=2"], &[b"b=2"]),
            (&[b"a=1; __Host-Http-refresh_token=v"], &[b"a=1"]),
            (&[b"__Host-Http-refresh_token=v"], &[]),
            (&[b" __Host-Http-refresh_token=v ; "], &[]),
            (&[b"a=\xff;  b=\"x\";;__Host-Http-refresh_token=v;c"], &[b"a=\xff;  b=\"x\";;c"]),
            (&[b"a=1", b"__Host-Http-refresh_token=v", b" b=2 "], &[b"a=1", b" b=2 "]),
            (&[b"__Host-Http-refresh_token=v;a=1;__Host-Http-refresh_token=w"], &[b"a=1"]),
        ] {
            let mut headers = headers(cookies);
            let expected = read(&headers.clone()).map(|value| value.map(<[u8]>::to_vec));
            let stripped = cookie().strip(&mut headers);
            assert_eq!(left(&headers), rest, "{cookies:?}");
            assert_eq!(cookie().read(&headers, &stripped).map(|value| value.map(<[u8]>::to_vec)), expected);
            assert_eq!(read(&headers), Ok(None));
        }
    }

    #[test]
    fn headers_without_the_cookie_are_not_touched() {
        let sent: [&[u8]; 2] = [b" a=1;; ", b"b=2; refresh_token=x"];
        let mut headers = headers(&sent);
        assert!(cookie().strip(&mut headers).0.is_empty());
        assert_eq!(left(&headers), sent);
    }

    #[test]
    fn each_cookie_is_read_from_what_was_stripped_of_both() {
        let other = CredentialCookie::new("staff", Security::Secure).unwrap();
        let mut headers = headers(&[b"__Host-Http-staff=s; a=1; __Host-Http-refresh_token=v"]);
        let mut stripped = cookie().strip(&mut headers);
        assert_eq!(other.read(&headers, &stripped), Ok(Some(&b"s"[..])), "this one was not stripped");
        stripped.extend(other.strip(&mut headers));
        stripped.extend(cookie().strip(&mut headers));
        assert_eq!(other.read(&headers, &stripped), Ok(Some(&b"s"[..])));
        assert_eq!(cookie().read(&headers, &stripped), Ok(Some(&b"v"[..])));
        assert_eq!(left(&headers), [b"a=1"]);
    }

    #[test]
    fn debug_shows_no_token() {
        let stripped = cookie().strip(&mut headers(&[b"__Host-Http-refresh_token=hidden"]));
        assert_eq!(format!("{stripped:?}"), "StrippedCookie([REDACTED]; 1)");
        assert!(!format!("{:?}", cookie().set("hidden", None)).contains("hidden"));
    }

    proptest! {
        #[test]
        fn stripping_hides_every_copy_and_nothing_else(parts in prop::collection::vec("(__Host-Http-refresh_token=)?[ -:<-~]{0,8}", 0..6)) {
            let mut headers = headers(&[parts.join(";").as_bytes()]);
            let others: Vec<_> = parts.iter().map(|part| part.trim()).filter(|part| !part.starts_with("__Host-Http-refresh_token=")).collect();
            let stripped = cookie().strip(&mut headers);
            prop_assert_eq!(stripped.0.len(), parts.len() - others.len());
            prop_assert_eq!(read(&headers), Ok(None));
            let left: Vec<_> = headers.get_all(COOKIE).flat_map(pairs).map(|pair| String::from_utf8_lossy(trim(pair)).into_owned()).collect();
            if !others.iter().all(|other| other.is_empty()) {
                prop_assert_eq!(left, others);
            }
        }
    }
}
