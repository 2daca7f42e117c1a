//! The applications.

use std::net::SocketAddr;

use actix_authflow::testing::internals::Tokens;
use actix_authflow::{Guard, SigningAlgorithm};
use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};

/// Starts an application on a port of its own, with a worker for each core.
pub(super) async fn start(arguments: &[String]) -> (SocketAddr, Server) {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["guard", algorithm] => guard(algorithm),
        _ => panic!("there is no such application: {arguments:?}"),
    }
}

/// One handler twice: in the open, and behind the guard.
fn guard(algorithm: &str) -> (SocketAddr, Server) {
    let verifier = Tokens::new(self::algorithm(algorithm)).verifier();
    let server = HttpServer::new(move || {
        App::new().service(web::scope("/open").route("/item", web::get().to(item))).service(
            web::scope("/guarded").wrap(Guard::new(verifier.clone())).route("/item", web::get().to(item)),
        )
    });
    let server = server.disable_signals().shutdown_timeout(1).bind(("127.0.0.1", 0)).unwrap();
    (server.addrs()[0], server.run())
}

async fn item() -> &'static str {
    "item"
}

fn algorithm(name: &str) -> SigningAlgorithm {
    let all = [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Hs256];
    all.into_iter().find(|algorithm| algorithm.as_str() == name).unwrap()
}
