//! `POST /password`.

use actix_web::http::StatusCode;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use secrecy::SecretString;
use serde::Deserialize;

use crate::domain::throttle::Network;
use crate::http::answer;
use crate::http::attempt::Attempt;
use crate::http::body::Command;
use crate::http::error::AuthError;
use crate::http::extract::Authenticated;
use crate::http::state::State;
use crate::service::Service;

/// The body of `/password`.
#[derive(Deserialize)]
pub(super) struct Passwords {
    current_password: SecretString,
    new_password: SecretString,
}

/// Changes the password of whoever knows the current one. Every session of the user ends, the own one too; the answer holds
/// the tokens of a new one.
pub(super) async fn change(
    state: web::Data<State>,
    request: HttpRequest,
    Command(input): Command<Passwords>,
) -> Result<HttpResponse, AuthError> {
    let user = Authenticated::extract(&request).await?;
    let client = state.client(&request);
    let (id, session) = (user.id(), user.session_id());
    let begin = move |service: &Service| service.begin_change(id, session, client.address().map(Network::of));
    let (account, attempt) = Attempt::begin(&state, client, begin).await?;
    let check =
        move |service: &Service| service.check_change(account, &input.current_password, &input.new_password);
    let (change, attempt) = attempt.check(check).await?;
    let device = state.device(&request, None);
    let grant = attempt.succeed(move |service| service.change_password(&change, device)).await?;
    Ok(answer::tokens(StatusCode::OK, &grant, &state.cookies))
}
