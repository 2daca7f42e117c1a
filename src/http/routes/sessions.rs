//! `GET /sessions`, `DELETE /sessions/{id}`, `DELETE /sessions`.

use actix_web::http::header;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::ids::SessionId;
use crate::domain::session::{EndedSession, ListedSession, RevocationReason, Transport};
use crate::http::body::{Nothing, OptionalCommand};
use crate::http::error::{AuthError, ErrorCode};
use crate::http::extract::Authenticated;
use crate::http::state::State;

/// The path of one session. What has not the form of an identifier is no path of ours: 404, whatever the method.
pub(super) const ONE: &str = "/sessions/{id:[0-9A-Fa-f-]{36}}";

#[derive(Serialize)]
struct Sessions {
    sessions: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    id: SessionId,
    /// Whether it is the session of the access token that asks.
    current: bool,
    transport: Transport,
    device_name: Option<String>,
    user_agent: Option<String>,
    ip: Option<String>,
    created_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// The live sessions of the user, newest first.
pub(super) async fn list(
    state: web::Data<State>,
    request: HttpRequest,
    user: Authenticated,
) -> Result<HttpResponse, AuthError> {
    let client = state.client(&request);
    let (id, current) = (user.id(), user.session_id());
    let sessions = state.run(client, move |service| service.list_sessions(id).into()).await?;
    let sessions = sessions.into_iter().map(|session| Item::new(session, current)).collect();
    Ok(HttpResponse::Ok().json(Sessions { sessions }))
}

/// Ends one session of the user, which may be the own one. One that has ended before stays as it is: 204 again.
pub(super) async fn end_one(
    state: web::Data<State>,
    request: HttpRequest,
    session: web::Path<String>,
    OptionalCommand(Nothing {}): OptionalCommand<Nothing>,
) -> Result<HttpResponse, AuthError> {
    let session: SessionId = session.parse().map_err(|_| AuthError::from(ErrorCode::NotFound))?;
    let cookie_session = cookie_session(&state, &request)?;
    let user = Authenticated::extract(&request).await?;
    let (client, id) = (state.client(&request), user.id());
    let ended = state.run(client, move |service| service.end_own_session(id, session)).await?;
    Ok(no_content(&state, &user, cookie_session, &[ended]))
}

/// Ends every session of the user, or with `?keep=current` every other one.
pub(super) async fn end_all(
    state: web::Data<State>,
    request: HttpRequest,
    OptionalCommand(Nothing {}): OptionalCommand<Nothing>,
) -> Result<HttpResponse, AuthError> {
    let keeps_current = keeps_current(request.query_string())?;
    let cookie_session = cookie_session(&state, &request)?;
    let user = Authenticated::extract(&request).await?;
    let (id, kept) = (user.id(), keeps_current.then(|| user.session_id()));
    let client = state.client(&request);
    let ended = state
        .run(client, move |service| service.end_sessions(id, kept, RevocationReason::RevokedByUser))
        .await?;
    Ok(no_content(&state, &user, cookie_session, &ended))
}

/// A misspelt query would end the session that was meant to be kept, so only the documented one is taken.
fn keeps_current(query: &str) -> Result<bool, AuthError> {
    let malformed =
        || AuthError::with_detail(ErrorCode::InvalidRequest, "The query may only be keep=current.");
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(|_| malformed())?;
    match pairs.as_slice() {
        [] => Ok(false),
        [(name, value)] if name == "keep" && value == "current" => Ok(true),
        _ => Err(malformed()),
    }
}

/// The session of the genuine refresh cookie that came along, if one did.
fn cookie_session(state: &State, request: &HttpRequest) -> Result<Option<SessionId>, AuthError> {
    Ok(state.replaced_token(request)?.map(|token| token.session()))
}

/// Expires the cookie if the own session was ended and lives by cookie, unless the browser has that of another session:
/// a newer login's.
fn no_content(
    state: &State,
    user: &Authenticated,
    cookie_session: Option<SessionId>,
    ended: &[EndedSession],
) -> HttpResponse {
    let own = user.session_id();
    let mut response = HttpResponse::NoContent();
    let ends_own = ended.iter().any(|ended| ended.id == own && ended.transport == Transport::Cookie);
    if ends_own && cookie_session.is_none_or(|session| session == own) {
        response.append_header((header::SET_COOKIE, state.cookies.refresh.clear()));
    }
    response.finish()
}

impl Item {
    fn new(session: ListedSession, current: SessionId) -> Self {
        Self {
            id: session.id,
            current: session.id == current,
            transport: session.transport,
            device_name: session.device.name,
            user_agent: session.device.user_agent,
            ip: session.device.ip,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_query_is_taken() {
        assert!(!keeps_current("").unwrap());
        assert!(keeps_current("keep=current").unwrap());
        for query in
            ["keep", "keep=", "keep=all", "keep=current&keep=current", "kep=current", "keep=current&x=1"]
        {
            assert_eq!(keeps_current(query).unwrap_err().code(), ErrorCode::InvalidRequest, "{query}");
        }
    }
}
