//! One connection over the wire: a thread for each direction.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::message::Message;
use super::trap::{Moment, Trap};
use super::upstream::Stream;
use super::{Event, Shared, is_of_the_background};

/// Carries messages until either end has had enough.
pub(super) fn serve(client: TcpStream, shared: &Arc<Shared>) {
    let _ = client.set_nodelay(true);
    let client = Stream::Tcp(client);
    // Where the database is away, the client finds its connection cut.
    let Ok(server) = shared.upstream.connect() else { return client.cut() };
    let losing = Arc::new(AtomicBool::new(false));
    let towards_client = TowardsClient {
        server: server.try_clone().unwrap(),
        client: client.try_clone().unwrap(),
        losing: Arc::clone(&losing),
    };
    thread::spawn(move || towards_client.carry());
    let towards_server = TowardsServer {
        client,
        server,
        shared: Arc::clone(shared),
        losing,
        statements: HashMap::new(),
        portals: HashMap::new(),
        held: None,
        leaving: None,
        in_background: false,
    };
    thread::spawn(move || towards_server.carry());
}

struct TowardsClient {
    server: Stream,
    client: Stream,
    /// Whether the next answer is to be lost, and the connection with it.
    losing: Arc<AtomicBool>,
}

impl TowardsClient {
    fn carry(mut self) {
        let _ = self.carry_all();
        self.client.cut();
        self.server.cut();
    }

    fn carry_all(&mut self) -> io::Result<()> {
        let mut server = BufReader::new(self.server.try_clone()?);
        loop {
            let message = Message::read(&mut server)?;
            let losing = self.losing.load(Ordering::SeqCst);
            // The end of an answer: the database has done, and committed, what it was asked for.
            if losing && message.kind == b'Z' {
                return Ok(());
            }
            if !losing {
                self.client.write_all(&message.bytes)?;
            }
        }
    }
}

struct TowardsServer {
    client: Stream,
    server: Stream,
    shared: Arc<Shared>,
    losing: Arc<AtomicBool>,
    /// SQL by the name of the prepared statement, and by the name of the portal.
    statements: HashMap<String, String>,
    portals: HashMap<String, String>,
    /// What waits for the end of the implicit transaction.
    held: Option<Trap>,
    /// What cuts the connection when all of the statement has been sent.
    leaving: Option<Trap>,
    /// Whether the last statement was one that no request waits for.
    in_background: bool,
}

impl TowardsServer {
    fn carry(mut self) {
        // An error is an end of the wire that has gone; the message it came with is lost, as it should be.
        let _ = self.carry_all();
        self.client.cut();
        self.server.cut();
    }

    fn carry_all(&mut self) -> io::Result<()> {
        let mut client = BufReader::new(self.client.try_clone()?);
        let mut first = Message::read_first(&mut client)?;
        while first.asks_for_encryption() {
            self.client.write_all(b"N")?;
            first = Message::read_first(&mut client)?;
        }
        self.server.write_all(&first.bytes)?;
        loop {
            let message = Message::read(&mut client)?;
            if self.look_at(&message) == Fate::Cut {
                return Ok(());
            }
            // A query is sent at once, any other statement with the message that ends its series.
            if matches!(message.kind, b'S' | b'Q')
                && let Some(trap) = self.leaving.take()
            {
                // Before the server can have answered.
                self.client.cut();
                trap.reach();
                return self.server.write_all(&message.bytes);
            }
            self.server.write_all(&message.bytes)?;
        }
    }

    /// Takes note of a message, and says what becomes of it.
    fn look_at(&mut self, message: &Message) -> Fate {
        match message.kind {
            b'P' => {
                let [name, sql] = message.texts();
                self.in_background = is_of_the_background(&sql);
                self.record(Event::Parsed { name: name.clone(), sql: sql.clone() });
                self.statements.insert(name, sql);
            }
            b'B' => {
                let [portal, name] = message.texts();
                let sql = self.statements.get(&name).cloned().unwrap_or_default();
                self.portals.insert(portal, sql);
            }
            b'E' => {
                let [portal] = message.texts();
                let sql = self.portals.get(&portal).cloned().unwrap_or_default();
                return self.execute(sql);
            }
            b'Q' => {
                let [sql] = message.texts();
                let fate = self.execute(sql);
                self.record(Event::RoundTrip);
                return fate;
            }
            b'S' => {
                self.record(Event::RoundTrip);
                if let Some(trap) = self.held.take() {
                    trap.hold();
                }
            }
            _ => {}
        }
        Fate::Forwarded
    }

    fn execute(&mut self, sql: String) -> Fate {
        self.in_background = is_of_the_background(&sql);
        let trap = self.shared.spring(&sql);
        self.record(Event::Executed(sql));
        let Some(trap) = trap else { return Fate::Forwarded };
        match trap.moment() {
            Moment::CutBefore => {
                trap.reach();
                return Fate::Cut;
            }
            Moment::CutOnceSent => self.leaving = Some(trap),
            Moment::CutAfter => {
                self.losing.store(true, Ordering::SeqCst);
                trap.reach();
            }
            Moment::HoldBefore => trap.hold(),
            Moment::HoldBeforeCommit => self.held = Some(trap),
        }
        Fate::Forwarded
    }

    fn record(&self, event: Event) {
        match event {
            event if !self.in_background => self.shared.record(event),
            Event::Executed(sql) => self.shared.background.lock().unwrap().push(sql),
            Event::Parsed { .. } | Event::RoundTrip => {}
        }
    }
}

#[derive(PartialEq, Eq)]
enum Fate {
    Forwarded,
    /// It does not arrive, and nothing after it.
    Cut,
}
