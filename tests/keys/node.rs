//! A node of a deployment, a client of it, and the table behind it.

use std::time::{Duration, Instant};

use actix_authflow::testing::TestDatabase;
use actix_authflow::{Auth, AuthConfig, Authenticated, ServerSecret};
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA";
pub(crate) const OTHER_SECRET: &str = "cXV1eC1iYXotYmFyLWZvby0wOTg3NjU0MzIx";

pub(crate) fn secret(text: &str) -> ServerSecret {
    ServerSecret::new(text).unwrap()
}

pub(crate) fn config(database: &TestDatabase) -> AuthConfig {
    AuthConfig::new(database.url(), secret(SECRET)).database_pool(4)
}

/// A running node. It stops with its value, and its watch as well.
pub(crate) struct Node {
    pub(crate) auth: Auth,
    url: String,
    server: ServerHandle,
    client: Client,
}

/// What a client keeps of a session.
#[derive(Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) session: String,
}

impl Tokens {
    /// The key id in the access token's header.
    pub(crate) fn kid(&self) -> String {
        part(&self.access, 0)["kid"].as_str().unwrap().to_owned()
    }
}

/// A decoded segment of a token.
pub(crate) fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

/// The server closes what is idle for five seconds; a request that was just sent on such a connection would be lost.
fn client() -> Client {
    Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(1)).build().unwrap()
}

impl Node {
    pub(crate) async fn start(config: AuthConfig) -> Node {
        let auth = Auth::connect(config).await.unwrap();
        let scope = auth.clone();
        let app = move || {
            App::new()
                .configure(scope.routes("/auth"))
                .service(web::scope("/api").wrap(scope.guard()).route("/me", web::get().to(me)))
        };
        let server = HttpServer::new(app).workers(1).bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let running = server.disable_signals().run();
        let server = running.handle();
        actix_web::rt::spawn(running);
        Node { auth, url, server, client: client() }
    }

    pub(crate) async fn register(&self, email: &str) -> Tokens {
        let body = json!({ "email": email, "password": "correct horse battery", "transport": "body" });
        let response = self.client.post(self.to("/auth/register")).json(&body).send().await.unwrap();
        tokens(response).await
    }

    /// The status of a guarded call, and the code of a refusal.
    pub(crate) async fn call(&self, access: &str) -> (StatusCode, String) {
        verdict(self.client.get(self.to("/api/me")).bearer_auth(access).send().await.unwrap()).await
    }

    pub(crate) async fn accepts(&self, access: &str) -> bool {
        self.call(access).await.0 == StatusCode::OK
    }

    pub(crate) async fn refresh(&self, tokens_held: &Tokens) -> Tokens {
        tokens(self.try_refresh(&tokens_held.access, &tokens_held.refresh).await).await
    }

    pub(crate) async fn refresh_verdict(&self, held: &Tokens) -> (StatusCode, String) {
        verdict(self.try_refresh(&held.access, &held.refresh).await).await
    }

    async fn try_refresh(&self, access: &str, refresh: &str) -> Response {
        let request = self.client.post(self.to("/auth/refresh")).bearer_auth(access);
        request.json(&json!({ "refresh_token": refresh })).send().await.unwrap()
    }

    /// Logs out by nothing but an access token.
    pub(crate) async fn logout_verdict(&self, access: &str) -> (StatusCode, String) {
        verdict(self.client.post(self.to("/auth/logout")).bearer_auth(access).send().await.unwrap()).await
    }

    pub(crate) async fn jwks(&self, known: Option<&str>) -> Response {
        let request = self.client.get(self.to("/auth/.well-known/jwks.json"));
        let request = known.into_iter().fold(request, |request, tag| request.header("If-None-Match", tag));
        request.send().await.unwrap()
    }

    /// The published key ids, the one that signs first.
    pub(crate) async fn kids(&self) -> Vec<String> {
        let document: Value = self.jwks(None).await.json().await.unwrap();
        let keys = document["keys"].as_array().unwrap();
        keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn signs_with(&self) -> String {
        self.kids().await.swap_remove(0)
    }

    fn to(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

async fn me(user: Authenticated) -> String {
    user.id().to_string()
}

async fn tokens(response: Response) -> Tokens {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{status}: {body}");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Tokens { access: text("access_token"), refresh: text("refresh_token"), session: text("session_id") }
}

async fn verdict(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// Waits for what nodes do each second.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    value: String,
}

/// The first column, called `value`, of every row.
pub(crate) fn db_values(database: &TestDatabase, sql: &str) -> Vec<String> {
    let rows = diesel::sql_query(sql).load::<Row>(&mut database.connect()).unwrap();
    rows.into_iter().map(|row| row.value).collect()
}

pub(crate) fn db_execute(database: &TestDatabase, sql: &str) {
    database.connect().batch_execute(sql).unwrap();
}

/// The states of all keys, the oldest first.
pub(crate) fn db_states(database: &TestDatabase) -> Vec<String> {
    db_values(database, "SELECT state AS value FROM authflow.signing_keys ORDER BY created_at, kid")
}

pub(crate) fn db_kid(database: &TestDatabase, state: &str) -> String {
    let sql = format!("SELECT kid AS value FROM authflow.signing_keys WHERE state = '{state}'");
    db_values(database, &sql).pop().unwrap_or_default()
}

/// Lets time pass for the keys.
pub(crate) fn db_pass(database: &TestDatabase, interval: &str) {
    let sql = format!(
        "UPDATE authflow.signing_keys
         SET created_at = created_at - interval '{interval}', signs_from = signs_from - interval '{interval}',
             retired_at = retired_at - interval '{interval}', expires_at = expires_at - interval '{interval}'"
    );
    db_execute(database, &sql);
}
