//! The applications.

use std::net::SocketAddr;
use std::time::Duration;

use actix_authflow::testing::internals::{SECRET, Tokens};
use actix_authflow::{
    Auth, AuthConfig, Guard, ServerSecret, SessionTokens, SigningAlgorithm, Transport, TrustedProxies, UserId,
};
use actix_web::dev::Server;
use actix_web::error::ErrorForbidden;
use actix_web::{App, HttpServer, web};

/// Starts an application on a port of its own, with a worker for each core.
pub(super) async fn start(arguments: &[String]) -> (SocketAddr, Server) {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["guard", algorithm] => guard(algorithm),
        ["issuer", database_url] => issuer(database_url).await,
        _ => panic!("there is no such application: {arguments:?}"),
    }
}

/// One handler twice: in the open, and behind the guard.
fn guard(algorithm: &str) -> (SocketAddr, Server) {
    let verifier = Tokens::new(self::algorithm(algorithm)).verifier();
    listen(move |app| {
        let guarded = web::scope("/guarded").wrap(Guard::new(verifier.clone()));
        app.service(web::scope("/open").route("/item", web::get().to(item)))
            .service(guarded.route("/item", web::get().to(item)));
    })
}

/// The whole scope with a window of 0, so that every refresh rotates; a guarded route; and logins without a password.
/// Clients say which address they come from, so that not all of them share the budget of one.
async fn issuer(database_url: &str) -> (SocketAddr, Server) {
    let config = AuthConfig::new(database_url, ServerSecret::new(SECRET).unwrap())
        .refresh_grace(Duration::ZERO)
        .refresh_requires_access_token(false)
        .trusted_proxies(TrustedProxies::parse("127.0.0.1").unwrap());
    let auth = Auth::connect(config).await.unwrap();
    listen(move |app| {
        app.configure(auth.routes("/auth"))
            .service(web::scope("/api").wrap(auth.guard()).route("/item", web::get().to(item)))
            .route("/host/login/{user}", web::post().to(host_login))
            .app_data(web::Data::new(auth.clone()));
    })
}

/// Longer than any client waits before it sends the next request, which would otherwise meet a connection that is being
/// closed.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

fn listen(configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> (SocketAddr, Server) {
    let server = HttpServer::new(move || App::new().configure(&configure));
    let server =
        server.keep_alive(KEEP_ALIVE).disable_signals().shutdown_timeout(1).bind(("127.0.0.1", 0)).unwrap();
    (server.addrs()[0], server.run())
}

/// As a host does that authenticates by itself. This one believes whoever is named.
async fn host_login(auth: web::Data<Auth>, user: web::Path<UserId>) -> actix_web::Result<SessionTokens> {
    auth.start_session(*user, Transport::Cookie).await.map_err(ErrorForbidden)
}

async fn item() -> &'static str {
    "item"
}

fn algorithm(name: &str) -> SigningAlgorithm {
    let all = [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Hs256];
    all.into_iter().find(|algorithm| algorithm.as_str() == name).unwrap()
}
