//! The running server, and the lock that it holds on its files.

use std::fs::{self, File, TryLockError};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::LocalPostgresError;
use super::error::cannot;
use super::place::Place;
use super::watchdog::Watched;

/// How long a predecessor may take to finish. Its end is a matter of milliseconds unless it is really in use.
const HANDOVER: Duration = Duration::from_secs(3);
/// How long a start may take. Long, because it may begin with the recovery from a crash.
const STARTUP: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Server(Watched);

impl Server {
    /// Starts `postgres` and waits until it accepts connections.
    pub(super) fn start(
        place: &Place,
        program: &Path,
        settings: impl IntoIterator<Item = String>,
    ) -> Result<Server, LocalPostgresError> {
        // The lock becomes the standard output, which every process of the server inherits and none writes to: so it is
        // free again when the last of them is gone, whatever became of the others.
        let lock = take_lock(place)?;
        remove_stale_pid_file(place)?;
        let mut arguments = vec!["-D".into(), place.data().into()];
        arguments.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
        let mut server = Server(Watched::spawn(place, program, arguments, lock)?);
        match server.wait_until_ready(place) {
            Ok(()) => Ok(server),
            Err(error) => {
                // The error that counts is the first.
                let _ = server.stop();
                Err(error)
            }
        }
    }

    fn wait_until_ready(&mut self, place: &Place) -> Result<(), LocalPostgresError> {
        let deadline = Instant::now() + STARTUP;
        let failed = |how| LocalPostgresError::Failed { program: "postgres", how, log: place.end_of_log() };
        while PidFile::read(place).is_none_or(|file| !file.ready()) {
            if let Some(status) = self.0.ended()? {
                return Err(failed(status.to_string()));
            }
            if Instant::now() > deadline {
                return Err(failed(format!("not ready after {} s", STARTUP.as_secs())));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    pub(super) fn runs(&mut self) -> bool {
        matches!(self.0.ended(), Ok(None))
    }

    /// Stops the server in good order and waits for its end.
    pub(super) fn stop(self) -> Result<(), LocalPostgresError> {
        self.0.stop()
    }

    /// Kills the server as a crash would, and waits until its last process has noticed.
    pub(super) fn kill(self, place: &Place) -> Result<(), LocalPostgresError> {
        let Some(file) = PidFile::read(place) else { return self.stop() };
        let shell = Path::new("sh");
        // As the server's user, because it is a file of that user which names the process.
        let mut command = place.account.command(shell);
        command.args(["-c", "kill -s KILL \"$1\"", "sh", file.pid()]);
        command.status().map_err(cannot("running", shell))?;
        self.0.wait()?;
        take_lock(place).map(drop)
    }
}

/// Waits a little for the lock, since a predecessor may be about to end.
pub(super) fn take_lock(place: &Place) -> Result<File, LocalPostgresError> {
    let lock = place.lock_file()?;
    let deadline = Instant::now() + HANDOVER;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(POLL),
            Err(TryLockError::WouldBlock) => return Err(in_use(place)),
            Err(TryLockError::Error(error)) => {
                return Err(cannot("locking", &place.directory.join("lock"))(error));
            }
        }
    }
}

/// Removes what a crashed server left behind.
///
/// Postgres does this by itself, unless another process has got the crashed one's id meanwhile; after the restart of a
/// container that is likely. We know better, as we hold the lock. Only a server that was started by hand on these files
/// could still be there, and that one would answer.
fn remove_stale_pid_file(place: &Place) -> Result<(), LocalPostgresError> {
    let Some(file) = PidFile::read(place) else { return Ok(()) };
    if UnixStream::connect(file.socket()).is_ok() {
        return Err(in_use(place));
    }
    let path = PidFile::path(place);
    fs::remove_file(&path).map_err(cannot("removing", &path))
}

fn in_use(place: &Place) -> LocalPostgresError {
    let pid = PidFile::read(place).map(|file| file.pid().to_owned());
    LocalPostgresError::InUse { directory: place.directory.clone(), pid }
}

/// What Postgres says of itself in `postmaster.pid`: a line each for its id, the data, the time it started, the port, the
/// socket directory, the address, the shared memory, and its state.
struct PidFile(Vec<String>);

impl PidFile {
    fn path(place: &Place) -> PathBuf {
        place.data().join("postmaster.pid")
    }

    fn read(place: &Place) -> Option<PidFile> {
        let text = fs::read_to_string(PidFile::path(place)).ok()?;
        Some(PidFile(text.lines().map(|line| line.trim().to_owned()).collect()))
    }

    fn line(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }

    fn pid(&self) -> &str {
        self.line(0)
    }

    fn socket(&self) -> PathBuf {
        Path::new(self.line(4)).join(format!(".s.PGSQL.{}", self.line(3)))
    }

    fn ready(&self) -> bool {
        self.line(7) == "ready"
    }
}
