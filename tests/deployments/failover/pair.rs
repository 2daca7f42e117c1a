//! Two servers, one of which follows the other.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use actix_authflow::local_postgres::LocalPostgres;
use actix_authflow::testing::TestCluster;
use actix_web::rt::task::spawn_blocking;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _};
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::pooler::socket_directory;

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replication {
    /// For the standby, as far as this value of `synchronous_commit` says.
    Synchronous(&'static str),
    /// For nobody.
    Asynchronous,
}

/// A primary, and a standby that may take over. Both end with this value.
pub(super) struct Pair {
    first: TestCluster,
    second: LocalPostgres,
    folder: TempDir,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

impl Pair {
    pub(super) async fn start(replication: Replication) -> Pair {
        spawn_blocking(move || Pair::start_blocking(replication)).await.unwrap()
    }

    fn start_blocking(replication: Replication) -> Pair {
        let first = TestCluster::new();
        let mut primary = first.connect();
        // The copy takes these over. It is not one of the clusters that are made for tests.
        for setting in ["fsync = off", "max_connections = 200"] {
            execute(&mut primary, &format!("ALTER SYSTEM SET {setting}"));
        }
        let folder = TempDir::new().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        copy(&first, folder.path());
        let second = LocalPostgres::open(folder.path()).unwrap();
        let mut pair = Pair { first, second, folder };
        if let Replication::Synchronous(degree) = replication {
            execute(&mut primary, &format!("ALTER SYSTEM SET synchronous_commit = '{degree}'"));
            execute(&mut primary, "ALTER SYSTEM SET synchronous_standby_names = '*'");
            execute(&mut primary, "SELECT pg_reload_conf()");
        }
        let state = match replication {
            Replication::Synchronous(_) => "sync",
            Replication::Asynchronous => "async",
        };
        pair.await_in_first(&format!(
            "SELECT count(*) AS value FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = '{state}'"
        ));
        pair
    }

    /// The URL of both: the one that takes writes is connected to.
    pub(super) fn url(&self) -> String {
        let second = self.second.url("postgres");
        let (before, after) = self.first.url().split_once(":5432/").unwrap();
        let second = second.split_once('@').unwrap().1.split_once('/').unwrap().0;
        format!("{before}:5432,{second}/{after}?target_session_attrs=read-write")
    }

    /// Does something that takes its time, while the clients of this thread go on.
    pub(super) async fn work(mut self, work: fn(&mut Pair)) -> Pair {
        spawn_blocking(move || {
            work(&mut self);
            self
        })
        .await
        .unwrap()
    }

    /// Without a good-bye, and for good: nobody can ask it any more when the standby takes over.
    pub(super) fn kill_primary(&mut self) {
        self.first.kill();
    }

    /// In good order, so that the standby has everything.
    pub(super) fn stop_primary(&mut self) {
        self.first.stop();
    }

    pub(super) fn promote(&mut self) {
        execute(&mut self.second(), "SELECT pg_promote(true, 30)");
    }

    /// The primary refuses what changes anything, and the standby has all that it had accepted.
    pub(super) fn make_first_read_only(&mut self) {
        let mut first = self.first.connect();
        execute(&mut first, "ALTER SYSTEM SET default_transaction_read_only = on");
        execute(&mut first, "SELECT pg_reload_conf()");
        self.await_in_first(
            "SELECT count(*) AS value FROM pg_stat_replication
             WHERE flush_lsn = pg_current_wal_lsn() AND current_setting('transaction_read_only') = 'on'
                 AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_xid IS NOT NULL)",
        );
    }

    /// Until the standby has all that has been committed so far.
    pub(super) fn await_standby(&mut self) {
        let so_far = word(&mut self.first.connect(), "SELECT pg_current_wal_lsn()::text AS value");
        self.await_in_first(&format!(
            "SELECT count(*) AS value FROM pg_stat_replication WHERE flush_lsn >= '{so_far}'"
        ));
    }

    /// The standby receives nothing from now on.
    pub(super) fn cut_off_standby(&mut self) {
        let mut second = self.second();
        execute(&mut second, "ALTER SYSTEM SET primary_conninfo = ''");
        execute(&mut second, "SELECT pg_reload_conf()");
        self.await_in_first("SELECT (count(*) = 0)::int::bigint AS value FROM pg_stat_replication");
    }

    /// Until there are commits that wait for the standby.
    pub(super) fn await_commits_that_wait(&mut self) {
        self.await_in_first("SELECT count(*) AS value FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    }

    /// The old primary, stopped in good order, starts as the standby of the new one.
    pub(super) fn return_as_standby(&mut self) {
        let data = PathBuf::from(socket_directory(self.first.url())).with_file_name("data");
        // What is named twice counts the second time.
        let source = socket_directory(&self.second.url("postgres"));
        let follows = format!(
            "primary_conninfo = 'host={source} port=5432 user=postgres'\nsynchronous_standby_names = ''\n"
        );
        let settings = data.join("postgresql.auto.conf");
        fs::write(&settings, fs::read_to_string(&settings).unwrap() + &follows).unwrap();
        fs::write(data.join("standby.signal"), "").unwrap();
        self.first.start();
        assert_eq!(word(&mut self.first.connect(), "SELECT pg_is_in_recovery()::text AS value"), "true");
    }

    /// How many connections to the first server there are, but for this question's.
    pub(super) fn clients_of_first(&self) -> i64 {
        count(
            &mut self.first.connect(),
            "SELECT count(*) AS value FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )
    }

    fn second(&self) -> PgConnection {
        PgConnection::establish(&self.second.url("postgres")).unwrap()
    }

    fn await_in_first(&mut self, sql: &str) {
        let deadline = Instant::now() + PATIENCE;
        while count(&mut self.first.connect(), sql) == 0 {
            assert!(Instant::now() < deadline, "{sql}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// A base backup of the primary, as the user of the server, whose socket is closed to others.
fn copy(primary: &TestCluster, folder: &Path) {
    let programs =
        word(&mut primary.connect(), "SELECT setting AS value FROM pg_config WHERE name = 'BINDIR'");
    let socket = socket_directory(primary.url());
    let (own, owner) = (fs::metadata(folder).unwrap().uid(), fs::metadata(&socket).unwrap());
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&data, Some(owner.uid()), Some(owner.gid())).unwrap();
    let mut command = Command::new(Path::new(&programs).join("pg_basebackup"));
    command.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--pgdata"]).arg(&data);
    command.arg("--dbname").arg(format!("host={socket} port=5432 user=postgres")).current_dir("/");
    if own != owner.uid() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn execute(connection: &mut PgConnection, sql: &str) {
    connection.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn word(connection: &mut PgConnection, sql: &str) -> String {
    diesel::sql_query(sql).get_result::<Word>(connection).unwrap().value
}

fn count(connection: &mut PgConnection, sql: &str) -> i64 {
    diesel::sql_query(sql).get_result::<Count>(connection).unwrap().value
}
