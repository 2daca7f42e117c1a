//! The guard: middleware that lets only authenticated requests through.

use std::future::{Ready, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use actix_web_httpauth::middleware::HttpAuthentication;

use super::bearer;
use super::error::{AuthError, ErrorCode};
use super::extract::Authenticated;
use crate::domain::verifier::Verifier;

type Admitted = Ready<Result<ServiceRequest, (Error, ServiceRequest)>>;
type Admit = Box<dyn Fn(ServiceRequest, BearerToken) -> Admitted>;

/// Middleware for the routes of the host's own: requests without a valid access token never reach them.
///
/// Costs no database query. A refused request is answered with 401, a Bearer challenge (RFC 6750 §3) and problem details.
///
/// ```
/// use actix_authflow::{Guard, Verifier};
/// use actix_web::{App, web};
///
/// # fn app(verifier: Verifier) {
/// App::new().service(web::scope("/api").wrap(Guard::new(verifier)));
/// # }
/// ```
#[derive(Clone)]
pub struct Guard {
    verifier: Verifier,
}

impl Guard {
    /// A guard that asks this verifier.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Guard
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = <HttpAuthentication<BearerToken, Admit> as Transform<S, ServiceRequest>>::Response;
    type Error = Error;
    type Transform = <HttpAuthentication<BearerToken, Admit> as Transform<S, ServiceRequest>>::Transform;
    type InitError = ();
    type Future = <HttpAuthentication<BearerToken, Admit> as Transform<S, ServiceRequest>>::Future;

    fn new_transform(&self, service: S) -> Self::Future {
        let verifier = self.verifier.clone();
        let admit: Admit = Box::new(move |request, token| ready(admit(&verifier, request, &token)));
        HttpAuthentication::with_fn(admit).new_transform(service)
    }
}

fn admit(
    verifier: &Verifier,
    request: ServiceRequest,
    BearerToken(token): &BearerToken,
) -> Result<ServiceRequest, (Error, ServiceRequest)> {
    match verifier.verify(token) {
        Ok(claims) => {
            request.extensions_mut().insert(Authenticated::new(claims));
            Ok(request)
        }
        Err(refused) => Err((AuthError::from(refused).into(), request)),
    }
}

/// The token of a request, unverified.
#[doc(hidden)]
pub struct BearerToken(String);

impl FromRequest for BearerToken {
    type Error = AuthError;
    type Future = Ready<Result<Self, AuthError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = bearer::token(request).and_then(|token| token.ok_or(ErrorCode::Unauthorized.into()));
        ready(token.map(|token| Self(token.to_owned())))
    }
}
