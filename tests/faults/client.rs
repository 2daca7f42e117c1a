//! A client with an access token and a refresh token, who comes back when nothing was heard, as the contract says.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::message::{Answer, Heard, call};
use crate::support::{PASSWORD, PATIENCE};

/// How long a client goes on trying; less than the window of 30 s.
const PERSISTENCE: Duration = Duration::from_secs(25);
/// Sooner than `Retry-After` says, which is the harder case for the server.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Where the refresh token is kept and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Cookie,
    Body,
}

/// What a client holds.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) session: String,
    transport: Transport,
    jwt: String,
    /// The refresh token, with the name of its cookie where it is in one.
    token: String,
}

/// What one client went through until an answer came.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// What the client holds after it, with the time at which the request was sent that brought it.
    pub(crate) granted: Option<(Client, SystemTime)>,
    /// When it was over.
    pub(crate) ended: Option<Instant>,
    /// Requests that were sent and not answered.
    pub(crate) unanswered: u32,
    /// Requests that were answered with 503 or 408.
    pub(crate) unavailable: u32,
    /// Answers that came when they were not waited for any more.
    pub(crate) late: Vec<Answer>,
    /// An answer that no honest client may get.
    pub(crate) wronged: Option<Answer>,
    /// Whether a client that comes back got no answer for as long as it tried.
    pub(crate) starved: bool,
}

/// How a client tries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// How long the first answer is waited for. Each further one for twice as long.
    pub(crate) patience: Duration,
    /// How long it is tried.
    pub(crate) persistence: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Manner { patience: LONGEST_WAIT, persistence: PERSISTENCE }
    }
}

impl Manner {
    /// Tries once, whatever becomes of it.
    pub(crate) const ONCE: Manner = Manner { patience: LONGEST_WAIT, persistence: Duration::ZERO };

    pub(crate) fn hasty(patience: Duration) -> Manner {
        Manner { patience, ..Manner::default() }
    }
}

impl Client {
    /// A new user with a session.
    pub(crate) fn signed_up(address: SocketAddr, name: &str, transport: Transport) -> Client {
        let kind = if transport == Transport::Cookie { "cookie" } else { "body" };
        let body = json!({ "email": format!("{name}@example.com"), "password": PASSWORD, "transport": kind });
        match call(address, &post("/auth/register", "", &body), LONGEST_WAIT) {
            Heard::Answer(answer) if answer.status == 201 => Client::of(&answer, transport).unwrap(),
            other => panic!("no registration: {other:?}"),
        }
    }

    fn of(answer: &Answer, transport: Transport) -> Option<Client> {
        let json: Value = serde_json::from_str(&answer.body).ok()?;
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let token = match transport {
            Transport::Cookie => answer.cookie().map(str::to_owned),
            Transport::Body => text("refresh_token"),
        };
        Some(Client { session: text("session_id")?, transport, jwt: text("access_token")?, token: token? })
    }

    /// Whether this is the very refresh token that an answer carries.
    pub(crate) fn holds_what_came_in(&self, answer: &Answer) -> bool {
        Client::of(answer, self.transport).is_some_and(|other| self.holds_the_same_as(&other))
    }

    pub(crate) fn holds_the_same_as(&self, other: &Client) -> bool {
        self.session == other.session && self.token == other.token
    }

    /// The request with which these two tokens are exchanged.
    fn request(&self) -> String {
        let bearer = format!("Authorization: Bearer {}\r\n", self.jwt);
        match self.transport {
            Transport::Cookie => {
                post("/auth/refresh", &format!("{bearer}Cookie: {}\r\n", self.token), &json!({}))
            }
            Transport::Body => post("/auth/refresh", &bearer, &json!({ "refresh_token": self.token })),
        }
    }

    /// Refreshes until there is an answer, at the address that holds at the time. Then it waits for the answers that it did
    /// not wait for before: what is under way for longer than the tests let time pass would be reuse.
    pub(crate) fn refresh(&self, address: impl Fn() -> SocketAddr, manner: Manner) -> Story {
        let (mut story, began, mut patience) = (Story::default(), Instant::now(), manner.patience);
        let mut pending = Vec::new();
        loop {
            let sent = SystemTime::now();
            match call(address(), &self.request(), patience) {
                Heard::NotSent => {}
                Heard::Nothing => story.unanswered += 1,
                Heard::NotYet(answer) => {
                    story.unanswered += 1;
                    pending.push(answer);
                }
                Heard::Answer(answer) if is_to_come_back(&answer) => story.unavailable += 1,
                Heard::Answer(answer) => {
                    self.take(answer, sent, &mut story);
                    break;
                }
            }
            if began.elapsed() >= manner.persistence {
                story.starved = !manner.persistence.is_zero();
                break;
            }
            patience = (patience * 2).min(LONGEST_WAIT);
            thread::sleep(PAUSE);
        }
        story.ended = Some(Instant::now());
        for answer in pending {
            match answer.wait(PATIENCE) {
                Heard::Answer(answer) => story.late.push(answer),
                Heard::NotYet(_) => panic!("a request is under way for ever"),
                Heard::NotSent | Heard::Nothing => {}
            }
        }
        story
    }

    fn take(&self, answer: Answer, sent: SystemTime, story: &mut Story) {
        match Client::of(&answer, self.transport).filter(|_| answer.status == 200) {
            Some(client) => story.granted = Some((client, sent)),
            None => story.wronged = Some(answer),
        }
    }

    /// Asks a guarded route whether the access token is good.
    pub(crate) fn is_let_in(&self, address: SocketAddr) -> bool {
        self.get("/api/me", address) == Some(200)
    }

    /// The status that comes for a path and the access token.
    pub(crate) fn get(&self, path: &str, address: SocketAddr) -> Option<u16> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.jwt
        );
        match call(address, &request, LONGEST_WAIT) {
            Heard::Answer(answer) => Some(answer.status),
            _ => None,
        }
    }
}

/// Whether it says no more than that this was not the time: 503, or 408 from a server that stood still while it read.
pub(crate) fn is_to_come_back(answer: &Answer) -> bool {
    matches!(answer.status, 503 | 408)
}

fn post(path: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
