//! A client with a session: calls, refreshes, and checks every answer.

use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use hyper::{Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::client::{Answer, Connection};
use crate::crowd::{self, Task, Until};

const NAME: &str = "__Host-Http-refresh_token=";

/// The tokens of one session as they were last received.
pub(crate) struct Session {
    pub(crate) id: Uuid,
    /// None until the first refresh of a session that was found, not started.
    access_token: Option<String>,
    refresh_token: String,
    generation: u32,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    session_id: Uuid,
}

impl Session {
    /// A session of each of these users.
    pub(crate) fn of(address: SocketAddr, users: &[Uuid]) -> Vec<Self> {
        let clients = users.iter().map(|user| (*user, None)).collect();
        let load =
            crowd::run(Task::at(address, Until::Steps(1)), clients, async |connection, (user, session)| {
                let request = Request::post(format!("/host/login/{user}")).body(Full::default()).unwrap();
                *session = Some(Self::from(&connection.call(request).await));
            });
        load.clients.into_iter().map(|(_, session)| session.unwrap()).collect()
    }

    /// Logs in with a password, from an address of one's own; the answer is the caller's to judge.
    pub(crate) async fn ask_for(
        connection: &mut Connection,
        address: Ipv4Addr,
        email: &str,
        password: &str,
    ) -> Answer {
        let body = json!({ "email": email, "password": password }).to_string();
        let request = Request::post("/auth/login")
            .header(CONTENT_TYPE, "application/json")
            .header("X-Forwarded-For", address.to_string());
        connection.call(request.body(Full::from(body)).unwrap()).await
    }

    /// The tokens of an answer, which must have some.
    pub(crate) fn from(answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        let tokens: Tokens = serde_json::from_slice(&answer.body).unwrap();
        let cookie = answer.headers[SET_COOKIE].to_str().unwrap();
        let (refresh_token, _) = cookie.strip_prefix(NAME).unwrap().split_once(';').unwrap();
        let (id, generation) = place(refresh_token);
        assert_eq!(id, tokens.session_id);
        let access_token = Some(tokens.access_token);
        Self { id, access_token, refresh_token: refresh_token.to_owned(), generation }
    }

    /// The session of a refresh token that was made elsewhere.
    pub(crate) fn known(refresh_token: &str) -> Self {
        let (id, generation) = place(refresh_token);
        Self { id, access_token: None, refresh_token: refresh_token.to_owned(), generation }
    }

    /// Presents both tokens.
    pub(crate) async fn refresh(&mut self, connection: &mut Connection) {
        let proof = format!("Bearer {}", self.access_token.as_deref().unwrap());
        self.advance(connection, AUTHORIZATION.as_str(), &proof).await;
    }

    /// Presents the refresh token alone, as a page of the same site does whose script has lost the access token.
    pub(crate) async fn refresh_alone(&mut self, connection: &mut Connection) {
        self.advance(connection, "Sec-Fetch-Site", "same-origin").await;
    }

    /// There must come the next generation and another access token.
    async fn advance(&mut self, connection: &mut Connection, name: &str, value: &str) {
        let request = Request::post("/auth/refresh")
            .header(COOKIE, format!("{NAME}{}", self.refresh_token))
            .header(name, value);
        let next = Self::from(&connection.call(request.body(Full::default()).unwrap()).await);
        assert_eq!((next.id, next.generation), (self.id, self.generation + 1));
        assert_ne!(next.access_token, self.access_token);
        *self = next;
    }

    pub(crate) fn generation(&self) -> i64 {
        self.generation.into()
    }

    /// Calls the guarded route.
    pub(crate) async fn call(&self, connection: &mut Connection) {
        let token = self.access_token.as_deref().unwrap();
        let request = Request::get("/api/item").header(AUTHORIZATION, format!("Bearer {token}"));
        let answer = connection.call(request.body(Full::<Bytes>::default()).unwrap()).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"item"[..]));
    }
}

/// What an opaque token says openly: its session and its generation.
fn place(refresh_token: &str) -> (Uuid, u32) {
    let bytes = URL_SAFE_NO_PAD.decode(refresh_token.strip_prefix("rt_").unwrap()).unwrap();
    let generation = u32::from_be_bytes(bytes[17..21].try_into().unwrap());
    (Uuid::from_slice(&bytes[1..17]).unwrap(), generation)
}
