//! How long the answers of the scope take.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest};

use crate::meters;

/// Tells of a route, at its place below the scope.
pub(super) fn begin(path: &str) {
    meters::route_begins(label(path));
}

/// Measures one request to the scope. The route is named as the table of routes names it, and what is no route at all is
/// `other`.
pub(super) async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let start = Instant::now();
    let depth = depth(&request);
    let response = next.call(request).await?;
    let route = route(response.request(), depth);
    meters::answered(route, class(response.status()), start.elapsed());
    Ok(response)
}

/// How many segments lead to the scope, which may be mounted within others.
fn depth(request: &ServiceRequest) -> usize {
    let path = request.match_info();
    let slashes = |text: &str| text.matches('/').count();
    slashes(path.as_str()).saturating_sub(slashes(path.unprocessed()))
}

/// What is left of the pattern below the scope.
fn route(request: &HttpRequest, depth: usize) -> String {
    let pattern = request.match_pattern().unwrap_or_default();
    let below = pattern.match_indices('/').nth(depth).map(|(place, _)| &pattern[place..]);
    label(below.unwrap_or("other"))
}

/// As it is documented: what a parameter may look like is left out. Only the last one of a route of ours has such a rule.
fn label(path: &str) -> String {
    path.split_once(':').map_or_else(|| path.to_owned(), |(name, _)| format!("{name}}}"))
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

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    const ROUTE: HeaderName = HeaderName::from_static("route");

    async fn name(
        request: ServiceRequest,
        next: Next<impl MessageBody>,
    ) -> Result<ServiceResponse<impl MessageBody>, Error> {
        let depth = depth(&request);
        let mut response = next.call(request).await?;
        let route = HeaderValue::try_from(route(response.request(), depth)).unwrap();
        response.headers_mut().insert(ROUTE, route);
        Ok(response)
    }

    fn mounted(app: &mut web::ServiceConfig, path: &str) {
        let one = web::resource("/sessions/{id:[0-9]{1,3}}").to(HttpResponse::Ok);
        let login = web::resource("/login").to(HttpResponse::Ok);
        let nowhere = web::to(HttpResponse::NotFound);
        app.service(
            web::scope(path).wrap(from_fn(name)).service(one).service(login).default_service(nowhere),
        );
    }

    #[actix_web::test]
    async fn a_route_has_its_name_wherever_the_scope_is_mounted() {
        let app = App::new()
            .configure(|app| mounted(app, "/auth"))
            .service(web::scope("/{tenant}/office").configure(|app| mounted(app, "/auth")));
        let app = init_service(app).await;
        for (path, route) in [
            ("/auth/login", "/login"),
            ("/auth/sessions/7", "/sessions/{id}"),
            ("/auth/nowhere", "other"),
            ("/auth", "other"),
            ("/acme/office/auth/login", "/login"),
            ("/acme/office/auth/sessions/7", "/sessions/{id}"),
            ("/acme/office/auth/nowhere/at/all", "other"),
        ] {
            let response = call_service(&app, TestRequest::with_uri(path).to_request()).await;
            assert_eq!(response.headers().get(ROUTE).unwrap(), route, "{path}");
        }
    }

    #[actix_web::test]
    async fn a_scope_at_the_root_has_routes_too() {
        let app = init_service(App::new().configure(|app| mounted(app, ""))).await;
        let response = call_service(&app, TestRequest::with_uri("/login").to_request()).await;
        assert_eq!(response.headers().get(ROUTE).unwrap(), "/login");
    }
}
