//! The application under test: a real server on a port of its own.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use actix_authflow::testing::TestDatabase;
use actix_authflow::testing::internals::wait_for_hashing;
use actix_authflow::{Auth, AuthConfig, Authenticated, ServerSecret, Transport};
use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use actix_web::{App, HttpResponse, HttpServer, Responder, web};
use diesel::pg::PgConnection;
use serde_json::json;
use uuid::Uuid;

use super::PATIENCE;

/// The master secret of every application that does not choose another.
pub(crate) const SECRET: &str = "9mZ2vQ4tXb7LwKc1RyHn6GsJ0pDfAeUo";

/// A signing key for nodes with another secret, which cannot open the stored one.
pub(crate) const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

pub(crate) fn secret(text: &str) -> ServerSecret {
    ServerSecret::new(text).unwrap()
}

/// One node of an application that mounts the scope at `/auth`, guards `/api`, and is stopped with this value.
pub(crate) struct TestApp {
    pub(crate) auth: Auth,
    address: SocketAddr,
    config: AuthConfig,
    /// Where the database really is, whichever detour the application takes.
    database_url: String,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
    /// The connection of the `db_` helpers.
    pub(super) connection: Mutex<Option<PgConnection>>,
    /// Last, so that the server is gone before its database.
    database: Option<Arc<Database>>,
}

/// A database, and the right to have one.
struct Database {
    url: String,
    _database: TestDatabase,
    _turn: Turn,
}

impl TestApp {
    /// With the defaults, on a database of its own.
    pub(crate) async fn start() -> TestApp {
        TestApp::with(|config| config).await
    }

    /// With a configuration of one's own, on a database of its own.
    pub(crate) async fn with(configure: impl FnOnce(AuthConfig) -> AuthConfig) -> TestApp {
        let turn = actix_web::rt::task::spawn_blocking(Turn::take).await.unwrap();
        let database = TestDatabase::new();
        let database = Database { url: database.url().to_owned(), _database: database, _turn: turn };
        let url = database.url.clone();
        TestApp::run(configure(basic(&url)), url, Some(Arc::new(database))).await
    }

    /// On a database that somebody else takes care of, such as one in a cluster that is to be stopped.
    pub(crate) async fn at(url: &str, configure: impl FnOnce(AuthConfig) -> AuthConfig) -> TestApp {
        TestApp::run(configure(basic(url)), url.to_owned(), None).await
    }

    /// Another node on the same database with the same configuration.
    pub(crate) async fn second_node(&self) -> TestApp {
        TestApp::run(self.config.clone(), self.database_url.clone(), self.database.clone()).await
    }

    /// Another node on the same database, from the defaults.
    pub(crate) async fn node(&self, configure: impl FnOnce(AuthConfig) -> AuthConfig) -> TestApp {
        self.node_at(&self.database_url, configure).await
    }

    /// Another node on the same database, which it reaches by this URL.
    pub(crate) async fn node_at(
        &self,
        url: &str,
        configure: impl FnOnce(AuthConfig) -> AuthConfig,
    ) -> TestApp {
        TestApp::run(configure(basic(url)), self.database_url.clone(), self.database.clone()).await
    }

    /// Ends the process, as far as that can be told from outside, and starts it anew on the same database. It listens on
    /// another port then: see [`Browser::at`](super::Browser::at).
    pub(crate) async fn restart(self) -> TestApp {
        let (config, url) = (self.config.clone(), self.database_url.clone());
        let database = self.database.clone();
        drop(self);
        TestApp::run(config, url, database).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path such as `/auth/login`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where the database really is.
    pub(crate) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Whether the database is the test's own, and stays for as long as the application.
    pub(super) fn owns_its_database(&self) -> bool {
        self.database.is_some()
    }

    async fn run(config: AuthConfig, database_url: String, database: Option<Arc<Database>>) -> TestApp {
        let (started, ready) = tokio::sync::oneshot::channel();
        let served = config.clone();
        let thread = thread::spawn(move || {
            System::new().block_on(async move {
                let auth = Auth::connect(served).await.unwrap();
                let clone = auth.clone();
                let server = HttpServer::new(move || App::new().configure(routes(&clone)))
                    .workers(2)
                    .disable_signals()
                    .shutdown_timeout(1)
                    .bind(("127.0.0.1", 0))
                    .unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                let _ = started.send((auth, address, server.handle()));
                server.await.unwrap();
            });
        });
        let (auth, address, server) = ready.await.expect("the application did not start");
        let (thread, connection) = (Some(thread), Mutex::default());
        TestApp { auth, address, config, database_url, server, thread, connection, database }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed, and the test that it matters to has failed.
            let _ = thread.join();
        }
    }
}

/// The defaults, but for a pool that leaves room for other tests.
/// Passwords wait for as long as it takes: on a busy machine hashes, which give way to everything else, may take seconds.
fn basic(url: &str) -> AuthConfig {
    wait_for_hashing(AuthConfig::new(url, secret(SECRET)).database_pool(4), PATIENCE)
}

fn routes(auth: &Auth) -> impl FnOnce(&mut web::ServiceConfig) {
    let auth = auth.clone();
    move |app| {
        app.configure(auth.routes("/auth"))
            .service(web::scope("/api").wrap(auth.guard()).route("/me", web::get().to(api_me)))
            .configure(super::demands::routes(&auth))
            .route("/healthz", web::get().to(HttpResponse::Ok))
            .route("/host/login/{user}/{transport}", web::post().to(host_login))
            .app_data(web::Data::new(auth));
    }
}

async fn api_me(user: Authenticated) -> impl Responder {
    web::Json(json!({ "user_id": user.id(), "session_id": user.session_id() }))
}

/// A host that authenticates by itself: whoever is named in the path is believed.
async fn host_login(auth: web::Data<Auth>, path: web::Path<(Uuid, String)>) -> impl Responder {
    let (user, transport) = path.into_inner();
    let transport = if transport == "body" { Transport::Body } else { Transport::Cookie };
    auth.start_session(user.into(), transport).await.map_err(actix_web::error::ErrorForbidden)
}

/// Few at once have a database: the server has no more than 200 connections.
struct Turn;

static TURNS: (Mutex<u32>, Condvar) = (Mutex::new(8), Condvar::new());

impl Turn {
    fn take() -> Turn {
        let mut free = TURNS.1.wait_while(TURNS.0.lock().unwrap(), |free| *free == 0).unwrap();
        *free -= 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TURNS.0.lock().unwrap() += 1;
        TURNS.1.notify_one();
    }
}
