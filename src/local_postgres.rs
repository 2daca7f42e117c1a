//! A private Postgres, made from the programs installed on this machine.
//!
//! For the program's first run, where nobody has prepared a database yet, and for tests. It listens on a Unix socket in
//! a directory that only its user can enter, on no port at all; so any number of them run side by side and nobody else
//! gets in. It ends with the process that started it, even when that one is killed.
//!
//! Where the process is root the server runs as `postgres` or `nobody`, because Postgres refuses to run as root.

mod account;
mod error;
mod place;
mod programs;
mod server;
mod watchdog;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

pub use error::LocalPostgresError;
use error::cannot;
use place::Place;
use server::Server;
use watchdog::Watched;

/// A Postgres of one's own. Dropping it stops it.
///
/// ```no_run
/// use actix_authflow::local_postgres::LocalPostgres;
///
/// let postgres = LocalPostgres::open(".authflow/postgres".as_ref())?;
/// println!("psql '{}'", postgres.url("postgres"));
/// # Ok::<(), actix_authflow::local_postgres::LocalPostgresError>(())
/// ```
#[derive(Debug)]
pub struct LocalPostgres {
    // Before `place`: the server ends before its directory goes.
    server: Option<Server>,
    place: Place,
    programs: PathBuf,
}

impl LocalPostgres {
    /// The cluster in this directory, made at the first call and kept for the next.
    ///
    /// A new cluster has one database, `postgres`. What a crash left behind is cleaned up; a cluster that another running
    /// process has is refused with [`LocalPostgresError::InUse`].
    ///
    /// Where the process is root and the directory lies below one that is closed to others, such as `/root`, the files go
    /// to `/var/lib/authflow` and a link in the directory says so; see [`directory`](Self::directory).
    pub fn open(directory: &Path) -> Result<LocalPostgres, LocalPostgresError> {
        LocalPostgres::make(Place::persistent(directory)?)
    }

    /// A new and empty cluster that is removed in the end, tuned for tests: 200 connections, and no waiting for the disk.
    pub fn temporary() -> Result<LocalPostgres, LocalPostgresError> {
        LocalPostgres::make(Place::temporary()?)
    }

    /// Where the files really are.
    pub fn directory(&self) -> &Path {
        &self.place.directory
    }

    /// A URL that libpq, and so Diesel and `psql`, can connect to. It stays the same while the server stops and starts.
    pub fn url(&self, database: &str) -> String {
        let host = percent_encoded(&self.place.socket_directory);
        let database = percent_encoded(Path::new(database));
        format!("postgresql://postgres@{host}:5432/{database}")
    }

    /// Starts a server that was stopped or has died; one that runs is left alone.
    pub fn start(&mut self) -> Result<(), LocalPostgresError> {
        if self.server.as_mut().is_some_and(Server::runs) {
            return Ok(());
        }
        self.stop()?;
        let program = self.programs.join("postgres");
        self.server = Some(Server::start(&self.place, &program, self.settings())?);
        Ok(())
    }

    /// Stops the server in good order. Connections are cut, transactions under way are rolled back.
    pub fn stop(&mut self) -> Result<(), LocalPostgresError> {
        self.server.take().map_or(Ok(()), Server::stop)
    }

    /// Kills the server with `SIGKILL`, as a crash would.
    pub fn kill(&mut self) -> Result<(), LocalPostgresError> {
        self.server.take().map_or(Ok(()), |server| server.kill(&self.place))
    }

    /// [`stop`](Self::stop) and [`start`](Self::start).
    pub fn restart(&mut self) -> Result<(), LocalPostgresError> {
        self.stop()?;
        self.start()
    }

    fn make(place: Place) -> Result<LocalPostgres, LocalPostgresError> {
        let lock = server::take_lock(&place)?;
        let version = fs::read_to_string(place.data().join("PG_VERSION")).ok();
        let programs = programs::find(version.as_deref().map(str::trim))?;
        let mut postgres = LocalPostgres { server: None, place, programs };
        if version.is_none() {
            postgres.init()?;
        }
        drop(lock);
        postgres.start()?;
        Ok(postgres)
    }

    /// Makes the cluster beside its place and moves it there, so that one cut short is never mistaken for a whole one.
    fn init(&self) -> Result<(), LocalPostgresError> {
        let draft = self.place.directory.join("data.new");
        match fs::remove_dir_all(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(cannot("removing", &draft)(error));
            }
            _ => fs::create_dir(&draft).map_err(cannot("making", &draft))?,
        }
        self.place.account.hand_over(&draft)?;

        let initdb = self.programs.join("initdb");
        // Trust: whoever gets into the socket's directory is the owner.
        let mut arguments: Vec<OsString> =
            ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
                .map(OsString::from)
                .into();
        if self.place.is_temporary() {
            arguments.push("--no-sync".into());
        }
        arguments.extend(["-D".into(), draft.clone().into()]);
        let status = Watched::spawn(&self.place, &initdb, arguments, Stdio::null())?.wait()?;
        if !status.success() {
            let (how, log) = (status.to_string(), self.place.end_of_log());
            return Err(LocalPostgresError::Failed { program: "initdb", how, log });
        }
        fs::rename(&draft, self.place.data()).map_err(cannot("moving", &draft))
    }

    fn settings(&self) -> Vec<String> {
        // A list, in which a quoted name may contain commas.
        let socket = self.place.socket_directory.to_string_lossy().replace('"', "\"\"");
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            "port=5432".to_owned(),
            format!("unix_socket_directories=\"{socket}\""),
            "unix_socket_permissions=0700".to_owned(),
        ];
        if self.place.is_temporary() {
            // No `synchronous_commit=off`: what is committed must survive a kill, only the machine's crash may lose it.
            let fast = ["fsync=off", "full_page_writes=off", "max_connections=200"];
            settings.extend(fast.map(str::to_owned));
        }
        settings
    }
}

impl Drop for LocalPostgres {
    fn drop(&mut self) {
        // Nobody is left to tell; and if it fails the watchdog sees the pipe close and tries as well.
        let _ = self.stop();
    }
}

/// A path as the host of a URL, where libpq takes it for a socket directory.
fn percent_encoded(path: &Path) -> String {
    let mut encoded = String::new();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
