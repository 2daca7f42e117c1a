//! What must not outlive this process, each with a shell that waits for our end: a program, and a directory.
//!
//! Destructors are not enough. A test binary never drops its statics, and nothing at all runs after a kill.

use std::ffi::OsString;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use super::LocalPostgresError;
use super::account::Account;
use super::error::cannot;
use super::place::Place;

const WATCHDOG: &str = include_str!("watchdog.sh");
const UNDERTAKER: &str = include_str!("undertaker.sh");

/// A running program that ends when this process does, whether or not there is time to say so.
#[derive(Debug)]
pub(super) struct Watched {
    shell: Child,
    orders: PipeWriter,
}

impl Watched {
    /// Starts the program. Its errors go to the log, and all that it starts inherits `output`.
    pub(super) fn spawn(
        place: &Place,
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        output: impl Into<Stdio>,
    ) -> Result<Watched, LocalPostgresError> {
        let (standing_by, orders) = pipe()?;
        // The data of a temporary cluster need not be in order when their owner is gone.
        let signal = if place.is_temporary() { "QUIT" } else { "INT" };
        let mut command = place.account.command("sh");
        command.args(["-c", WATCHDOG, "authflow-postgres", signal]);
        command.arg(program).args(arguments);
        command.stdin(standing_by).stdout(output).stderr(place.new_log()?);
        // A group of its own: Ctrl-C in the terminal is for us, who still need the database to finish what is under way.
        let shell = command.process_group(0).spawn().map_err(cannot("starting", program))?;
        Ok(Watched { shell, orders })
    }

    /// How the program ended, or `None` while it runs.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, LocalPostgresError> {
        self.shell.try_wait().map_err(cannot("waiting for", Path::new("sh")))
    }

    /// Waits for the program to end by itself.
    pub(super) fn wait(mut self) -> Result<ExitStatus, LocalPostgresError> {
        self.shell.wait().map_err(cannot("waiting for", Path::new("sh")))
    }

    /// Asks for what Postgres calls the fast shutdown, and waits for the end.
    pub(super) fn stop(mut self) -> Result<(), LocalPostgresError> {
        // Where the program has ended already there is nobody to read this.
        let _ = self.orders.write_all(b"INT\n");
        self.wait().map(drop)
    }
}

/// A directory that is removed with this value, or else with this process.
#[derive(Debug)]
pub(super) struct Doomed {
    directory: PathBuf,
    shell: Child,
    life: PipeWriter,
}

impl Doomed {
    /// It will be the account that removes the directory, if it comes to that.
    pub(super) fn new(directory: &Path, account: Account) -> Result<Doomed, LocalPostgresError> {
        let (standing_by, life) = pipe()?;
        let mut command = account.command("sh");
        command.args(["-c", UNDERTAKER, "authflow-postgres"]).arg(directory);
        command.stdin(standing_by).stdout(Stdio::null()).stderr(Stdio::null());
        let shell = command.process_group(0).spawn().map_err(cannot("starting", Path::new("sh")))?;
        Ok(Doomed { directory: directory.to_owned(), shell, life })
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        // Nobody is left to tell of errors.
        let _ = fs::remove_dir_all(&self.directory);
        let _ = self.life.write_all(b"done\n");
        let _ = self.shell.wait();
    }
}

/// Its writing end is closed in every process that we start, so that it closes for good with this one.
fn pipe() -> Result<(PipeReader, PipeWriter), LocalPostgresError> {
    io::pipe().map_err(cannot("making a pipe to", Path::new("sh")))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::Command;

    use super::*;

    /// Deaf to TERM for a while. Then exits with 7 at the next one, and with 1 when none comes within seconds.
    const DEAF_AT_FIRST: &str =
        "trap '' TERM; echo; sleep 0.3; trap 'exit 7' TERM; for _ in 1 2 3; do sleep 1; done; exit 1";

    #[test]
    fn a_program_that_is_deaf_at_first_is_told_again() {
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "test", "TERM", "sh", "-c", DEAF_AT_FIRST]);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut deaf = [0];
        shell.stdout.take().unwrap().read_exact(&mut deaf).unwrap();

        drop(shell.stdin.take());

        assert_eq!(shell.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn a_program_that_ends_by_itself_is_reported_while_the_owner_lives() {
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "test", "TERM", "sh", "-c", "exit 3"]).stdin(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let owner = shell.stdin.take();

        assert_eq!(shell.wait().unwrap().code(), Some(3));
        drop(owner);
    }
}
