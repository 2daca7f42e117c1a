//! The server under load, in a process of its own: this program, started again.

mod apps;

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::rt::System;

use crate::figures::Figures;
use crate::process;

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
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().parse().expect("the server did not start");
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
        self.child.wait().unwrap();
    }
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
