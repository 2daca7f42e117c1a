//! As whom the server runs: Postgres refuses to run as root.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::LocalPostgresError;
use super::error::cannot;

/// The user that the Postgres programs run as.
#[derive(Clone, Copy, Debug)]
pub(super) enum Account {
    /// The user of this process.
    Own { uid: u32 },
    /// This process is root and steps down to another.
    Other { uid: u32, gid: u32 },
}

impl Account {
    pub(super) fn find() -> Result<Account, LocalPostgresError> {
        let uid = own_uid()?;
        if uid != 0 {
            return Ok(Account::Own { uid });
        }
        let users = fs::read_to_string("/etc/passwd").map_err(cannot("reading", Path::new("/etc/passwd")))?;
        let (uid, gid) = ["postgres", "nobody"]
            .iter()
            .find_map(|name| ids(&users, name))
            .ok_or(LocalPostgresError::NoAccount)?;
        Ok(Account::Other { uid, gid })
    }

    /// Root steps down to whoever owns the files already there; they may stem from before a user `postgres` existed.
    pub(super) fn or_owner_of(self, files: &Path) -> Account {
        match (self, fs::metadata(files)) {
            (Account::Other { .. }, Ok(found)) if found.uid() != 0 => {
                Account::Other { uid: found.uid(), gid: found.gid() }
            }
            _ => self,
        }
    }

    /// The user of this process, who is not always the one the server runs as.
    pub(super) fn own_uid(self) -> u32 {
        match self {
            Account::Own { uid } => uid,
            Account::Other { .. } => 0,
        }
    }

    /// The mode of a directory around the ones that are handed over: those who step down must get through it.
    pub(super) fn outer_mode(self) -> u32 {
        match self {
            Account::Own { .. } => 0o700,
            Account::Other { .. } => 0o711,
        }
    }

    pub(super) fn hand_over(self, path: &Path) -> Result<(), LocalPostgresError> {
        match self {
            Account::Own { .. } => Ok(()),
            Account::Other { uid, gid } => {
                chown(path, Some(uid), Some(gid)).map_err(cannot("changing the owner of", path))
            }
        }
    }

    /// A command as this user, deaf to what the environment says to Postgres programs (`PGDATA`, `PGPORT`, ...).
    pub(super) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        // The working directory may be closed to that user, and messages are read by this crate.
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
        if let Account::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Whether this user gets into the directory. Asked of the system itself, since modes are not the whole truth.
    pub(super) fn reaches(self, directory: &Path) -> bool {
        let mut command = self.command("sh");
        command.args(["-c", "cd \"$1\"", "sh"]).arg(directory).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

/// The standard library does not say who we are; `id` is in every Unix.
fn own_uid() -> Result<u32, LocalPostgresError> {
    let id = Path::new("id");
    let output = Command::new(id).arg("-u").output().map_err(cannot("running", id))?;
    let uid = String::from_utf8_lossy(&output.stdout).trim().parse();
    uid.map_err(|error| {
        cannot("reading the answer of", id)(io::Error::new(io::ErrorKind::InvalidData, error))
    })
}

/// User and group id of a name in the text of `/etc/passwd`.
fn ids(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((uid, gid))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_by_the_exact_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\nbroken\n";
        assert_eq!(ids(users, "postgres"), Some((101, 104)));
        assert_eq!(ids(users, "nobody"), None);
        assert_eq!(ids(users, "broken"), None);
    }
}
