//! `POST /refresh`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::domain::claims::Claims;
use crate::domain::event::{EventKind, Fact};
use crate::domain::refresh_token::RefreshToken;
use crate::domain::session::Transport;
use crate::http::body::OptionalCommand;
use crate::http::csrf::Evidence;
use crate::http::error::{AuthError, ErrorCode};
use crate::http::state::State;
use crate::http::{answer, bearer};

/// The body of `/refresh` and `/logout`: the refresh token of a client without cookies.
#[derive(Deserialize, Default)]
pub(super) struct RefreshTokenBody {
    refresh_token: Option<SecretString>,
}

impl RefreshTokenBody {
    /// Whether the client keeps its refresh token by itself, so that no cookie concerns it.
    pub(super) fn has_token(&self) -> bool {
        self.refresh_token.is_some()
    }
}

/// Exchanges the (expired) access token and the refresh token for new ones. No answer of this route clears the cookie.
pub(super) async fn refresh(
    state: web::Data<State>,
    request: HttpRequest,
    OptionalCommand(body): OptionalCommand<RefreshTokenBody>,
) -> Result<HttpResponse, AuthError> {
    // Both are read before either is missed: an ambiguous request is answered as such.
    let (presented, access_token) = (presented(&state, &request, &body)?, bearer::token(&request)?);
    let presented = presented.ok_or(ErrorCode::Unauthorized)?;
    if access_token.is_none() {
        without_access_token(&state, &request)?;
    }
    let (transport, token) = presented.parse(&state).ok_or(ErrorCode::RefreshTokenInvalid)?;
    let claims = access_token.map(|token| state.verifier.verify_even_if_expired(token)).transpose()?;
    if let Some(mismatch) = mismatch(claims.as_deref(), &token) {
        state.report(&request, mismatch);
        return Err(ErrorCode::TokenMismatch.into());
    }
    let client = state.client(&request);
    let user = claims.map(|claims| claims.user_id());
    let refresh = state.service.refresh_request(token, transport, user);
    let grant = state.refresh(client, refresh).await?;
    Ok(answer::tokens(StatusCode::OK, &grant, &state.cookies))
}

/// A refresh token as it came, unverified.
pub(super) struct Presented {
    transport: Transport,
    text: Zeroizing<Vec<u8>>,
}

/// The refresh token of the request, from the cookie or from the body, but not from both.
pub(super) fn presented(
    state: &State,
    request: &HttpRequest,
    body: &RefreshTokenBody,
) -> Result<Option<Presented>, AuthError> {
    match (state.refresh_cookie(request)?, &body.refresh_token) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(Presented { transport: Transport::Cookie, text })),
        (None, Some(text)) => {
            let text = Zeroizing::new(text.expose_secret().as_bytes().to_vec());
            Ok(Some(Presented { transport: Transport::Body, text }))
        }
        (Some(_), Some(_)) => Err(AuthError::with_detail(
            ErrorCode::InvalidRequest,
            "The refresh token was sent both in the cookie and in the body.",
        )),
    }
}

impl Presented {
    /// The token, if its tag is genuine.
    pub(super) fn parse(self, state: &State) -> Option<(Transport, RefreshToken)> {
        let token = state.service.recognise(self.transport, &self.text)?;
        Some((self.transport, token))
    }
}

/// A refresh without access token is for clients that keep it in memory only; they must then show their origin.
fn without_access_token(state: &State, request: &HttpRequest) -> Result<(), AuthError> {
    if state.refresh_requires_access_token {
        return Err(ErrorCode::AccessTokenRequired.into());
    }
    state.check_origin(request, Evidence::Required)
}

/// What there is to tell if the two tokens name different sessions, which is decided before any query. That both name one
/// user is a condition of the rotation.
fn mismatch(claims: Option<&Claims>, token: &RefreshToken) -> Option<Fact> {
    let claims = claims.filter(|claims| claims.session_id() != token.session())?;
    let kind = EventKind::TokenMismatch { refresh_session_id: token.session() };
    Some(Fact::new(kind).of_user(claims.user_id()).in_session(claims.session_id()))
}
