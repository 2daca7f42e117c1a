//! The answers of the scope that may be kept: everything else is `no-store`.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::header::{self, EntityTag, Header as _, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A document that anybody may keep for `max_age` seconds, and that is not sent again to whoever has it (RFC 9110
/// §13.1.2).
pub(super) fn cacheable(
    request: &HttpRequest,
    max_age: u32,
    media_type: &str,
    document: impl MessageBody + AsRef<[u8]> + 'static,
) -> HttpResponse {
    let tag = entity_tag(document.as_ref());
    let known = has(request, &tag);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={max_age}")))
        .insert_header(header::ETag(tag));
    if known { response.finish() } else { response.content_type(media_type).body(BoxBody::new(document)) }
}

/// Strong: the document with this hash and no other, byte for byte.
fn entity_tag(document: &[u8]) -> EntityTag {
    let hash = digest::digest(&digest::SHA256, document);
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
