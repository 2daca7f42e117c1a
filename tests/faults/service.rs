//! `authflow serve`, which may be killed, and is found again at another port then.

use std::net::SocketAddr;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::process::{BIND, Program, SECRET, directory};

/// What every server under test has: chains that stay whole, and no count of attempts.
const USUAL: [(&str, &str); 5] = [
    SECRET,
    BIND,
    ("AUTHFLOW_PRUNE_INTERVAL", "24h"),
    ("AUTHFLOW_LOGIN_THROTTLE", "false"),
    ("RUST_LOG", "error"),
];

/// A server, and where it is.
pub(crate) struct Service {
    program: Mutex<Program>,
    address: Mutex<SocketAddr>,
    variables: Vec<(String, String)>,
    // Goes last.
    directory: TempDir,
}

impl Service {
    pub(crate) fn on(database: &str) -> Service {
        Service::with(database, &[])
    }

    pub(crate) fn with(database: &str, variables: &[(&str, &str)]) -> Service {
        let all = [&USUAL, &[("DATABASE_URL", database)][..], variables].concat();
        let (directory, program) = {
            let directory = directory();
            let program = Program::serve(directory.path(), &all);
            (directory, program)
        };
        let variables = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let address = Mutex::new(program.address);
        Service { program: Mutex::new(program), address, variables, directory }
    }

    /// Where it is just now.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.program.lock().unwrap().signal(name);
    }

    /// Kills it as nothing else does, and starts another.
    pub(crate) fn kill_and_start(&self) {
        let mut program = self.program.lock().unwrap();
        program.signal("KILL");
        program.wait();
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        *program = Program::serve(self.directory.path(), &variables);
        *self.address.lock().unwrap() = program.address;
    }
}
