//! What a request proves, told from what is sent and not from what was done to it: much of that leaves credentials whole.

use serde_json::Value;

use super::{COOKIE, Client};
use crate::support::PASSWORD;
use crate::surface::Request;

/// What a route has to be shown before it does anything.
#[derive(Debug, Clone, Copy)]
pub(super) enum Demand {
    Nothing,
    Password,
    AccessToken,
    /// For a new password.
    AccessTokenAndPassword,
    BothTokens,
    /// To log out.
    EitherToken,
}

impl Demand {
    /// Whether the request has what is demanded, to the byte.
    pub(super) fn is_met(self, request: &Request, client: &Client) -> bool {
        let body = request.json();
        let access_token = || has_access_token(request, client);
        let refresh_token = || has_refresh_token(request, &body, client);
        match self {
            Self::Nothing => true,
            // An address may be spelled in several ways.
            Self::Password => {
                let email = body["email"].as_str().unwrap_or_default();
                email.eq_ignore_ascii_case("alice@example.com") && body["password"] == PASSWORD
            }
            Self::AccessToken => access_token(),
            Self::AccessTokenAndPassword => access_token() && body["current_password"] == PASSWORD,
            Self::BothTokens => access_token() && refresh_token(),
            Self::EitherToken => access_token() || refresh_token(),
        }
    }
}

fn has_access_token(request: &Request, client: &Client) -> bool {
    request.values("Authorization").any(|value| {
        let (scheme, token) = value.split_at_checked("Bearer ".len()).unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"Bearer ") && token.trim_ascii() == client.access_token.as_bytes()
    })
}

fn has_refresh_token(request: &Request, body: &Value, client: &Client) -> bool {
    let genuine = format!("{COOKIE}={}", client.refresh_token);
    let mut cookies = request.values("Cookie").flat_map(|header| header.split(|&byte| byte == b';'));
    body["refresh_token"] == client.refresh_token
        || cookies.any(|cookie| cookie.trim_ascii() == genuine.as_bytes())
}
