//! Good requests to every route, spoilt at random in the places that a client fills: never a fault of the server, never
//! let in without whole credentials, never a change in the database by one that is refused, and the connection goes on.
//!
//! So many as take some seconds; `PROPTEST_CASES` asks for more.

mod proof;
mod spoil;

use std::cell::RefCell;
use std::env;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::json;

use self::proof::Demand;
use self::spoil::{Good, Spoiled, spoiled};
use super::{Connection, Request};
use crate::support::{Browser, PASSWORD, TestApp};

const CASES: u32 = 400;
const COOKIE: &str = "__Host-Http-refresh_token";
const DEVICE_COOKIE: &str = "__Host-Http-device";

/// Every route of the scope, and one of the application's behind the guard.
const ROUTES: [(&str, &str, Demand); 16] = [
    ("POST", "/auth/register", Demand::Nothing),
    ("POST", "/auth/login", Demand::Password),
    ("POST", "/auth/refresh", Demand::BothTokens),
    ("POST", "/auth/logout", Demand::EitherToken),
    ("POST", "/auth/password", Demand::AccessTokenAndPassword),
    ("GET", "/auth/me", Demand::AccessToken),
    ("GET", "/auth/sessions", Demand::AccessToken),
    ("DELETE", "/auth/sessions", Demand::AccessToken),
    ("DELETE", "/auth/sessions?keep=current", Demand::AccessToken),
    ("DELETE", "/auth/sessions/{own}", Demand::AccessToken),
    ("GET", "/auth/.well-known/jwks.json", Demand::Nothing),
    ("GET", "/auth/doctor", Demand::Nothing),
    ("POST", "/auth/doctor", Demand::Nothing),
    ("GET", "/api/me", Demand::AccessToken),
    ("POST", "/auth/refresh, as a phone", Demand::BothTokens),
    ("POST", "/auth/login, as a phone", Demand::Password),
];

/// What a client keeps.
struct Client {
    access_token: String,
    refresh_token: String,
    device_token: String,
    session: String,
}

/// A user whose requests are spoilt, and another one who sees whether the server is well.
struct Probe {
    app: TestApp,
    user: String,
    password_hash: String,
    browser: Client,
    phone: Client,
    witness: String,
    connection: Connection,
    before: Vec<String>,
}

impl Client {
    /// Logged in by the host, which asks for no password.
    fn start(connection: &mut Connection, user: &str, transport: &str) -> Client {
        let reply =
            connection.send(&Request::new("POST", &format!("/host/login/{user}/{transport}"))).expect(200);
        let json = reply.json();
        let member = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let cookie = |name: &str| {
            let set = reply.headers.iter().filter(|(header, _)| header == "set-cookie");
            let mut values = set.filter_map(|(_, cookie)| cookie.strip_prefix(name)?.strip_prefix('='));
            values.next().and_then(|value| value.split(';').next()).unwrap_or_default().to_owned()
        };
        Client {
            access_token: member("access_token"),
            refresh_token: member("refresh_token") + &cookie(COOKIE),
            device_token: member("device_token") + &cookie(DEVICE_COOKIE),
            session: member("session_id"),
        }
    }
}

impl Probe {
    async fn new() -> Probe {
        let app = TestApp::with(|config| config.doctor(true)).await;
        let user = Browser::signed_up(&app, "alice@example.com").await.user();
        let witness = Browser::signed_up(&app, "bob@example.com").await.access_token.unwrap();
        let hash = format!("SELECT password_hash AS value FROM authflow.users WHERE id = '{user}'");
        let password_hash = app.db_texts(&hash).remove(0).unwrap();
        let mut connection = Connection::to(&app);
        let [browser, phone] = ["cookie", "body"].map(|kind| Client::start(&mut connection, &user, kind));
        let mut probe =
            Probe { app, user, password_hash, browser, phone, witness, connection, before: Vec::new() };
        probe.before = probe.app.db_snapshot();
        probe
    }

