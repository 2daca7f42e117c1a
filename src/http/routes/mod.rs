//! The routes of the scope. This file is the one table of them.

mod cacheable;
mod client;
mod doctor;
mod jwks;
mod login;
mod logout;
mod me;
mod password;
mod refresh;
mod register;
mod sessions;

use actix_web::http::header;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{Resource, Route, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::domain::device::PresentedDevice;
use crate::domain::session::Transport;
use crate::http::client::clean_device_name;
use crate::http::error::{AuthError, ErrorCode};
use crate::http::request_id::TraceRequests;
use crate::http::state::State;
use crate::http::timing::{self, measure};
use crate::service::SessionRequest;

/// Registers the scope at `path`, with every route of the contract, and the verifier for the extractors.
pub(crate) fn configure(app: &mut web::ServiceConfig, path: &str, state: web::Data<State>) {
    let mut scope = web::scope(path)
        .wrap(
            DefaultHeaders::new()
                .add((header::CACHE_CONTROL, "no-store"))
                .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff")),
        )
        .wrap(from_fn(measure))
        .wrap(TraceRequests::new(state.proxies.clone()))
        .service(only("/login", "POST", web::post().to(login::login)))
        .service(only("/refresh", "POST", web::post().to(refresh::refresh)))
        .service(only("/logout", "POST", web::post().to(logout::logout)))
        .service(only("/me", "GET", web::get().to(me::me)))
        .service(several(
            "/sessions",
            "GET, DELETE",
            [web::get().to(sessions::list), web::delete().to(sessions::end_all)],
        ))
        .service(only("/password", "POST", web::post().to(password::change)))
        .service(only(sessions::ONE, "DELETE", web::delete().to(sessions::end_one)))
        .service(only("/.well-known/jwks.json", "GET", web::get().to(jwks::jwks)))
        .service(only("/client.js", "GET", web::get().to(client::client)))
        .default_service(web::to(|| async { Err::<&str, _>(AuthError::from(ErrorCode::NotFound)) }));
    if state.registration_open {
        scope = scope.service(only("/register", "POST", web::post().to(register::register)));
    }
    if state.examines {
        let routes = [web::get().to(doctor::read), web::post().to(doctor::write)];
        scope = scope.service(several("/doctor", "GET, POST", routes));
    }
    // For guards without a verifier of their own anywhere in the application, and for the scope itself, which may not be the
    // only one of its kind.
    app.app_data(state.verifier.clone());
    app.service(scope.app_data(state.verifier.clone()).app_data(state));
}

/// A path with one method; every other method is answered with 405 and `Allow`.
fn only(path: &str, allow: &'static str, route: Route) -> Resource {
    several(path, allow, [route])
}

/// A path with several methods, which `allow` lists.
fn several(path: &str, allow: &'static str, routes: impl IntoIterator<Item = Route>) -> Resource {
    timing::begin(path);
    let refuse = move || async move { Err::<&str, _>(AuthError::method_not_allowed(allow)) };
    routes.into_iter().fold(web::resource(path), Resource::route).default_service(web::to(refuse))
}

/// The body of `/register` and `/login`.
#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: SecretString,
    #[serde(default)]
    transport: Transport,
    device_name: Option<String>,
    #[serde(default = "remember_by_default")]
    remember: bool,
    /// Of a client without cookies that has logged in before.
    device_token: Option<SecretString>,
}

fn remember_by_default() -> bool {
    true
}

impl Credentials {
    /// What the request asks for besides authentication. Ends the session whose genuine cookie came along.
    fn session_request(
        &self,
        state: &State,
        request: &actix_web::HttpRequest,
    ) -> Result<SessionRequest, AuthError> {
        let name = self.device_name.as_deref().and_then(clean_device_name);
        Ok(SessionRequest {
            transport: self.transport,
            persistent: self.remember,
            device: state.device(request, name),
            replaces: state.replaced_token(request)?.map(|token| token.session()),
        })
    }

    /// The genuine device token, by the transport of the session that is asked for.
    fn device(&self, state: &State, request: &actix_web::HttpRequest) -> Option<PresentedDevice> {
        match self.transport {
            Transport::Cookie => state.device_cookie(request),
            Transport::Body => {
                let token = self.device_token.as_ref()?;
                state.service.devices.parse(token.expose_secret().as_bytes())
            }
        }
    }
}
