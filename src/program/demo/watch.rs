//! The middleware behind `--demo`: it watches refreshes, and lets a copy of an older token be presented in earnest.

use std::net::IpAddr;

use actix_authflow::{AuthError, ErrorCode};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, ResponseError as _, web};
use chrono::Utc;
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::token::UnverifiedPlace;
use super::witness::{Party, Presentation, Witness};

const REFRESH: &str = "/auth/refresh";

/// Outermost, where the cookie can still be seen.
///
/// A replay, `POST /demo/sessions/{id}/replay/{generation}`, becomes a refresh like any other: only its path and its cookie
/// are changed, so it is the rule that answers. The thief's answer goes back as a few numbers; the tokens in it stay here.
pub(crate) async fn watch(
    witness: web::Data<Witness>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let party = match cast(&witness, &mut request) {
        Ok(party) => party,
        Err(refusal) => return Ok(request.into_response(refusal.error_response()).map_into_right_body()),
    };
    let presented = if request.path() == REFRESH { cookie(request.headers(), header::COOKIE) } else { None };
    let response = next.call(request).await?;
    let issued = cookie(response.headers(), header::SET_COOKIE);
    if let Some((place, cookie)) = &issued {
        witness.issued(*place, cookie);
    }
    let Some((presented, _)) = presented else { return Ok(response.map_into_left_body()) };
    let presentation = presentation(party, presented, issued.map(|(place, _)| place), &response);
    witness.presented(presented.session, presentation.clone());
    if party == Party::Owner {
        return Ok(response.map_into_left_body());
    }
    let told = HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(presentation);
    Ok(response.into_response(told).map_into_right_body())
}

/// Who the request comes from. Where that is the thief, it is made one of his. What is only for this machine is nowhere
/// for those who come by another name of it: through a proxy, or from a page whose name was bound anew.
fn cast(witness: &Witness, request: &mut ServiceRequest) -> Result<Party, AuthError> {
    if request.path().starts_with("/demo/") && !is_local(request.headers()) {
        return Err(ErrorCode::NotFound.into());
    }
    let Some(place) = replayed(request) else { return Ok(Party::Owner) };
    let copy = witness.copy(place).ok_or(ErrorCode::NotFound)?;
    disguise(request, copy.expose_secret())?;
    Ok(Party::Thief)
}

/// Whether the client asked for a loopback address, or for `localhost`.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Which token is to be presented by somebody who is not its owner.
fn replayed(request: &ServiceRequest) -> Option<UnverifiedPlace> {
    if request.method() != Method::POST {
        return None;
    }
    let (session, generation) = request.path().strip_prefix("/demo/sessions/")?.split_once("/replay/")?;
    Some(UnverifiedPlace { session: Uuid::try_parse(session).ok()?, generation: generation.parse().ok()? })
}

/// Makes a refresh with the copied cookie out of the request. JWT and origin stay as they were sent, and are checked.
fn disguise(request: &mut ServiceRequest, copy: &str) -> Result<(), AuthError> {
    let uri = Uri::from_static(REFRESH);
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
    let copy = HeaderValue::from_str(copy).map_err(|_| ErrorCode::InvalidRequest)?;
    request.headers_mut().insert(header::COOKIE, copy);
    Ok(())
}

/// The refresh token among the cookies, and where it belongs.
fn cookie(headers: &HeaderMap, name: header::HeaderName) -> Option<(UnverifiedPlace, String)> {
    headers.get_all(name).find_map(|value| {
        let (place, pair) = UnverifiedPlace::find(value.to_str().ok()?)?;
        Some((place, pair.to_owned()))
    })
}

fn presentation<B>(
    by: Party,
    presented: UnverifiedPlace,
    received: Option<UnverifiedPlace>,
    response: &ServiceResponse<B>,
) -> Presentation {
    let refusal = response.response().error().and_then(|error| error.as_error::<AuthError>());
    Presentation {
        at: Utc::now(),
        by,
        presented: presented.generation,
        received: received.map(|place| place.generation),
        status: response.status().as_u16(),
        code: refusal.map(|refusal| refusal.code().as_str()),
    }
}
