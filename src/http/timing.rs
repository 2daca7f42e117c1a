//! How long the answers of the scope take.

use std::sync::Arc;
use std::time::Instant;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;

use crate::meters;

/// Measures one request to a scope that is mounted at `path`. The route is named as the table of routes names it, and what
/// is no route at all is `other`.
pub(super) async fn measure(
    path: Arc<str>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let start = Instant::now();
    let response = next.call(request).await?;
    let pattern = response.request().match_pattern();
    let route = pattern.as_deref().and_then(|pattern| pattern.strip_prefix(&*path));
    let route = route.filter(|route| !route.is_empty()).unwrap_or("other");
    meters::answered(route.to_owned(), class(response.status()), start.elapsed());
    Ok(response)
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "1xx",
    }
}
