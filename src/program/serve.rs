//! `authflow serve`.

use std::time::Duration;

use actix_authflow::{Auth, AuthConfig, AuthError, Authenticated, ErrorCode, RevocationStatus};
use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::{Condition, Logger, Next, from_fn};
use actix_web::{App, HttpResponse, HttpServer, Resource, ResponseError as _, web};
use serde_json::json;

use super::environment::Environment;
use super::metrics::Metrics;
use super::{Result, demo, page, screen};

/// By which a client can ask what became of its request.
const REQUEST_ID: header::HeaderName = header::HeaderName::from_static("x-request-id");
/// How long running requests may take after Ctrl-C or SIGTERM.
const SHUTDOWN_SECONDS: u64 = 10;

/// Serves until Ctrl-C or SIGTERM, finishes the running requests, and stops the private Postgres if there is one.
pub(crate) async fn serve(demo: bool) -> Result {
    let defaults: &[_] = if demo { &demo::DEFAULTS } else { &[] };
    let prepare = || Environment::prepare_with(defaults).map_err(|error| error.to_string());
    let Environment { config, local } = web::block(prepare).await??;
    let witness = if demo { Some(web::Data::new(demo::witness(&config)?)) } else { None };
    let bind = config.bind_address();
    // Before the library, so that it finds somebody who takes in what it measures.
    let metrics = config.metrics_address().map(Metrics::serve).transpose()?;
    let auth = Auth::connect(config.clone()).await?;
    let app_config = config.clone();
    let server = HttpServer::new(move || {
        App::new()
            .configure(|app| routes(app, &auth, witness.as_ref()))
            .wrap(cors(&app_config))
            .wrap(from_fn(all_or_nothing))
            .wrap(auth.trace_requests())
            .wrap(access_log())
            .wrap(auth.hide_cookie())
            .wrap(Condition::new(witness.is_some(), from_fn(demo::watch)))
    })
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .client_request_timeout(Duration::from_secs(10))
    .bind(bind)
    .map_err(|error| {
        format!("cannot listen on {bind}: {error} (another address: AUTHFLOW_BIND=127.0.0.1:8081)")
    })?;
    let measured_at = metrics.as_ref().map(Metrics::address);
    screen::show(&screen::welcome(&server.addrs(), measured_at, local.as_ref(), &config, demo));
    server.run().await?;
    if let Some(metrics) = metrics {
        metrics.stop().await;
    }
    drop(local);
    Ok(())
}

fn routes(app: &mut web::ServiceConfig, auth: &Auth, witness: Option<&web::Data<demo::Witness>>) {
    if let Some(witness) = witness {
        app.app_data(witness.clone()).configure(demo::routes);
    }
    app.app_data(web::Data::new(auth.clone()))
        .configure(|app| page::routes(app, witness.is_some()))
        .configure(auth.routes("/auth"))
        .service(probe("/healthz").route(web::get().to(healthz)).route(web::head().to(healthz)))
        .service(probe("/readyz").route(web::get().to(readyz)).route(web::head().to(readyz)))
        .service(web::scope("/api").wrap(auth.guard()).route("/me", web::get().to(me)))
        .default_service(web::to(|| async { Err::<&str, _>(AuthError::from(ErrorCode::NotFound)) }));
}

/// What is asked by GET, and by HEAD where only the status is of interest.
fn probe(path: &str) -> Resource {
    let refuse = || async {
        let mut refusal = AuthError::from(ErrorCode::MethodNotAllowed).error_response();
        refusal.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        refusal
    };
    web::resource(path).default_service(web::to(refuse))
}

/// Who asked for which path, what became of it, and the identifier that other lines about it have. Not the query, into which
/// a client may have put a token.
fn access_log() -> Logger {
    Logger::new("%a \"%{method}xi %U\" %s %b %Dms %{x-request-id}o")
        .custom_request_replace("method", |request| request.method().to_string())
}

/// Whether the process is alive.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({ "status": "alive" }))
}

