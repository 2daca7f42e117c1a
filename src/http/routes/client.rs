//! `GET /client.js`.

use actix_web::{HttpRequest, HttpResponse};

use super::cacheable::cacheable;

/// The browser client, so that it is always the one that belongs to this server.
const SCRIPT: &str = include_str!("../../../client/authflow.js");

/// How long others may keep the script, in seconds: a page has a new version soon after the server has it.
const MAX_AGE: u32 = 300;

/// The browser client, as an ES module.
pub(super) async fn client(request: HttpRequest) -> HttpResponse {
    cacheable(&request, MAX_AGE, "text/javascript; charset=utf-8", SCRIPT)
}
