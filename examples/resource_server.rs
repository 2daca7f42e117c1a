//! A service that only checks tokens: no database, no Diesel, no password hashing. It follows the keys that the issuer
//! publishes.
//!
//! Builds with `default-features = false, features = ["jwks-fetch"]`. With an issuer at <http://127.0.0.1:8080>:
//!
//! ```sh
//! JWKS_URL=http://127.0.0.1:8080/auth/.well-known/jwks.json cargo run --example resource_server --features jwks-fetch
//! curl -sS http://127.0.0.1:8090/api/orders -H "Authorization: Bearer $TOKEN"
//! ```
//!
//! `ISSUER` and `AUDIENCE` are what the issuer has for `AUTHFLOW_ISSUER` and `AUTHFLOW_AUDIENCE`.

use std::env;
use std::error::Error;

use actix_authflow::{AuthError, Authenticated, ErrorCode, Guard, Verifier};
use actix_web::{App, HttpServer, Responder, get, web};

#[get("/orders")]
async fn orders(user: Authenticated) -> impl Responder {
    format!("the orders of {}", user.id())
}

#[get("/statistics")]
async fn statistics(user: Authenticated) -> Result<impl Responder, AuthError> {
    if !user.has_role("admin") {
        return Err(ErrorCode::Forbidden.into());
    }
    Ok("42 orders")
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("JWKS_URL").map_err(|_| "JWKS_URL is not set")?;
    let guard = Guard::new(
        Verifier::from_jwks_url(&url, or("ISSUER", "authflow"), or("AUDIENCE", "authflow")).await?,
    );
    let server = HttpServer::new(move || {
        App::new().service(web::scope("/api").wrap(guard.clone()).service(orders).service(statistics))
    })
    .bind(or("BIND", "127.0.0.1:8090"))?;
    for address in server.addrs() {
        eprintln!("orders are at http://{address}/api/orders");
    }
    server.run().await?;
    Ok(())
}

fn or(variable: &str, default: &str) -> String {
    env::var(variable).unwrap_or_else(|_| default.into())
}
