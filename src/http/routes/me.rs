//! `GET /me`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::http::error::{AuthError, ErrorCode};
use crate::http::extract::Authenticated;
use crate::http::state::State;

/// The user behind the access token.
pub(super) async fn me(
    state: web::Data<State>,
    request: HttpRequest,
    user: Authenticated,
) -> Result<HttpResponse, AuthError> {
    let (client, id) = (state.client(&request), user.id());
    let found = state.run(client, move |service| service.find_user(id).into()).await?;
    // Gone or disabled, which this node's memory of ended sessions has not heard of yet.
    found.map(|user| HttpResponse::Ok().json(user)).ok_or(ErrorCode::SessionRevoked.into())
}
