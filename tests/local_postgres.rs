//! The private Postgres: it keeps its data, gives way to nobody, and never outlives its owner.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use actix_authflow::local_postgres::{LocalPostgres, LocalPostgresError};
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use tempfile::TempDir;

/// A directory that the user the server runs as gets into, even where the tests run as root.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    directory
}

fn execute(url: &str, sql: &str) -> QueryResult<()> {
    let connection = PgConnection::establish(url);
    connection.map_err(|_| diesel::result::Error::NotFound)?.batch_execute(sql)
}

fn answers(url: &str) -> bool {
    execute(url, "SELECT 1").is_ok()
}

/// Long, because making a cluster takes as long as the disk does.
const PATIENCE: Duration = Duration::from_secs(60);

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {} s: {what}", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_cluster_is_made_once_and_keeps_its_data() {
    let directory = directory();
    let wanted = directory.path().join("a/b");

    let postgres = LocalPostgres::open(&wanted).unwrap();
    execute(&postgres.url("postgres"), "CREATE TABLE kept (id int)").unwrap();
    drop(postgres);

    let mut postgres = LocalPostgres::open(&wanted).unwrap();
    let url = postgres.url("postgres");
    execute(&url, "INSERT INTO kept VALUES (1)").unwrap();
    postgres.stop().unwrap();
    assert!(!answers(&url));
}

#[test]
fn it_stops_starts_and_dies_at_one_url() {
    let mut postgres = LocalPostgres::temporary().unwrap();
    let url = postgres.url("postgres");
    execute(&url, "CREATE TABLE kept (id int)").unwrap();

    postgres.stop().unwrap();
    assert!(!answers(&url));
    postgres.start().unwrap();
    postgres.start().unwrap();
    execute(&url, "INSERT INTO kept VALUES (1)").unwrap();

    let mut held = PgConnection::establish(&url).unwrap();
    postgres.kill().unwrap();
    assert!(!answers(&url));
    held.batch_execute("SELECT 1").unwrap_err();
    postgres.start().unwrap();
    execute(&url, "INSERT INTO kept VALUES (2)").unwrap();
    postgres.restart().unwrap();
    execute(&url, "INSERT INTO kept VALUES (3)").unwrap();

    let directory = postgres.directory().to_owned();
    drop(postgres);
    assert!(!directory.exists());
}

#[test]
fn a_cluster_in_use_is_refused() {
    let directory = directory();
    let postgres = LocalPostgres::open(directory.path()).unwrap();

    let error = LocalPostgres::open(directory.path()).unwrap_err();

    assert!(matches!(error, LocalPostgresError::InUse { pid: Some(_), .. }), "{error}");
    assert!(answers(&postgres.url("postgres")));
}

#[test]
fn a_pid_file_is_stale_even_if_another_process_has_the_id_now() {
    let directory = directory();
    let mut postgres = LocalPostgres::open(directory.path()).unwrap();
    let pid_file = postgres.directory().join("data/postmaster.pid");
    postgres.kill().unwrap();
    let text = fs::read_to_string(&pid_file).unwrap();
    // Postgres takes a process for its own kind if it may send signals to it.
    let uid = fs::metadata(&pid_file).unwrap().uid();
    let mut namesake = Command::new("sleep").arg("60").uid(uid).spawn().unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&pid_file, format!("{}\n{rest}", namesake.id())).unwrap();

    let started = postgres.start();

    namesake.kill().unwrap();
    namesake.wait().unwrap();
    started.unwrap();
    assert!(answers(&postgres.url("postgres")));
}

#[test]
fn a_failed_start_shows_what_the_server_said() {
    let directory = directory();
    let mut postgres = LocalPostgres::open(directory.path()).unwrap();
    postgres.stop().unwrap();
    let settings = postgres.directory().join("data/postgresql.auto.conf");
    fs::write(&settings, "no_such_setting = 1\n").unwrap();

    let error = postgres.start().unwrap_err().to_string();

    assert!(error.contains("no_such_setting"), "{error}");
    fs::write(&settings, "").unwrap();
    postgres.start().unwrap();
}

#[test]
fn a_path_too_long_for_a_socket_gets_one_elsewhere() {
    let directory = directory();
    let postgres = LocalPostgres::open(&directory.path().join("long/".repeat(40))).unwrap();

    assert!(answers(&postgres.url("postgres")));
}

