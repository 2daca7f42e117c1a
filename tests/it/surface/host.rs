//! Applications that mount the scope in other ways than the usual one.

use std::net::SocketAddr;

use actix_authflow::Auth;
use actix_web::dev::ServerHandle;
use actix_web::middleware::Condition;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};

use super::{Connection, Reply, Request};

/// A server on a port of its own. It stops with the runtime of the test at the latest.
pub(crate) struct Host {
    address: SocketAddr,
    server: ServerHandle,
}

impl Host {
    /// Serves these routes, and hides the refresh cookie from them so many times.
    pub(crate) fn start(
        auth: &Auth,
        hidden: usize,
        routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Host {
        let auth = auth.clone();
        let server = HttpServer::new(move || {
            App::new()
                .configure(routes.clone())
                .wrap(Condition::new(hidden > 1, auth.hide_cookie()))
                .wrap(Condition::new(hidden > 0, auth.hide_cookie()))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Host { address, server: handle }
    }

    /// Sends requests, one after the other on one connection. They block, so they are sent from another thread.
    pub(crate) async fn send<const N: usize>(&self, requests: [Request; N]) -> [Reply; N] {
        let address = self.address;
        let work = move || {
            let mut connection = Connection::to_address(address);
            requests.map(|request| connection.send(&request))
        };
        actix_web::rt::task::spawn_blocking(work).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.server.stop(false).await;
    }
}
