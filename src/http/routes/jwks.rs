//! `GET /.well-known/jwks.json`.

use actix_web::http::header::{self, EntityTag, Header as _, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::http::state::State;

/// How long others may keep the document, in seconds. A key is published for longer than that before it signs.
const MAX_AGE: u32 = 300;

/// The public keys (RFC 7517 §5): the one that signs first, then those that are announced or retired. Cacheable, and not
/// sent again to whoever has it (RFC 9110 §13.1.2).
pub(super) async fn jwks(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let document = state.verifier.with_keys(|keys| serde_json::json!({ "keys": keys.public() })).to_string();
    let tag = entity_tag(&document);
    let known = has(&request, &tag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={MAX_AGE}")))
        .insert_header(header::ETag(tag));
    if known { response.finish() } else { response.content_type("application/json").body(document) }
}

/// Strong: the document with this hash and no other, byte for byte.
fn entity_tag(document: &str) -> EntityTag {
    let hash = digest::digest(&digest::SHA256, document.as_bytes());
    EntityTag::new_strong(URL_SAFE_NO_PAD.encode(hash))
}

/// Whether the client says that it has this version. A malformed header says nothing.
fn has(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}
