//! How long after a logout on one node another node still lets the session in.
//!
//! Two nodes that serve HTTP, with nothing in common but the database. Logouts come at random moments, so that they
//! fall anywhere between two looks of the other node. The time runs from the sending of the logout to the first
//! refusal. It is measured twice: with the listener of the other node, and with every connection of that listener cut.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod support;

use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use actix_authflow::{AuthConfig, ServerSecret, Transport, UserId};
use actix_web::rt::{System, spawn, time};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::arguments::Arguments;
use support::database::Database;
use support::figures::{Figures, percentiles};
use support::node::Node;
use uuid::Uuid;

const SUBJECT: &str = "logout";
/// How often the other node is asked, which is how exact the times are.
const STEP: Duration = Duration::from_millis(5);

/// How long a node may let in whose session has ended, before this gives up.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let mut figures = Figures::new("revocation", &Arguments::read());
    let database = Database::open();
    figures.measured_on(&database);
    eprintln!("{}", database.settings());
    println!("| the other node | logouts | p50 | p99 | longest |");
    println!("|---|---|---|---|---|");
    System::new().block_on(async {
        let secret = ServerSecret::new("kR3v9TqzW1mYc7JxPdL5uHsN0bEgA8fo").unwrap();
        let config = AuthConfig::new(database.url(), secret).database_pool(4).max_sessions(10_000);
        measure(&mut figures, "is told by NOTIFY", &config, config.clone()).await;
        let (nowhere, cut) = cut_off();
        measure(&mut figures, "polls only", &config, config.clone().listen_url(nowhere)).await;
        cut.try_recv().expect("the listener has not come where it is cut off");
    });
    figures.write();
}

async fn measure(figures: &mut Figures, how: &str, here: &AuthConfig, there: AuthConfig) {
    let (here, there) = (Node::start(here.clone()).await, Node::start(there).await);
    let user = here.auth.ensure_user("customer-4711").await.unwrap().id;
    let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();

    let (number, span) = figures.effort((500, Duration::from_secs(50)), (3, Duration::from_secs(1)));
    let mut logouts = Vec::new();
    for _ in 0..number {
        logouts.push(Logout::prepare(&here, &there, &client, user).await.after(any_moment_of(span)));
    }
    let logouts: Vec<_> = logouts.into_iter().map(spawn).collect();
    for (round, logout) in logouts.into_iter().enumerate() {
        figures.keep(SUBJECT, how, round, "ms", logout.await.unwrap().as_secs_f64() * 1e3);
    }

    let [middle, slow, longest] = percentiles(figures.values(SUBJECT, how, "ms"), [50, 99, 100]);
    println!("| {how} | {number} | {middle:.0} ms | {slow:.0} ms | {longest:.0} ms |");
    here.stop().await;
    there.stop().await;
}

/// An address at which every connection is closed at once, and one message for each.
fn cut_off() -> (String, Receiver<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgresql://{}/postgres", listener.local_addr().unwrap());
    let (closed, cut) = mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            drop(connection);
            // Nobody need listen to this.
            let _ = closed.send(());
        }
    });
    (url, cut)
}

fn any_moment_of(span: Duration) -> Duration {
    let [high, low, ..] = *Uuid::new_v4().as_bytes();
    span * u32::from(u16::from_be_bytes([high, low])) / u32::from(u16::MAX)
}

/// A session that is about to be ended here and looked for there.
struct Logout {
    client: Client,
    token: String,
    leave: String,
    look: String,
}

impl Logout {
    async fn prepare(here: &Node, there: &Node, client: &Client, user: UserId) -> Self {
        let tokens = here.auth.start_session(user, Transport::Cookie).await.unwrap();
        let logout = Self {
            client: client.clone(),
            token: tokens.access_token().to_owned(),
            leave: here.at("/auth/logout"),
            look: there.at("/guarded"),
        };
        assert!(logout.is_let_in().await);
        logout
    }

    async fn after(self, wait: Duration) -> Duration {
        time::sleep(wait).await;
        let start = Instant::now();
        let left = self.client.post(&self.leave).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(left.status(), StatusCode::NO_CONTENT);
        while self.is_let_in().await {
            assert!(start.elapsed() < PATIENCE, "the other node still lets in after {PATIENCE:?}");
            time::sleep(STEP).await;
        }
        start.elapsed()
    }

    /// Whether the other node lets the session in. If not, then because it has ended.
    async fn is_let_in(&self) -> bool {
        let answer = self.client.get(&self.look).bearer_auth(&self.token).send().await.unwrap();
        if answer.status() == StatusCode::OK {
            return true;
        }
        let (status, problem): (_, Value) = (answer.status(), answer.json().await.unwrap());
        assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("session_revoked")));
        false
    }
}
