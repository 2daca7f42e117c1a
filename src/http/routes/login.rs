//! `POST /login`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Credentials;
use crate::domain::email::Email;
use crate::domain::event::{CredentialFailure, Fact};
use crate::domain::password::NormalizedPassword;
use crate::http::answer;
use crate::http::body::Command;
use crate::http::error::{AuthError, ErrorCode};
use crate::http::state::State;

/// Starts a session for whoever knows the password. An address that cannot exist takes the same way as one that does not.
pub(super) async fn login(
    state: web::Data<State>,
    request: HttpRequest,
    Command(input): Command<Credentials>,
) -> Result<HttpResponse, AuthError> {
    let client = state.client(&request);
    let session = input.session_request(&state, &request)?;
    // Too long to be anybody's password, whoever asks.
    let Some(password) = NormalizedPassword::for_verification(&input.password) else {
        state.report(&request, Fact::login_failed(None, CredentialFailure::WrongPassword));
        return Err(ErrorCode::InvalidCredentials.into());
    };
    let email = Email::parse(&input.email).ok();
    let credentials =
        state.run(client, move |service| service.find_credentials(email.as_ref()).into()).await?;
    let authenticated =
        state.hash(client, move |service| service.check_password(credentials, &password)).await?;
    let grant = state.run(client, move |service| service.log_in(&authenticated, &session)).await?;
    Ok(answer::tokens(StatusCode::OK, &grant, &state.cookie))
}