#[test]
fn a_place_closed_to_the_servers_user_is_replaced_and_linked() {
    let directory = directory();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    if fs::metadata(directory.path()).unwrap().uid() != 0 {
        return; // Only root runs the server as somebody else.
    }
    let wanted = directory.path().join("postgres");

    let postgres = LocalPostgres::open(&wanted).unwrap();

    let real = postgres.directory().to_owned();
    assert!(real.starts_with("/var/lib/authflow"), "{}", real.display());
    assert_eq!(wanted.join("data").canonicalize().unwrap(), real.join("data"));
    assert!(answers(&postgres.url("postgres")));
    drop(postgres);
    fs::remove_dir_all(real).unwrap();
    let _ = fs::remove_dir("/var/lib/authflow");
}

#[test]
fn nobody_else_gets_to_the_socket_or_the_data() {
    let postgres = LocalPostgres::temporary().unwrap();
    for name in ["run", "data"] {
        let metadata = fs::metadata(postgres.directory().join(name)).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o700, "{name}");
    }
}

#[test]
fn a_temporary_cluster_ends_and_vanishes_with_its_owner() {
    let mut owner = Owner::start("");
    assert!(answers(&owner.url));

    owner.process.kill().unwrap();

    eventually("the server is gone", || !answers(&owner.url));
    eventually("its processes are gone", || !processes_name(owner.directory.as_ref()));
    assert!(!Path::new(&owner.directory).exists());
}

#[test]
fn an_owner_that_is_killed_early_leaves_nothing_either() {
    // While the cluster is made, and while its server starts.
    for (sign, delay) in [("data.new", 0), ("data.new", 200), ("data", 0)] {
        let directory = directory();
        // Like /tmp: whoever the server runs as may remove what is its own.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
        let mut owner = Owner::spawn("", directory.path());
        let clusters = || fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        eventually("the cluster is begun", || clusters().any(|cluster| cluster.join(sign).exists()));

        thread::sleep(Duration::from_millis(delay));
        owner.kill().unwrap();
        owner.wait().unwrap();

        eventually("no process is left", || !processes_name(directory.path()));
        assert_eq!(clusters().next(), None, "{sign} + {delay} ms");
    }
}

/// Whether the command line of any process has this path in it. Only Linux tells; elsewhere nothing is found.
fn processes_name(path: &Path) -> bool {
    let path = path.to_str().unwrap();
    fs::read_dir("/proc").into_iter().flatten().flatten().any(|process| {
        let command_line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command_line).contains(path)
    })
}

#[test]
fn a_kept_cluster_ends_with_its_owner_and_is_taken_over() {
    let directory = directory();
    let mut owner = Owner::start(directory.path().to_str().unwrap());
    execute(&owner.url, "CREATE TABLE kept (id int)").unwrap();
    // A successor waits for the end of the one before, but not for a disk that has all of a new cluster to write.
    execute(&owner.url, "CHECKPOINT").unwrap();

    owner.process.kill().unwrap();

    // At once, while the watchdog is still stopping the other one.
    let postgres = LocalPostgres::open(directory.path()).unwrap();
    execute(&postgres.url("postgres"), "INSERT INTO kept VALUES (1)").unwrap();
}

#[test]
fn ctrl_c_in_the_terminal_reaches_the_owner_only() {
    let owner = Owner::start("");
    let group = format!("-{}", owner.process.id());

    // The terminal sends it to the foreground group, to which the owner belongs; this one ignores it.
    let sent = Command::new("sh").args(["-c", "kill -s INT -- \"$1\"", "sh", &group]).status().unwrap();

    assert!(sent.success());
    thread::sleep(Duration::from_millis(300));
    assert!(answers(&owner.url));
}

/// Another process with a cluster: this test binary again, running nothing but [`an_owner`].
struct Owner {
    process: Child,
    url: String,
    directory: String,
}

impl Owner {
    fn start(directory: &str) -> Owner {
        let mut process = Owner::spawn(directory, &std::env::temp_dir());
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut value = |key: &str| loop {
            let line = lines.next().expect("the owner says where its cluster is");
            if let Some((_, value)) = line.split_once(key) {
                return value.to_owned();
            }
        };
        let (url, directory) = (value("url="), value("directory="));
        Owner { process, url, directory }
    }

    fn spawn(directory: &str, temporary: &Path) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "an_owner", "--nocapture"]);
        command.env("OWNED_DIRECTORY", directory).env("TMPDIR", temporary);
        command.process_group(0).stdout(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_owner() {
    // Not a test of its own but the other process of some, which set this variable.
    let Ok(directory) = std::env::var("OWNED_DIRECTORY") else { return };
    let postgres = match directory.as_str() {
        "" => LocalPostgres::temporary().unwrap(),
        path => LocalPostgres::open(path.as_ref()).unwrap(),
    };
    println!("\nurl={}\ndirectory={}", postgres.url("postgres"), postgres.directory().display());
    thread::sleep(Duration::from_secs(60));
}
