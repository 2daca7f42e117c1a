//! A service that only checks tokens: no database, no Diesel, no password hashing.
//!
//! Builds with `default-features = false`. It takes the issuer's public keys from a file, which the issuer publishes at
//! `/auth/.well-known/jwks.json`.
//!
//! ```sh
//! curl -sS http://127.0.0.1:8080/auth/.well-known/jwks.json -o jwks.json
//! JWKS_FILE=jwks.json cargo run --example resource_server
//! ```

use std::env;
use std::error::Error;
use std::fs;

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
    let jwks = fs::read_to_string(env::var("JWKS_FILE").unwrap_or_else(|_| "jwks.json".into()))?;
    let issuer = env::var("ISSUER").unwrap_or_else(|_| "authflow".into());
    let audience = env::var("AUDIENCE").unwrap_or_else(|_| "authflow".into());
    let guard = Guard::new(Verifier::from_jwks(&jwks, issuer, audience)?);
    HttpServer::new(move || {
        App::new().service(web::scope("/api").wrap(guard.clone()).service(orders).service(statistics))
    })
    .bind(("127.0.0.1", 8090))?
    .run()
    .await?;
    Ok(())
}
