//! The way between clients and server, on which requests and answers are lost, late, doubled or overtaken.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::message::{Answer, read};
use crate::support::PATIENCE;

/// What happens to a request on the way, or to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The connection breaks before the server has heard anything.
    CutBefore,
    /// The client's connection breaks when the whole request has been sent to the server, who goes on with it.
    CutOnceSent,
    /// The server has answered, so the rotation is committed; and the connection breaks.
    CutAfterCommit,
    /// The answer takes so long.
    Late(Duration),
    /// The answer waits until a later one has arrived.
    Overtaken,
    /// The server gets the request twice at the same time; the client hears the second answer.
    Doubled,
}

/// The line. It closes with this value.
pub(crate) struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    mishaps: Mutex<VecDeque<Mishap>>,
    /// Every answer of the server's, whatever became of it.
    answers: Mutex<Vec<Answer>>,
    under_way: AtomicU32,
    arrived: AtomicU32,
    came_true: AtomicU32,
    closed: AtomicBool,
}

impl Line {
    pub(crate) fn to(server: SocketAddr) -> Line {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                shared.under_way.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    let _ = shared.carry(client.unwrap(), server);
                    shared.under_way.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Line { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets this happen to the next request.
    pub(crate) fn next(&self, mishap: Mishap) {
        self.shared.mishaps.lock().unwrap().push_back(mishap);
    }

    /// Waits until nothing is under way, and hands out the server's answers, and how many mishaps came true.
    pub(crate) fn quiet(&self) -> (Vec<Answer>, u32) {
        let deadline = Instant::now() + PATIENCE;
        while self.shared.under_way.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < deadline, "the line is not quiet");
            thread::sleep(Duration::from_millis(1));
        }
        self.shared.mishaps.lock().unwrap().clear();
        let answers = std::mem::take(&mut *self.shared.answers.lock().unwrap());
        (answers, self.shared.came_true.swap(0, Ordering::SeqCst))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, so that it sees this.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Carries one request and its answer. `None` where they got lost.
    fn carry(&self, mut client: TcpStream, server: SocketAddr) -> Option<()> {
        let request = read(&mut client)?;
        let mishap = self.mishaps.lock().unwrap().pop_front();
        let arrived = self.arrived.load(Ordering::SeqCst);
        match mishap {
            Some(Mishap::CutBefore) => return self.came_true(),
            Some(Mishap::CutOnceSent) => {
                let stream = send(&request, server)?;
                drop(client);
                self.came_true();
                return self.hear(stream).map(drop);
            }
            Some(Mishap::Doubled) => {
                let first = send(&request, server)?;
                let second = send(&request, server)?;
                let (first, second) = (self.hear(first)?, self.hear(second)?);
                if [&first, &second].iter().all(|answer| answer.starts_with(b"HTTP/1.1 200")) {
                    self.came_true();
                }
                return client.write_all(&second).ok();
            }
            _ => {}
        }
        let answer = self.hear(send(&request, server)?)?;
        match mishap {
            Some(Mishap::CutAfterCommit) => return self.came_true(),
            Some(Mishap::Late(time)) => {
                thread::sleep(time);
                self.came_true();
            }
            Some(Mishap::Overtaken) => self.wait_for_more_than(arrived),
            _ => {}
        }
        let _ = client.write_all(&answer);
        self.arrived.fetch_add(1, Ordering::SeqCst);
        Some(())
    }

    fn came_true(&self) -> Option<()> {
        self.came_true.fetch_add(1, Ordering::SeqCst);
        None
    }

    fn hear(&self, mut stream: TcpStream) -> Option<Vec<u8>> {
        let bytes = read(&mut stream)?;
        self.answers.lock().unwrap().extend(Answer::of(&bytes));
        Some(bytes)
    }

    /// Waits until an answer has arrived whose request came later.
    fn wait_for_more_than(&self, arrived: u32) {
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            if self.arrived.load(Ordering::SeqCst) > arrived {
                self.came_true();
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn send(request: &[u8], server: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request).ok()?;
    Some(stream)
}
