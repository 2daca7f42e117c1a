//! `POST /logout`.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::refresh::{RefreshTokenBody, presented};
use crate::domain::ids::SessionId;
use crate::domain::session::RevocationReason;
use crate::http::bearer;
use crate::http::body::OptionalCommand;
use crate::http::error::{AuthError, ErrorCode};
use crate::http::state::State;

/// Ends the session that a genuine refresh token names (of whatever generation), or else a genuine access token.
/// Idempotent.
pub(super) async fn logout(
    state: web::Data<State>,
    request: HttpRequest,
    OptionalCommand(body): OptionalCommand<RefreshTokenBody>,
) -> Result<HttpResponse, AuthError> {
    let session = session_to_end(&state, &request, &body)?;
    let client = state.client(&request);
    state.run(client, move |service| service.end_session(session, RevocationReason::LoggedOut)).await?;
    let mut response = HttpResponse::NoContent();
    if !body.has_token() {
        response.append_header((header::SET_COOKIE, state.cookies.refresh.clear()));
    }
    Ok(response.finish())
}

fn session_to_end(
    state: &State,
    request: &HttpRequest,
    body: &RefreshTokenBody,
) -> Result<SessionId, AuthError> {
    let presented = presented(state, request, body)?;
    let access_token = bearer::token(request)?;
    let nothing_genuine = match (&presented, access_token) {
        (None, None) => ErrorCode::Unauthorized,
        (Some(_), _) => ErrorCode::RefreshTokenInvalid,
        (None, Some(_)) => ErrorCode::TokenInvalid,
    };
    if let Some((_, token)) = presented.and_then(|presented| presented.parse(state)) {
        return Ok(token.session());
    }
    let claims = access_token.and_then(|token| state.verifier.verify_even_if_expired(token).ok());
    claims.map(|claims| claims.session_id()).ok_or(nothing_genuine.into())
}
