//! A node as it serves: the scope and a guarded route, on a port of its own.

use actix_authflow::{Auth, AuthConfig, Authenticated};
use actix_web::dev::ServerHandle;
use actix_web::rt::spawn;
use actix_web::{App, HttpServer, web};

pub(crate) struct Node {
    pub(crate) auth: Auth,
    url: String,
    server: ServerHandle,
}

impl Node {
    /// In the system of actix that runs at this moment.
    pub(crate) async fn start(config: AuthConfig) -> Self {
        let auth = Auth::connect(config).await.unwrap();
        let served = auth.clone();
        let app = move || {
            let guarded = web::scope("/guarded").wrap(served.guard()).route("", web::get().to(user));
            App::new().configure(served.routes("/auth")).service(guarded)
        };
        let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        spawn(server);
        Self { auth, url, server: handle }
    }

    /// The URL of a path.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) async fn stop(self) {
        self.server.stop(false).await;
    }
}

async fn user(user: Authenticated) -> String {
    user.id().to_string()
}
