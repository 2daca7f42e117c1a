//! A Postgres program with a shell that watches over its owner: us.

use std::ffi::OsString;
use std::io::{self, PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};

use super::LocalPostgresError;
use super::error::cannot;
use super::place::Place;

const SCRIPT: &str = include_str!("watchdog.sh");

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
        let shell = Path::new("sh");
        let (standing_by, orders) = io::pipe().map_err(cannot("making a pipe to", shell))?;
        // The data of a temporary cluster need not be in order when their owner is gone.
        let signal = if place.is_temporary() { "QUIT" } else { "INT" };
        let mut command = place.account.command(shell);
        command.args(["-c", SCRIPT, "authflow-postgres", signal]);
        command.arg(place.doomed.as_deref().unwrap_or(Path::new("")));
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
