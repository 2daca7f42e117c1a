//! The guard: middleware that lets only authenticated requests through.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use actix_web_httpauth::middleware::HttpAuthentication;

use super::bearer;
use super::error::{AuthError, ErrorCode};
use super::extract::Authenticated;
use super::requirement::{Moment, Requirement};
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
    requirements: Vec<Requirement>,
}

impl Guard {
    /// A guard that asks this verifier.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier, requirements: Vec::new() }
    }

    /// Admits only users that had this role when the token was issued; others get 403 `forbidden`. Several requirements must
    /// all be met.
    #[must_use]
    pub fn require_role(self, role: impl Into<String>) -> Self {
        self.and(Requirement::Role(role.into()))
    }

    /// Admits only tokens with this scope; others get 403 `forbidden` with the challenge `insufficient_scope` (RFC 6750 §3.1).
    #[must_use]
    pub fn require_scope(self, scope: impl Into<String>) -> Self {
        self.and(Requirement::Scope(scope.into()))
    }

    /// Admits only sessions whose password was given at most this long ago; others get 403 `forbidden` with the challenge
    /// `insufficient_user_authentication` (RFC 9470 §3): the client lets the user log in again. Refreshing makes no session
    /// fresher.
    #[must_use]
    pub fn require_fresh(self, age: Duration) -> Self {
        self.and(Requirement::Fresh(age))
    }

    /// Admits nobody while this node is cut off: where it has not read for ten seconds which sessions ended elsewhere, calls
    /// get 503 `storage_unavailable` with `Retry-After`. Without this a token is good until it expires while the database
    /// is away. For routes where a session that has ended must do nothing.
    ///
    /// For guards from [`Auth::guard`](crate::Auth::guard). A verifier made from published keys never hears of ended
    /// sessions, so a guard of it that is asked for this lets nobody through, and the log says why.
    #[cfg(feature = "issuer")]
    #[must_use]
    pub fn require_live(self) -> Self {
        if self.verifier.revocation_lag().is_none() {
            tracing::error!(
                "a guard has to admit live sessions only, but its verifier never hears of ended ones: it refuses every \
                 call; take the guard from `Auth::guard`"
            );
        }
        self.and(Requirement::Live)
    }

    fn and(mut self, requirement: Requirement) -> Self {
        self.requirements.push(requirement);
        self
    }

    fn admit(&self, request: &ServiceRequest, BearerToken(token): &BearerToken) -> Result<(), AuthError> {
        let claims = self.verifier.verify(token)?;
        let moment = || Moment { now: self.verifier.now(), lag: self.verifier.revocation_lag() };
        self.requirements.iter().try_for_each(|requirement| requirement.check(&claims, moment()))?;
        request.extensions_mut().insert(Authenticated::new(claims));
        Ok(())
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
        let guard = self.clone();
        let admit: Admit = Box::new(move |request, token| {
            ready(match guard.admit(&request, &token) {
                Ok(()) => Ok(request),
                Err(refused) => Err((refused.into(), request)),
            })
        });
        HttpAuthentication::with_fn(admit).new_transform(service)
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
