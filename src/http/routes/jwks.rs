//! `GET /.well-known/jwks.json`.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::http::state::State;

/// How long others may keep the document, in seconds.
const MAX_AGE: u32 = 300;

/// The public keys (RFC 7517 §5). The only cacheable answer of the scope.
pub(super) async fn jwks(state: web::Data<State>) -> HttpResponse {
    let document = state.verifier.with_keys(|keys| serde_json::json!({ "keys": keys.public() }));
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={MAX_AGE}")))
        .json(document)
}
