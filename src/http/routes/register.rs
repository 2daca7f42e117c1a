//! `POST /register`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Credentials;
use crate::domain::email::Email;
use crate::domain::throttle::Network;
use crate::http::answer;
use crate::http::attempt::Attempt;
use crate::http::body::Command;
use crate::http::error::{AuthError, ErrorCode};
use crate::http::state::State;
use crate::service::{Registration, Service};

/// Makes a user and starts the first session. The password is hashed before the address is looked up: a taken one costs as
/// much.
pub(super) async fn register(
    state: web::Data<State>,
    request: HttpRequest,
    Command(input): Command<Credentials>,
) -> Result<HttpResponse, AuthError> {
    let email = Email::parse(&input.email)
        .map_err(|invalid| AuthError::with_reason(ErrorCode::InvalidEmail, &invalid.to_string()))?;
    let client = state.client(&request);
    let session = input.session_request(&state, &request)?;
    let canonical = email.canonical().to_owned();
    let begin = move |service: &Service| service.begin_registration(client.address().map(Network::of));
    let ((), attempt) = Attempt::begin(&state, client, begin).await?;
    let hash = move |service: &Service| service.hash_new(&input.password, &canonical).into();
    let (password_hash, attempt) = attempt.check(hash).await?;
    let registration = Registration { email, password_hash };
    let grant = attempt.succeed(move |service| service.register(&registration, &session)).await?;
    Ok(answer::tokens(StatusCode::CREATED, &grant, &state.cookies))
}
