//! The smallest application: the scope at `/auth` and one guarded route. Configured by the environment.
//!
//! ```sh
//! DATABASE_URL=postgres://localhost/app AUTHFLOW_SECRET=$(openssl rand -base64 32) cargo run --example minimal
//! ```

use std::error::Error;

use actix_authflow::{Auth, AuthConfig, Authenticated};
use actix_web::{App, HttpServer, Responder, get, web};

#[get("/me")]
async fn me(user: Authenticated) -> impl Responder {
    format!("user {}", user.id())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = AuthConfig::from_env()?;
    let address = config.bind_address();
    let auth = Auth::connect(config).await?;
    HttpServer::new(move || {
        App::new()
            .configure(auth.routes("/auth"))
            .service(web::scope("/api").wrap(auth.guard()).service(me))
            .wrap(auth.hide_cookie())
    })
    .bind(address)?
    .run()
    .await?;
    Ok(())
}
