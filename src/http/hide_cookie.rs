//! Middleware that keeps the cookies of this crate from the application's handlers and logs.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::Error;
use actix_web::HttpMessage as _;
use actix_web::dev::{Extensions, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};

use super::cookie::{Cookies, StrippedCookie};

/// Takes the refresh cookie, and the cookie by which a device is known again, out of every request; the auth scope still finds
/// them.
///
/// A `__Host-` cookie has `Path=/`, so a browser sends it with every request to the host. Wrap the application in this
/// outermost (that is, with the last `.wrap`), and neither handlers nor access logs ever see them (NIST SP 800-63B-4 §5.1.1).
#[derive(Clone)]
pub struct HideCookie(Arc<Cookies>);

impl HideCookie {
    pub(crate) fn new(cookies: Cookies) -> Self {
        Self(Arc::new(cookies))
    }
}

impl<S, B> Transform<S, ServiceRequest> for HideCookie
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = HideCookieMiddleware<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(HideCookieMiddleware { service, cookies: Arc::clone(&self.0) }))
    }
}

#[doc(hidden)]
pub struct HideCookieMiddleware<S> {
    service: S,
    cookies: Arc<Cookies>,
}

impl<S, B> Service<ServiceRequest> for HideCookieMiddleware<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = S::Future;

    forward_ready!(service);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let stripped = self.cookies.strip(request.headers_mut());
        remember(&mut request.extensions_mut(), stripped);
        self.service.call(request)
    }
}

/// For the scope. Another such middleware may have come first.
fn remember(extensions: &mut Extensions, stripped: StrippedCookie) {
    match extensions.get_mut::<StrippedCookie>() {
        Some(before) => before.extend(stripped),
        None => drop(extensions.insert(stripped)),
    }
}
