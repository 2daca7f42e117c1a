//! One span of the log for each request, with an identifier that the answer carries too: by it the lines about one request
//! are found, on whichever threads they were written.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{Error, HttpMessage as _};
use futures_util::future::LocalBoxFuture;
use tracing::Instrument as _;
use uuid::Uuid;

use super::client::TrustedProxies;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are not taken over: in 64 characters there is no JWT and no refresh token, should a client send one as this.
const LONGEST: usize = 64;

/// Gives each request an identifier: a span `request` with the field `id` around all that is logged about it, and the header
/// `X-Request-Id` of the answer.
///
/// Where the peer is one of the trusted proxies, the identifier is that of the request, if it has a well-formed one (at most 64
/// letters, digits, `.`, `_` and `-`); else it is drawn anew. The routes of [`Auth::routes`](crate::Auth::routes) have all
/// this already. Wrap the application in it, and its own handlers have it too.
#[derive(Clone)]
pub struct TraceRequests(Arc<TrustedProxies>);

impl TraceRequests {
    pub(crate) fn new(proxies: TrustedProxies) -> Self {
        Self(Arc::new(proxies))
    }
}

/// On requests that have their span.
struct Traced;

impl<S, B> Transform<S, ServiceRequest> for TraceRequests
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = TraceRequestsMiddleware<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(TraceRequestsMiddleware { service, proxies: Arc::clone(&self.0) }))
    }
}

#[doc(hidden)]
pub struct TraceRequestsMiddleware<S> {
    service: S,
    proxies: Arc<TrustedProxies>,
}

impl<S, B> Service<ServiceRequest> for TraceRequestsMiddleware<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if request.extensions_mut().insert(Traced).is_some() {
            return Box::pin(self.service.call(request));
        }
        let id = taken_over(&request, &self.proxies).unwrap_or_else(drawn);
        // Of the highest level, so that it is there whatever level is logged.
        let span = tracing::error_span!("request", id = id.to_str().unwrap_or_default());
        let answered = span.in_scope(|| self.service.call(request));
        let answer = async move {
            let mut response = answered.await?;
            response.headers_mut().insert(X_REQUEST_ID, id);
            Ok(response)
        };
        Box::pin(answer.instrument(span))
    }
}

/// The identifier that a trusted proxy has given the request.
fn taken_over(request: &ServiceRequest, proxies: &TrustedProxies) -> Option<HeaderValue> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let mut sent = request.headers().get_all(X_REQUEST_ID).filter(|_| proxies.contains(peer));
    match (sent.next(), sent.next()) {
        (Some(id), None) if is_well_formed(id.as_bytes()) => Some(id.clone()),
        _ => None,
    }
}

fn is_well_formed(id: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST).contains(&id.len()) && id.iter().all(allowed)
}

fn drawn() -> HeaderValue {
    let id = Uuid::now_v7().to_string();
    // A UUID is text that every header may have.
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
