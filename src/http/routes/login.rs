//! `POST /login`.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::Credentials;
use crate::domain::throttle::Network;
use crate::http::answer;
use crate::http::attempt::Attempt;
use crate::http::body::Command;
use crate::http::error::AuthError;
use crate::http::state::State;
use crate::service::Service;
use crate::service::login::LoginAttempt;

/// Starts a session for whoever knows the password. An address that cannot exist takes the same way as one that does not.
pub(super) async fn login(
    state: web::Data<State>,
    request: HttpRequest,
    Command(input): Command<Credentials>,
) -> Result<HttpResponse, AuthError> {
    let client = state.client(&request);
    let session = input.session_request(&state, &request)?;
    let device = input.device(&state, &request);
    let login = LoginAttempt { email: input.email, network: client.address().map(Network::of), device };
    let begin = move |service: &Service| service.begin_login(&login);
    let (credentials, attempt) = Attempt::begin(&state, client, begin).await?;
    let check = move |service: &Service| service.check_password(credentials, &input.password);
    let (authenticated, attempt) = attempt.check(check).await?;
    let grant = attempt.succeed(move |service| service.log_in(&authenticated, &session)).await?;
    Ok(answer::tokens(StatusCode::OK, &grant, &state.cookies))
}
