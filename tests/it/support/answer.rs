//! An answer, read to its end.

use reqwest::Response;
use reqwest::header::{HeaderMap, SET_COOKIE};
use serde_json::Value;

/// What came back for a request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body, or null if it is not JSON.
    pub(crate) json: Value,
}

/// A `Set-Cookie` header, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetCookie {
    pub(crate) name: String,
    pub(crate) value: String,
    /// As they stand in the header, without the space before.
    pub(crate) attributes: Vec<String>,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, headers, text, json }
    }

    /// The machine-readable name of an error; empty for anything else.
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// A header's value; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The refresh cookie that was set. There is never more than one.
    #[track_caller]
    pub(crate) fn set_cookie(&self) -> Option<SetCookie> {
        self.only_cookie(|name| !name.ends_with("device"))
    }

    /// The cookie that was set by which the device is known again.
    #[track_caller]
    pub(crate) fn device_cookie(&self) -> Option<SetCookie> {
        self.only_cookie(|name| name.ends_with("device"))
    }

    #[track_caller]
    fn only_cookie(&self, is_wanted: impl Fn(&str) -> bool) -> Option<SetCookie> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        let cookies = cookies.map(|header| SetCookie::parse(header.to_str().unwrap()));
        let mut wanted = cookies.filter(|cookie| is_wanted(&cookie.name));
        let only = wanted.next();
        assert!(wanted.next().is_none(), "two cookies at once: {self:?}");
        only
    }

    /// The device token, by whichever way it came.
    #[track_caller]
    pub(crate) fn device_token(&self) -> Option<String> {
        let in_body = self.json["device_token"].as_str().map(str::to_owned);
        let in_cookie = self.device_cookie().map(|cookie| cookie.value);
        assert!(in_body.is_none() || in_cookie.is_none(), "both ways at once: {self:?}");
        in_body.or(in_cookie)
    }

    pub(crate) fn access_token(&self) -> Option<String> {
        self.json["access_token"].as_str().map(str::to_owned)
    }

    /// The refresh token, by whichever way it came.
    #[track_caller]
    pub(crate) fn refresh_token(&self) -> Option<String> {
        let in_body = self.json["refresh_token"].as_str().map(str::to_owned);
        let in_cookie = self.set_cookie().map(|cookie| cookie.value).filter(|value| !value.is_empty());
        assert!(in_body.is_none() || in_cookie.is_none(), "both ways at once: {self:?}");
        in_body.or(in_cookie)
    }

    #[track_caller]
    pub(crate) fn session_id(&self) -> String {
        self.json["session_id"].as_str().unwrap_or_else(|| panic!("no session in {self:?}")).to_owned()
    }

    /// Asserts the status, and passes the answer on.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Asserts that this is the error of this status and code, and passes the answer on.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Answer {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
        self
    }
}

impl SetCookie {
    fn parse(header: &str) -> SetCookie {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes = parts.map(str::to_owned).collect();
        SetCookie { name: name.to_owned(), value: value.to_owned(), attributes }
    }

    /// The value of an attribute; empty for one without, `None` if it is not there.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| {
            let (found, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn max_age(&self) -> Option<i64> {
        self.attribute("Max-Age").map(|value| value.parse().unwrap())
    }
}
