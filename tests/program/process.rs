//! The program as a process, in a directory and an environment of its own.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::http::Connection;
use crate::support::PATIENCE;

/// A master secret that is good enough.
pub(crate) const SECRET: (&str, &str) = ("AUTHFLOW_SECRET", "pZ8wq2Lr0vNc5TyB7uXk3MhE9aGjDfSi");
/// Any free port.
pub(crate) const BIND: (&str, &str) = ("AUTHFLOW_BIND", "127.0.0.1:0");

/// A directory that the user the private Postgres runs as gets into, even where the tests run as root.
pub(crate) fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    directory
}

/// The program with these variables and none of the test's own but the path.
pub(crate) fn command<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    directory: &Path,
    subcommand: &str,
    variables: impl IntoIterator<Item = (K, V)>,
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authflow"));
    command.arg(subcommand).current_dir(directory).env_clear().envs(variables);
    for kept in ["PATH", "PG_BIN", "LD_LIBRARY_PATH"] {
        command.envs(std::env::var_os(kept).map(|value| (kept, value)));
    }
    command
}

/// Runs the program to its end.
pub(crate) fn run(directory: &Path, subcommand: &str, variables: &[(&str, &str)]) -> Output {
    command(directory, subcommand, variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The program while it serves. It is killed with this value.
pub(crate) struct Program {
    child: Child,
    pub(crate) screen: String,
    pub(crate) address: SocketAddr,
    log: std::path::PathBuf,
}

impl Program {
    /// Starts `authflow serve` and waits for its screen.
    pub(crate) fn serve(directory: &Path, variables: &[(&str, &str)]) -> Program {
        Program::start(directory, command(directory, "serve", variables.iter().copied()))
    }

    pub(crate) fn start(directory: &Path, mut command: Command) -> Program {
        let log = directory.join("log");
        let stderr = fs::File::create(&log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let (lines, deadline) = (lines(child.stdout.take().unwrap()), Instant::now() + PATIENCE);
        let mut screen = String::new();
        while !screen.contains("Ctrl-C stops it.") {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines.recv_timeout(left).unwrap_or_else(|end| {
                let _ = child.kill();
                panic!("{end} after {screen:?}; {}", fs::read_to_string(&log).unwrap())
            });
            screen.push_str(&line);
            screen.push('\n');
        }
        let base = screen.split("listens on http://").nth(1).and_then(|rest| rest.lines().next());
        let address =
            base.and_then(|base| base.parse().ok()).unwrap_or_else(|| panic!("no address in {screen}"));
        Program { child, screen, address, log }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::to_address(self.address)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, which is to come by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// The lines that come, for as long as anybody reads them. A pipe alone would be waited for without end.
fn lines(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output).lines().map_while(Result::ok);
        output.all(|line| sender.send(line).is_ok())
    });
    lines
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
