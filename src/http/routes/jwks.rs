//! `GET /.well-known/jwks.json`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::cacheable::cacheable;
use crate::domain::keys::lifecycle::LEAD;
use crate::http::state::State;

/// How long others may keep the document, in seconds. A key is published for longer than that before it signs.
const MAX_AGE: u32 = 300;
const _: () = assert!((MAX_AGE as i64) < LEAD.num_seconds());

/// The public keys (RFC 7517 §5): the one that signs first, then those that are announced or retired.
pub(super) async fn jwks(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let document = state.verifier.with_keys(|keys| serde_json::json!({ "keys": keys.public() })).to_string();
    cacheable(&request, MAX_AGE, "application/json", document)
}
