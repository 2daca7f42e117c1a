//! Success answers: tokens in JSON, the refresh token in its cookie or, for body sessions, in the JSON as well.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;

use super::cookie::Cookies;
use crate::domain::device::{DEVICE_LIFE, DeviceToken};
use crate::domain::ids::SessionId;
use crate::domain::session::Transport;
use crate::domain::user::User;
use crate::service::Grant;

/// The answer of every operation that issues tokens (RFC 6749 §5.1).
#[derive(Serialize)]
struct Tokens<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    session_id: SessionId,
    user: &'a User,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<&'a str>,
}

/// Hands a grant to the client by the transport of its session.
pub(super) fn tokens(status: StatusCode, grant: &Grant, cookies: &Cookies) -> HttpResponse {
    let in_body = grant.transport == Transport::Body;
    let device = grant.device.as_ref().map(DeviceToken::expose);
    let mut response = HttpResponse::build(status);
    if !in_body {
        let max_age = |seconds| grant.persistent.then(|| u64::try_from(seconds).unwrap_or(0));
        let refresh = cookies.refresh.set(&grant.refresh_token, max_age(grant.refresh_expires_in));
        let device = device.map(|token| cookies.device.set(token, max_age(DEVICE_LIFE.num_seconds())));
        // Tokens of this crate always fit; where one did not, there would be no cookie rather than a broken one.
        for cookie in std::iter::once(refresh).chain(device).flatten() {
            response.append_header((header::SET_COOKIE, cookie));
        }
    }
    response.json(Tokens {
        access_token: &grant.access_token,
        token_type: "Bearer",
        expires_in: grant.expires_in,
        session_id: grant.session,
        user: &grant.user,
        refresh_token: in_body.then_some(grant.refresh_token.as_str()),
        refresh_expires_in: in_body.then_some(grant.refresh_expires_in),
        device_token: device.filter(|_| in_body),
    })
}

/// The tokens of a session that the host application started by itself.
///
/// As the result of a handler it answers like `/login`: 200 with the access token in the body and the refresh token in
/// its cookie (or, for a body session, in the body as well).
pub struct SessionTokens {
    grant: Grant,
    cookies: Cookies,
}

pub(crate) fn session_tokens(grant: Grant, cookies: &Cookies) -> SessionTokens {
    SessionTokens { grant, cookies: cookies.clone() }
}

impl SessionTokens {
    /// The access token. A live credential.
    pub fn access_token(&self) -> &str {
        &self.grant.access_token
    }

    /// The session that was started.
    pub fn session_id(&self) -> SessionId {
        self.grant.session
    }

    /// The user it belongs to.
    pub fn user(&self) -> &User {
        &self.grant.user
    }
}

impl std::fmt::Debug for SessionTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionTokens(session {}, [REDACTED])", self.grant.session)
    }
}

impl Responder for SessionTokens {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = tokens(StatusCode::OK, &self.grant, &self.cookies);
        for (name, value) in
            [(header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")]
        {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
