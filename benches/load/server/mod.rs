//! The server under load, in a process of its own: this program, started again.

mod apps;

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use actix_web::dev::Server;
use actix_web::rt::System;

use crate::client::PATIENCE;
use crate::process;
use crate::support::figures::Figures;

/// The unit of what is kept of memory.
pub(crate) const MEBIBYTES: &str = "resident MiB";

/// As the first argument it makes this program a server.
pub(crate) const FLAG: &str = "--serve";

/// A server. It ends with this value, and also when this process is killed: then nobody holds its standard input open.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    /// Starts the application of this name and waits until it listens.
    pub(crate) fn start(application: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(FLAG)
            .arg(application)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let address = first_line(child.stdout.take().unwrap()).and_then(|line| line.trim().parse().ok());
        let Some(address) = address else {
            child.kill().unwrap();
            panic!("the server did not say within {PATIENCE:?} where it listens");
        };
        Self { child, address }
    }

    /// Keeps how much memory it has in use, where that is known.
    pub(crate) fn keep_memory(&self, figures: &mut Figures, subject: &str, side: &str, round: usize) {
        if let Some(bytes) = process::resident_bytes(self.child.id()) {
            figures.keep(subject, side, round, MEBIBYTES, bytes as f64 / f64::from(1 << 20));
        }
    }

    pub(crate) fn processor_time(&self) -> Option<Duration> {
        process::processor_time(self.child.id())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                // A second panic would hide what the first was about.
                assert!(thread::panicking(), "the server did not stop within {PATIENCE:?}, and was killed");
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What a process says first, if it does in time.
fn first_line(output: ChildStdout) -> Option<String> {
    let (sender, line) = mpsc::channel();
    thread::spawn(move || sender.send(BufReader::new(output).lines().next()));
    line.recv_timeout(PATIENCE).ok()??.ok()
}

/// What the process does that was started as a server: says where it listens, and serves until its input ends.
pub(crate) fn serve(arguments: &[String]) {
    System::new().block_on(async {
        let (address, server) = apps::start(arguments).await;
        stop_with_input(&server);
        println!("{address}");
        server.await.unwrap();
    });
}

fn stop_with_input(server: &Server) {
    let handle = server.handle();
    thread::spawn(move || {
        // However it ends, nobody is left to serve.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        System::new().block_on(handle.stop(false));
    });
}
