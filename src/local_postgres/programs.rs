//! Where the Postgres programs of this machine are.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::LocalPostgresError;

/// Folders that keep one Postgres per version: the folder, how the version's own begins, and where in it the programs are.
/// Debian and its kin, Homebrew on either processor, and the packages of the Postgres project for Fedora and its kin.
const VERSIONED: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/usr", "pgsql-", "bin"),
];

/// The folder with `initdb` and `postgres`.
///
/// `PG_BIN` decides where it is set. Otherwise a cluster that exists needs the major version that made it, and a new one
/// gets what the `PATH` has, or else the newest.
pub(super) fn find(version: Option<&str>) -> Result<PathBuf, LocalPostgresError> {
    if let Some(folder) = env::var_os("PG_BIN").filter(|folder| !folder.is_empty()).map(PathBuf::from) {
        return if complete(&folder) { Ok(folder) } else { Err(LocalPostgresError::WrongPgBin(folder)) };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = env::split_paths(&path).chain(versioned()).collect();
    found.retain(|folder| complete(folder));
    let same =
        version.and_then(|version| found.iter().find(|folder| major(folder).as_deref() == Some(version)));
    same.or(found.first()).cloned().ok_or(LocalPostgresError::ProgramsNotFound)
}

fn complete(folder: &Path) -> bool {
    folder.is_absolute() && ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// The folders per version, newest first.
fn versioned() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (parent, prefix, programs) in VERSIONED {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        folders.extend(named.map(|entry| entry.path().join(programs)));
    }
    folders.sort_by_key(|folder| Reverse(major(folder).and_then(|version| version.parse::<u32>().ok())));
    folders
}

/// The major version in the name of the folder around `bin`: 17 for both `.../postgresql/17/bin` and `postgresql@17/bin`.
fn major(folder: &Path) -> Option<String> {
    let name = folder.parent()?.file_name()?.to_string_lossy().into_owned();
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_folder() {
        assert_eq!(major(Path::new("/usr/lib/postgresql/17/bin")).as_deref(), Some("17"));
        assert_eq!(major(Path::new("/opt/homebrew/opt/postgresql@16/bin")).as_deref(), Some("16"));
        assert_eq!(major(Path::new("/usr/bin")), None);
    }
}
