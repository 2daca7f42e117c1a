//! What can go wrong with a private Postgres, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a private Postgres could not be made, started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalPostgresError {
    /// No Postgres programs on this machine.
    #[error(
        "no Postgres programs (initdb, postgres) in $PG_BIN, in $PATH or in the usual places; install them \
         (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; \
         macOS: brew install postgresql) or set DATABASE_URL to a server that already runs"
    )]
    ProgramsNotFound,
    /// `PG_BIN` is set, but to a folder without the programs.
    #[error("PG_BIN is {}, which has no initdb and postgres in it; an example is /usr/lib/postgresql/17/bin", .0.display())]
    WrongPgBin(PathBuf),
    /// The process is root, whom Postgres refuses to serve, and there is no user to run it as.
    #[error(
        "Postgres does not run as root, and /etc/passwd knows neither a user `postgres` nor a user `nobody`"
    )]
    NoAccount,
    /// The directory belongs to somebody else.
    #[error("{} belongs to the user with id {owner}; run as that user or choose another directory", directory.display())]
    NotOurs {
        /// The directory in question.
        directory: PathBuf,
        /// The user id that owns it.
        owner: u32,
    },
    /// Another running process has this cluster.
    #[error("the Postgres in {} is in use{}; stop the process that started it first", directory.display(), in_brackets(.pid))]
    InUse {
        /// The directory in question.
        directory: PathBuf,
        /// The id of the Postgres process, where it is known.
        pid: Option<String>,
    },
    /// `initdb` or `postgres` ended with an error.
    #[error("{program} failed ({how}); the end of what it said:\n{log}")]
    Failed {
        /// Which program it was.
        program: &'static str,
        /// How it ended.
        how: String,
        /// The last lines of its output.
        log: String,
    },
    /// The operating system refused something.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file, directory or program.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

fn in_brackets(pid: &Option<String>) -> String {
    pid.as_ref().map(|pid| format!(" (by Postgres process {pid})")).unwrap_or_default()
}

/// Puts the missing half of an [`io::Error`] to it: what was tried, and on which path.
pub(super) fn cannot(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LocalPostgresError {
    let path = path.to_owned();
    move |source| LocalPostgresError::Io { what, path, source }
}
