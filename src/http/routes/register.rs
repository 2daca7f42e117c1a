//! `POST /register`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Credentials;
use crate::domain::email::Email;
use crate::http::answer;
use crate::http::body::Command;
use crate::http::error::{AuthError, ErrorCode};
use crate::http::state::State;
use crate::service::Registration;

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
    let password_hash =
        state.hash(client, move |service| service.hash_new(&input.password, &canonical).into()).await?;
    let registration = Registration { email, password_hash };
    let grant = state.run(client, move |service| service.register(&registration, &session)).await?;
    Ok(answer::tokens(StatusCode::CREATED, &grant, &state.cookie))
}
