//! PgBouncer in front of a server, where the machine has it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use actix_authflow::testing::TestCluster;
use diesel::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::eventually;
use super::installed::{Running, installed};

/// A pooler that is stopped with this value.
pub(crate) struct Pooler {
    _process: Running,
    folder: TempDir,
}

/// How PgBouncer is to treat the connections of its clients.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// A connection of the server for each client.
    Session,
    /// A connection of the server for each transaction, of which there are so many. Prepared statements are lost.
    Transaction(u32),
}

impl Pooler {
    /// In front of this server. `None`, and a word about it, where PgBouncer is not installed.
    pub(crate) async fn before(cluster: &TestCluster, mode: Mode) -> Option<Pooler> {
        let program = installed("pgbouncer")?;
        let socket = socket_directory(cluster.url());
        let folder = TempDir::new().unwrap();
        let (own, owner) = (fs::metadata(folder.path()).unwrap().uid(), fs::metadata(&socket).unwrap());
        let settings = folder.path().join("pgbouncer.ini");
        fs::write(&settings, ini(&socket, folder.path(), mode, keeps_statements_if_told(&program))).unwrap();
        fs::set_permissions(&settings, fs::Permissions::from_mode(0o644)).unwrap();
        chown(folder.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        let mut command = Command::new(program);
        command.arg("--quiet").arg(&settings).stdin(Stdio::null());
        // As the user of the server, whose socket is closed to others.
        if own != owner.uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let pooler = Pooler { _process: Running(command.spawn().unwrap()), folder };
        eventually("the pooler answers", async || PgConnection::establish(&pooler.url()).is_ok()).await;
        Some(pooler)
    }

    /// The URL of the server's database, by way of the pooler.
    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgresql://postgres@{folder}:6432/postgres")
    }
}

/// Whether this version knows prepared statements at all: from 1.21 on.
fn keeps_statements_if_told(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(1), Some(21))
}

/// Where the socket of this server is.
pub(crate) fn socket_directory(url: &str) -> String {
    let host = url.split('@').nth(1).and_then(|rest| rest.split(':').next()).unwrap();
    host.replace("%2F", "/")
}

fn ini(socket: &str, folder: &Path, mode: Mode, told: bool) -> String {
    let (mode, size) = match mode {
        Mode::Session => ("session", 50),
        Mode::Transaction(size) => ("transaction", size),
    };
    format!(
        "[databases]\n* = host={socket} port=5432 user=postgres\n[pgbouncer]\nlisten_port = 6432\n\
         unix_socket_dir = {}\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = {size}\n{}",
        folder.display(),
        if told { "max_prepared_statements = 0\n" } else { "" },
    )
}