    /// Gives the user new sessions and the old password, after a request that was good enough to change something.
    fn renew(&mut self) {
        self.app.db_execute(&format!(
            "UPDATE authflow.users SET password_hash = '{}' WHERE id = '{}'",
            self.password_hash, self.user
        ));
        self.connection = Connection::to(&self.app);
        self.browser = Client::start(&mut self.connection, &self.user, "cookie");
        self.phone = Client::start(&mut self.connection, &self.user, "body");
        self.before = self.app.db_snapshot();
    }

    /// Who sends the requests of a route.
    fn client(&self, route: usize) -> &Client {
        if ROUTES[route].1.ends_with("phone") { &self.phone } else { &self.browser }
    }

    /// The request that an honest client would send.
    fn good(&self, route: usize) -> Good {
        let (method, path, _) = ROUTES[route];
        let (client, by_phone) = (self.client(route), path.ends_with("phone"));
        let Client { refresh_token, device_token, .. } = client;
        let body = match (method, path) {
            ("POST", "/auth/register" | "/auth/login") => Some(json!({
                "email": "alice@example.com", "password": PASSWORD, "transport": "body", "device_name": "laptop",
                "remember": true,
            })),
            ("POST", "/auth/password") => {
                Some(json!({ "current_password": PASSWORD, "new_password": PASSWORD }))
            }
            ("POST", "/auth/login, as a phone") => Some(json!({
                "email": "alice@example.com", "password": PASSWORD, "transport": "body", "device_token": device_token,
            })),
            ("POST", "/auth/doctor") => Some(json!({})),
            _ if by_phone => Some(json!({ "refresh_token": refresh_token })),
            _ => None,
        };
        Good {
            method,
            path: path.trim_end_matches(", as a phone").replace("{own}", &client.session),
            authorization: format!("Bearer {}", client.access_token),
            cookie: (!by_phone)
                .then(|| format!("theme=dark; {COOKIE}={refresh_token}; {DEVICE_COOKIE}={device_token}")),
            body,
        }
    }

    /// Sends the spoilt request, and looks after the server.
    fn send(&mut self, case: &Spoiled) -> Result<(), TestCaseError> {
        // After a few failures every login would be refused unseen.
        self.app.db_execute("DELETE FROM authflow.attempts");
        let (request, (method, _, demand)) = (case.request(&self.good(case.route)), ROUTES[case.route]);
        // A server may close a connection that was idle, but not the next one as well.
        let reply = self.connection.try_send(&request).or_else(|| {
            self.connection = Connection::to(&self.app);
            self.connection.try_send(&request)
        });
        let reply = reply.ok_or_else(|| TestCaseError::fail(format!("no answer to {request:?}")))?;
        prop_assert!(reply.status < 500, "{request:?}\n{reply:?}");
        let refused = reply.status >= 400;
        if refused {
            prop_assert!(reply.json()["code"].is_string(), "{request:?}\n{reply:?}");
            prop_assert!(
                !reply.headers.iter().any(|(name, _)| name == "set-cookie"),
                "{request:?}\n{reply:?}"
            );
        }
        if reply.header("connection") == "close" {
            self.connection = Connection::to(&self.app);
        }
        let good = Request::get("/auth/me").bearer(&self.witness);
        let next = self.connection.try_send(&good);
        prop_assert!(next.is_some_and(|next| next.status == 200), "after {request:?}\n{reply:?}");
        let met = demand.is_met(&request, self.client(case.route));
        let (before, now) = (self.before.clone(), self.app.db_snapshot());
        if before != now {
            // Also for the simpler cases that are tried after a failure.
            self.renew();
        }
        prop_assert!(refused || met, "let in without {demand:?}: {request:?}\n{reply:?}");
        if refused || method == "GET" {
            prop_assert_eq!(&before, &now, "{:?}\n{:?}", request, reply);
        }
        Ok(())
    }
}

#[actix_web::test]
async fn no_spoilt_request_is_a_fault_or_changes_anything() {
    let probe = RefCell::new(Probe::new().await);
    let cases = env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, max_shrink_iters: 64, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&spoiled(ROUTES.len()), |case| probe.borrow_mut().send(&case));
    if let Err(error) = result {
        panic!("{error}");
    }
}
