//! The directories and files of one cluster.
//!
//! ```text
//! <directory>/lock   held for as long as any process of the server lives
//!             log    what the server says, since its last start
//!             data   the cluster          } both 0700 and, where the process is root,
//!             run    the socket           } owned by the user that the server runs as
//! ```

use std::collections::hash_map::RandomState;
use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::BuildHasher;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::LocalPostgresError;
use super::account::Account;
use super::error::cannot;
use super::watchdog::Doomed;

/// Where the clusters of root go when the directory asked for cannot be reached by the user that the server runs as.
const FALLBACK: &str = "/var/lib/authflow";
/// The kernel allows a socket's path 107 bytes on Linux and 103 on macOS.
const LONGEST_SOCKET_PATH: usize = 100;
const SOCKET: &str = ".s.PGSQL.5432";
const LOG_LINES_SHOWN: usize = 15;

#[derive(Debug)]
pub(super) struct Place {
    pub(super) account: Account,
    pub(super) directory: PathBuf,
    pub(super) socket_directory: PathBuf,
    temporary: bool,
    /// The whole of a temporary cluster, or a socket directory that had to be elsewhere.
    _doomed: Option<Doomed>,
    /// Opened once: in a directory that was handed over, root must not follow a name again.
    log: File,
}

impl Place {
    pub(super) fn persistent(wanted: &Path) -> Result<Place, LocalPostgresError> {
        let account = Account::find()?;
        let mut directory = create(wanted, account.outer_mode())?;
        if !account.reaches(&directory) {
            directory = fall_back(&directory, account)?;
        }
        let owner = fs::metadata(&directory).map_err(cannot("looking at", &directory))?.uid();
        if owner != account.own_uid() {
            return Err(LocalPostgresError::NotOurs { directory, owner });
        }
        let account = account.or_owner_of(&directory.join("data"));
        Place::furnish(directory, account)
    }

    pub(super) fn temporary() -> Result<Place, LocalPostgresError> {
        let account = Account::find()?;
        let (directory, doomed) = create_unguessable(account)?;
        let place = Place::furnish(directory, account)?;
        // Only now, because root creates no files where others may have put links.
        account.hand_over(&place.directory)?;
        Ok(Place { temporary: true, _doomed: Some(doomed), ..place })
    }

    fn furnish(directory: PathBuf, account: Account) -> Result<Place, LocalPostgresError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let open = |name: &str| {
            let path = directory.join(name);
            options.open(&path).map_err(cannot("opening", &path))
        };
        let log = open("log")?;
        open("lock")?;
        let near = directory.join("run");
        let (socket_directory, doomed) = if short_enough(&near) {
            (create(&near, 0o700)?, None)
        } else {
            let (far, doomed) = create_unguessable(account)?;
            (far, Some(doomed))
        };
        account.hand_over(&socket_directory)?;
        Ok(Place { account, directory, socket_directory, temporary: false, _doomed: doomed, log })
    }

    pub(super) fn is_temporary(&self) -> bool {
        self.temporary
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The lock file, opened anew: locks belong to the opening, and this one is to be passed on.
    pub(super) fn lock_file(&self) -> Result<File, LocalPostgresError> {
        let path = self.directory.join("lock");
        File::open(&path).map_err(cannot("opening", &path))
    }

    /// The log, emptied for another start.
    pub(super) fn new_log(&self) -> Result<File, LocalPostgresError> {
        let path = self.directory.join("log");
        self.log.set_len(0).map_err(cannot("emptying", &path))?;
        self.log.try_clone().map_err(cannot("opening", &path))
    }

    pub(super) fn end_of_log(&self) -> String {
        let mut log = &self.log;
        let mut text = Vec::new();
        match log.rewind().and_then(|()| log.read_to_end(&mut text)) {
            Ok(_) => last_lines(&String::from_utf8_lossy(&text)),
            Err(error) => format!("(the log cannot be read: {error})"),
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

fn create(directory: &Path, mode: u32) -> Result<PathBuf, LocalPostgresError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(mode).create(directory).map_err(cannot("making", directory))?;
    directory.canonicalize().map_err(cannot("looking at", directory))
}

/// A new directory in the first temporary one that will do. Its creation fails if anybody has the name already.
fn create_unguessable(account: Account) -> Result<(PathBuf, Doomed), LocalPostgresError> {
    let name = format!("authflow-{:016x}", RandomState::new().hash_one(std::process::id()));
    let fits = |base: &PathBuf| short_enough(&base.join(&name).join("run")) && account.reaches(base);
    let base = Some(env::temp_dir()).filter(fits).unwrap_or_else(|| PathBuf::from("/tmp"));
    let directory = base.join(name);
    DirBuilder::new().mode(0o700).create(&directory).map_err(cannot("making", &directory))?;
    let doomed = Doomed::new(&directory, account)?;
    Ok((directory, doomed))
}

fn short_enough(socket_directory: &Path) -> bool {
    socket_directory.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET_PATH
}

/// The place for what was wanted in a directory that is closed to the server's user, and a link there for people.
fn fall_back(wanted: &Path, account: Account) -> Result<PathBuf, LocalPostgresError> {
    let name = wanted.file_name().unwrap_or_default().to_string_lossy();
    let directory = Path::new(FALLBACK).join(format!("{name}-{:08x}", short_hash(wanted)));
    let directory = create(&directory, account.outer_mode())?;
    let link = wanted.join("data");
    if link.symlink_metadata().is_err() {
        let data = directory.join("data");
        symlink(data, &link).map_err(cannot("linking to the data from", &link))?;
    }
    Ok(directory)
}

/// FNV-1a. The standard library's hash may change with the compiler, and the cluster would be lost from sight.
fn short_hash(path: &Path) -> u32 {
    path.as_os_str()
        .as_bytes()
        .iter()
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
