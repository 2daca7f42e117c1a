//! `authflow serve`.

use std::time::Duration;

use actix_authflow::{Auth, AuthConfig, AuthError, Authenticated, ErrorCode};
use actix_cors::Cors;
use actix_web::http::header;
use actix_web::middleware::Logger;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::json;

use super::environment::Environment;
use super::{Result, screen};

/// How long running requests may take after Ctrl-C or SIGTERM.
const SHUTDOWN_SECONDS: u64 = 10;

/// Serves until Ctrl-C or SIGTERM, finishes the running requests, and stops the private Postgres if there is one.
pub(crate) async fn serve() -> Result {
    let environment = web::block(|| Environment::prepare().map_err(|error| error.to_string())).await??;
    let Environment { config, local } = environment;
    let bind = config.bind_address();
    let auth = Auth::connect(config.clone()).await?;
    let app_config = config.clone();
    let server = HttpServer::new(move || {
        App::new()
            .configure(|app| routes(app, &auth))
            .wrap(cors(&app_config))
            .wrap(access_log())
            .wrap(auth.hide_cookie())
    })
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .client_request_timeout(Duration::from_secs(10))
    .bind(bind)
    .map_err(|error| {
        format!("cannot listen on {bind}: {error} (another address: AUTHFLOW_BIND=127.0.0.1:8081)")
    })?;
    screen::show(&screen::welcome(&server.addrs(), local.as_ref(), &config));
    server.run().await?;
    drop(local);
    Ok(())
}

fn routes(app: &mut web::ServiceConfig, auth: &Auth) {
    app.app_data(web::Data::new(auth.clone()))
        .configure(auth.routes("/auth"))
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .service(web::scope("/api").wrap(auth.guard()).route("/me", web::get().to(me)))
        .default_service(web::to(|| async { Err::<&str, _>(AuthError::from(ErrorCode::NotFound)) }));
}

/// Who asked for which path, and what became of it. Not the query, into which a client may have put a token.
fn access_log() -> Logger {
    Logger::new("%a \"%{method}xi %U\" %s %b %Dms")
        .custom_request_replace("method", |request| request.method().to_string())
}

/// Whether the process is alive.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(json!({ "status": "alive" }))
}

/// Whether requests can be served: revocations were loaded before the first request, so the database decides.
async fn readyz(auth: web::Data<Auth>) -> std::result::Result<HttpResponse, AuthError> {
    auth.ready().await.map_err(|_| AuthError::from(ErrorCode::StorageUnavailable))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({ "status": "ready" })))
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
        .expose_headers([header::RETRY_AFTER, header::WWW_AUTHENTICATE])
        .max_age(600);
    if config.origins_allowed().is_empty() {
        return cors;
    }
    config
        .origins_allowed()
        .iter()
        .fold(cors.supports_credentials(), |cors, origin| cors.allowed_origin(origin))
}