/// Whether requests can be served, and how far behind this node is with revocations.
async fn readyz(auth: web::Data<Auth>) -> std::result::Result<HttpResponse, AuthError> {
    let ready = auth.ready().await;
    let RevocationStatus { lag, listening, .. } = auth.revocation_status();
    ready.map_err(|_| {
        let detail = format!(
            "Degraded: access tokens are good until they expire. Revocations were last read {:.1} s ago.",
            lag.as_secs_f64()
        );
        AuthError::with_detail(ErrorCode::StorageUnavailable, detail)
    })?;
    let status = json!({ "status": "ready", "revocation_lag_ms": lag.as_millis(), "listening": listening });
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(status))
}

/// A guarded route of a pretend application.
async fn me(user: Authenticated) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "user_id": user.id(), "session_id": user.session_id() }))
}

/// Cross-origin answers, with credentials, for the listed origins only. Without a list there are none.
fn cors(config: &AuthConfig) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::DATE, header::RETRY_AFTER, header::WWW_AUTHENTICATE, REQUEST_ID])
        .max_age(600);
    let origins = config.origins_allowed();
    if origins.is_empty() {
        return cors;
    }
    origins.iter().fold(cors.supports_credentials(), |cors, origin| cors.allowed_origin(origin))
}

/// An answer that names no allowed origin carries no other CORS header either: an unknown origin learns nothing. A refused
/// preflight is told in our form instead of the middleware's.
async fn all_or_nothing(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> std::result::Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        for name in [header::ACCESS_CONTROL_ALLOW_CREDENTIALS, header::ACCESS_CONTROL_EXPOSE_HEADERS] {
            headers.remove(name);
        }
        if is_preflight && response.status() == StatusCode::BAD_REQUEST {
            let refusal = AuthError::from(ErrorCode::CsrfRejected).error_response();
            return Ok(response.into_response(refusal).map_into_right_body());
        }
    }
    Ok(response.map_into_left_body())
}

#[cfg(test)]
mod tests {
    use actix_authflow::ServerSecret;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    /// The lines of an answer that are about other origins.
    async fn cors_headers(allowed: &[&str], origin: &str) -> Vec<String> {
        let secret = ServerSecret::new("9mZ2vQ4tXb7LwKc1RyHn6GsJ0pDfAeUo").unwrap();
        let allowed = allowed.iter().map(|origin| (*origin).to_owned()).collect();
        let config = AuthConfig::new("postgres://localhost/app", secret).allowed_origins(allowed);
        let app = App::new()
            .route("/", web::get().to(HttpResponse::Ok))
            .wrap(cors(&config))
            .wrap(from_fn(all_or_nothing));
        let app = init_service(app).await;
        let request = TestRequest::get().uri("/").insert_header((header::ORIGIN, origin)).to_request();
        let response = call_service(&app, request).await;
        let lines =
            response.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        lines.filter(|line| line.starts_with("access-control-")).collect()
    }

    #[actix_web::test]
    async fn only_a_listed_origin_gets_cors_headers() {
        let listed = cors_headers(&["https://app.example.com"], "https://app.example.com").await;
        assert!(listed.contains(&"access-control-allow-origin: https://app.example.com".to_owned()));
        assert!(listed.contains(&"access-control-allow-credentials: true".to_owned()));
        // By which the browser client knows the time, and how long to wait.
        for readable in ["date", "retry-after"] {
            let line = |line: &&String| line.starts_with("access-control-expose-headers: ");
            assert!(listed.iter().find(line).is_some_and(|line| line.contains(readable)), "{listed:?}");
        }
        // As it may stand in the configuration, and as browsers send it.
        let listed = cors_headers(&["https://App.example.com:443"], "https://app.example.com").await;
        assert!(listed.contains(&"access-control-allow-origin: https://app.example.com".to_owned()));
        assert!(cors_headers(&["https://app.example.com"], "https://evil.example").await.is_empty());
        assert!(cors_headers(&[], "https://app.example.com").await.is_empty());
    }
}
