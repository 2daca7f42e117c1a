//! How long after a logout on one node another node still lets the session in.
//!
//! Two nodes that serve HTTP, with nothing in common but the database. Logouts come at random moments, so that they fall
//! anywhere between two looks of the other node. The time runs from the sending of the logout to the first refusal.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod support;

use std::time::{Duration, Instant};

use actix_authflow::{AuthConfig, ServerSecret, Transport, UserId};
use actix_web::rt::{System, spawn, time};
use reqwest::{Client, StatusCode};
use support::database::Database;
use support::node::Node;
use uuid::Uuid;

/// How often the other node is asked, which is how exact the times are.
const STEP: Duration = Duration::from_millis(5);

/// `cargo bench` asks for a measurement; without its flag three logouts show that everything works.
struct Effort {
    logouts: u32,
    /// In which they come.
    span: Duration,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let effort = if has("--bench") && !has("--test") {
        Effort { logouts: 500, span: Duration::from_secs(50) }
    } else {
        Effort { logouts: 3, span: Duration::from_secs(1) }
    };
    let database = Database::open();
    eprintln!("{}", database.settings());
    println!("| the other node | logouts | p50 | p99 | longest |");
    println!("|---|---|---|---|---|");
    System::new().block_on(async {
        effort.measure(&database, "is told by NOTIFY", |config| config).await;
        effort.measure(&database, "polls only", |config| config.listen_url("")).await;
    });
}

impl Effort {
    async fn measure(&self, database: &Database, how: &str, configure: impl Fn(AuthConfig) -> AuthConfig) {
        let secret = ServerSecret::new("kR3v9TqzW1mYc7JxPdL5uHsN0bEgA8fo").unwrap();
        let config = configure(AuthConfig::new(database.url(), secret).database_pool(4).max_sessions(10_000));
        let (here, there) = (Node::start(config.clone()).await, Node::start(config).await);
        let user = here.auth.ensure_user("customer-4711").await.unwrap().id;
        let client = Client::builder().no_proxy().build().unwrap();

        let mut logouts = Vec::new();
        for _ in 0..self.logouts {
            logouts.push(Logout::prepare(&here, &there, &client, user).await.after(self.any_moment()));
        }
        let logouts: Vec<_> = logouts.into_iter().map(spawn).collect();
        let mut times = Vec::new();
        for logout in logouts {
            times.push(logout.await.unwrap());
        }

        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_millis();
        println!("| {how} | {} | {} ms | {} ms | {} ms |", times.len(), at(50), at(99), at(100));
        here.stop().await;
        there.stop().await;
    }

    fn any_moment(&self) -> Duration {
        let [high, low, ..] = *Uuid::new_v4().as_bytes();
        self.span * u32::from(u16::from_be_bytes([high, low])) / u32::from(u16::MAX)
    }
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
        assert_eq!(logout.look().await, StatusCode::OK);
        logout
    }

    async fn after(self, wait: Duration) -> Duration {
        time::sleep(wait).await;
        let start = Instant::now();
        let left = self.client.post(&self.leave).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(left.status(), StatusCode::NO_CONTENT);
        while self.look().await == StatusCode::OK {
            time::sleep(STEP).await;
        }
        let elapsed = start.elapsed();
        assert_eq!(self.look().await, StatusCode::UNAUTHORIZED);
        elapsed
    }

    async fn look(&self) -> StatusCode {
        self.client.get(&self.look).bearer_auth(&self.token).send().await.unwrap().status()
    }
}
