//! The checks and the body of a state-changing request, in the order in which they are promised: cross-origin (403), media
//! type (415), size (413), form (400).

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::csrf::Evidence;
use super::error::{AuthError, ErrorCode};
use super::state::State;
use crate::domain::json;

/// No body longer than this many bytes is read.
const MAX_BYTES: usize = 16 * 1024;
/// No body is waited for longer than this. A client that stops in the middle would be waited for for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// The members of a command: a JSON body that must be there.
pub(super) struct Command<T>(pub(super) T);

/// The members of a command none of which is required: the body may be left out together with its Content-Type.
pub(super) struct OptionalCommand<T>(pub(super) T);

/// The members of a command that has none: normally there is no body, and an empty object is as good.
#[derive(serde::Deserialize, Default)]
pub(super) struct Nothing {}

impl<T: DeserializeOwned + 'static> FromRequest for Command<T> {
    type Error = AuthError;
    type Future = LocalBoxFuture<'static, Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read_in_time(&request, payload).await?;
            check_origin(&request)?;
            check_media_type(&request)?;
            parse(&body?).map(Self)
        })
    }
}

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalCommand<T> {
    type Error = AuthError;
    type Future = LocalBoxFuture<'static, Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read_in_time(&request, payload).await?;
            check_origin(&request)?;
            let absent = !request.headers().contains_key(header::CONTENT_TYPE);
            if absent && body.as_ref().is_ok_and(Bytes::is_empty) {
                return Ok(Self(T::default()));
            }
            check_media_type(&request)?;
            parse(&body?).map(Self)
        })
    }
}

async fn read_in_time(
    request: &HttpRequest,
    payload: Payload,
) -> Result<Result<Bytes, AuthError>, AuthError> {
    let late = || AuthError::with_detail(ErrorCode::InvalidRequest, "The body did not come in time.");
    timeout(PATIENCE, read(request, payload)).await.unwrap_or_else(|_| Err(late()))
}

/// Reads the body whatever becomes of the request, so that the connection stays usable. The inner result is the size check,
/// whose turn comes later.
async fn read(request: &HttpRequest, payload: Payload) -> Result<Result<Bytes, AuthError>, AuthError> {
    let too_large = || AuthError::from(ErrorCode::PayloadTooLarge);
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > MAX_BYTES as u64) {
        return Ok(Err(too_large()));
    }
    let mut payload = payload;
    let mut body = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| AuthError::from(ErrorCode::InvalidRequest))?;
        if body.len() + chunk.len() > MAX_BYTES {
            return Ok(Err(too_large()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Ok(body.freeze()))
}

fn check_origin(request: &HttpRequest) -> Result<(), AuthError> {
    let Some(state) = request.app_data::<web::Data<State>>() else {
        return Err(ErrorCode::CsrfRejected.into());
    };
    state.check_origin(request, Evidence::Optional)
}

fn check_media_type(request: &HttpRequest) -> Result<(), AuthError> {
    let mut types = request.headers().get_all(header::CONTENT_TYPE);
    let only = (types.next(), types.next());
    let essence = match only {
        (Some(only), None) => only.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim(),
        _ => "",
    };
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ErrorCode::UnsupportedMediaType.into())
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AuthError> {
    let malformed = "The body must be a JSON object with the documented members, each once and of its type.";
    json::from_slice(body).map_err(|_| AuthError::with_detail(ErrorCode::InvalidRequest, malformed))
}
