//! `authflow serve --demo`: short lives, and what the pictures of the page at `/` need beyond the scope.
//!
//! The page shows what a thief gets, so somebody has to be the thief. The program is: it keeps copies of the refresh tokens
//! that it has sent, and presents one when asked to. That is why all of this is for one person on one machine.

mod token;
mod watch;
mod witness;

use actix_authflow::{AuthConfig, AuthError, ErrorCode};
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use uuid::Uuid;

pub(crate) use self::watch::watch;
pub(crate) use self::witness::Witness;
use super::Result;

/// So short that an expiry and the end of the window can be watched. Variables that are set win.
pub(crate) const DEFAULTS: [(&str, &str); 2] =
    [("AUTHFLOW_ACCESS_TTL", "20s"), ("AUTHFLOW_REFRESH_GRACE", "10s")];

/// The memory of a demo with this configuration.
///
/// # Errors
///
/// Where others could reach it.
pub(crate) fn witness(config: &AuthConfig) -> Result<Witness> {
    if config.bind_address().ip().is_loopback() {
        return Ok(Witness::new(config.grace_window()));
    }
    Err("--demo is only for loopback, but AUTHFLOW_BIND is not a loopback address (for example: \
         AUTHFLOW_BIND=127.0.0.1:8080)"
        .into())
}

/// `GET /demo/sessions/{id}`. Replays are answered by [`watch`].
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.route("/demo/sessions/{id}", web::get().to(chain));
}

/// Numbers and times, for whoever knows the id of the session: also after its end, when no JWT of it is good any more.
async fn chain(
    witness: web::Data<Witness>,
    session: web::Path<String>,
) -> std::result::Result<HttpResponse, AuthError> {
    let session = Uuid::try_parse(&session).ok();
    let chain = session.and_then(|session| witness.chain(session)).ok_or(ErrorCode::NotFound)?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(chain))
}
