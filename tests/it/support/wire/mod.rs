//! A wire between the application and Postgres that listens, and that can be cut or held at a statement.
//!
//! It reads as much of the protocol as that takes: which statement a message executes, and where an answer ends
//! (PostgreSQL documentation, "Frontend/Backend Protocol").

mod connection;
mod message;
mod trap;
mod upstream;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) use trap::{Moment, Trap};
use upstream::Upstream;

/// What has passed over the wire towards the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A statement was parsed: under a name to be kept, or without one to be executed once.
    Parsed { name: String, sql: String },
    /// A statement was executed.
    Executed(String),
    /// Somebody waits for an answer.
    RoundTrip,
}

/// The wire. Cut for good when this value goes.
pub(crate) struct Proxy {
    url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Upstream,
    log: Mutex<Vec<Event>>,
    background: Mutex<Vec<String>>,
    traps: Mutex<Vec<Trap>>,
    closed: AtomicBool,
}

impl Proxy {
    /// A wire to the database behind this URL.
    pub(crate) fn to(url: &str) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (upstream, url) = Upstream::of(url, address);
        let (log, background, traps, closed) = Default::default();
        let shared = Arc::new(Shared { upstream, log, background, traps, closed });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                connection::serve(client.unwrap(), &accepting);
            }
        });
        Proxy { url, address, shared }
    }

    /// The URL by which the application reaches the database over this wire.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Forgets what has passed so far.
    pub(crate) fn forget(&self) {
        self.shared.log.lock().unwrap().clear();
    }

    /// What has passed since the start or since it was last forgotten.
    ///
    /// Without what every node asks each second and tells the others, for which it has connections of its own: neither the
    /// statements nor their round trips.
    pub(crate) fn log(&self) -> Vec<Event> {
        self.shared.log.lock().unwrap().clone()
    }

    /// How many statements of the background were executed that this is said of, since the start.
    pub(crate) fn count_in_background(&self, statement: fn(&str) -> bool) -> usize {
        self.shared.background.lock().unwrap().iter().filter(|sql| statement(sql)).count()
    }

    /// The statements that were prepared under a name, to be kept by the connection.
    pub(crate) fn prepared(&self) -> Vec<String> {
        let prepared = |event| match event {
            Event::Parsed { name, sql } if !name.is_empty() => Some(sql),
            _ => None,
        };
        self.log().into_iter().filter_map(prepared).collect()
    }

    /// The statements that were executed.
    pub(crate) fn executed(&self) -> Vec<String> {
        let executed = |event| match event {
            Event::Executed(sql) => Some(sql),
            Event::Parsed { .. } | Event::RoundTrip => None,
        };
        self.log().into_iter().filter_map(executed).collect()
    }

    /// Does something to the next statement that this is said of, once.
    pub(crate) fn trap(&self, statement: fn(&str) -> bool, moment: Moment) -> Trap {
        let trap = Trap::new(statement, moment);
        self.shared.traps.lock().unwrap().push(trap.clone());
        trap
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.traps.lock().unwrap().iter().for_each(Trap::release);
        // Wakes the thread that accepts, so that it sees this.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn record(&self, event: Event) {
        self.log.lock().unwrap().push(event);
    }

    /// The first trap that waits for this statement, which no other statement gets then.
    fn spring(&self, sql: &str) -> Option<Trap> {
        self.traps.lock().unwrap().iter().find(|trap| trap.spring(sql)).cloned()
    }
}

/// A new user.
pub(crate) fn is_new_user(sql: &str) -> bool {
    sql.contains("INSERT INTO authflow.users")
}

/// The rotation: the insertion of a next generation.
pub(crate) fn is_rotation(sql: &str) -> bool {
    sql.contains("INSERT INTO authflow.refresh_tokens") && !is_start_of_session(sql)
}

/// The second look, where nothing was inserted.
pub(crate) fn is_second_look(sql: &str) -> bool {
    sql.contains("LEFT JOIN authflow.refresh_tokens presented")
}

/// The start of a session with its first refresh token.
pub(crate) fn is_start_of_session(sql: &str) -> bool {
    sql.contains("INSERT INTO authflow.sessions")
}

/// The end of one session or of all sessions of a user.
pub(crate) fn is_end_of_sessions(sql: &str) -> bool {
    sql.contains("UPDATE authflow.sessions")
}

pub(crate) fn is_commit(sql: &str) -> bool {
    sql == "COMMIT"
}

/// What every node asks each second.
pub(crate) fn is_revocation_poll(sql: &str) -> bool {
    sql.contains("s.revoked_at > now() -")
}

/// What a node tells the others.
pub(crate) fn is_notification(sql: &str) -> bool {
    sql.starts_with("NOTIFY")
}

/// What no request waits for.
fn is_of_the_background(sql: &str) -> bool {
    is_revocation_poll(sql)
        || is_notification(sql)
        || sql.contains("LEFT JOIN authflow.signing_keys k ON true")
        // The listener asks now and then whether its server still takes writes.
        || sql.starts_with("SELECT current_setting('transaction_read_only')")
}
