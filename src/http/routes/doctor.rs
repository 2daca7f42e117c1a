//! `GET` and `POST /doctor`: what arrives here of a request, for the program that asks whether a proxy leaves it alone.

use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use uuid::Uuid;

use crate::http::body::{Nothing, OptionalCommand};
use crate::http::client::ClientAddress;
use crate::http::csrf::requested_host;
use crate::http::state::State;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How long the cookie of the probe lives, in seconds.
const PROBE_LIFE: u64 = 60;

/// What is told. All of it the caller has sent, but for the address of the last proxy and whether it is trusted.
#[derive(Serialize)]
struct Report<'a> {
    /// Another one in each answer. One that comes twice was kept in between.
    nonce: Uuid,
    host: Option<&'a str>,
    forwarded_proto: Option<String>,
    forwarded_for: Option<String>,
    /// The other end of the connection.
    peer: Option<String>,
    peer_is_trusted: bool,
    /// Who is taken for the client.
    client: Option<String>,
    /// The cookies under the name of the probe.
    probes: Vec<String>,
    /// The `Set-Cookie` of this answer, as it leaves here.
    set_cookie: Option<&'a str>,
}

/// Answers a reading request.
pub(super) async fn read(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    report(&state, &request)
}

/// Answers a request that has passed what every state-changing one has to pass.
pub(super) async fn write(
    state: web::Data<State>,
    request: HttpRequest,
    OptionalCommand(Nothing {}): OptionalCommand<Nothing>,
) -> HttpResponse {
    report(&state, &request)
}

fn report(state: &State, request: &HttpRequest) -> HttpResponse {
    let headers = request.headers();
    let nonce = Uuid::new_v4();
    // A nonce always fits.
    let cookie = state.cookies.probe.set(&nonce.to_string(), Some(PROBE_LIFE)).ok();
    let peer = request.peer_addr();
    let report = Report {
        nonce,
        host: requested_host(request.head()),
        forwarded_proto: joined(headers, &X_FORWARDED_PROTO),
        forwarded_for: joined(headers, &X_FORWARDED_FOR),
        peer: peer.map(|peer| peer.ip().to_canonical().to_string()),
        peer_is_trusted: peer.is_some_and(|peer| state.proxies.contains(peer.ip().to_canonical())),
        client: ClientAddress::of(peer, headers, &state.proxies).map(|address| address.ip().to_string()),
        probes: state.cookies.probe.values(headers).map(text).collect(),
        set_cookie: cookie.as_ref().and_then(|cookie| cookie.to_str().ok()),
    };
    let mut response = HttpResponse::Ok();
    if let Some(cookie) = &cookie {
        response.append_header((header::SET_COOKIE, cookie));
    }
    response.json(report)
}

/// The values of all headers of a name, as if they had been one (RFC 9110 §5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<String> = headers.get_all(name).map(|value| text(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
