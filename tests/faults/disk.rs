//! A full disk under Postgres: under a table, and under everything.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use actix_authflow::local_postgres::LocalPostgres;
use tempfile::TempDir;

use crate::client::Manner;
use crate::crowd::Crowd;
use crate::database::{Durable, Rows};
use crate::process::directory;
use crate::service::Service;
use crate::support::PATIENCE;
use crate::support::installed::left_out;
use crate::tally::{PROCESS, rounds};

const SESSIONS: usize = 8;

/// A small file system of its own, in memory. It goes with this value.
struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    /// `None`, and a word about it, where this user may not mount anything.
    fn of(size: &str) -> Option<SmallDisk> {
        let directory = directory();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0755"), "authflow-test"])
            .arg(directory.path());
        if mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Some(SmallDisk { directory });
        }
        left_out("a small disk cannot be mounted");
        None
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut ballast = File::options().append(true).create(true).open(self.ballast()).unwrap();
        for size in [1 << 20, 1 << 12] {
            let block = vec![0; size];
            while ballast.write(&block).is_ok_and(|written| written > 0) {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because somebody may still be looking in.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_under_the_chains_consumes_nothing() {
    let Some(disk) = SmallDisk::of("16m") else { return };
    let database = Durable::new();
    let service = Service::on(&database.url());
    let mut crowd = Crowd::of(SESSIONS, &service, &database.url());
    let space = disk.path().join("space");
    fs::create_dir(&space).unwrap();
    let owner = fs::metadata(database.postgres.directory().join("data")).unwrap();
    chown(&space, Some(owner.uid()), Some(owner.gid())).unwrap();
    crowd.rows.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", space.display()));
    // A page takes few rows, so that every round needs another.
    crowd.rows.execute("ALTER TABLE authflow.refresh_tokens SET (fillfactor = 10, autovacuum_enabled = off)");
    crowd.rows.execute("ALTER TABLE authflow.refresh_tokens SET TABLESPACE small");
    for _ in 0..rounds(PROCESS) {
        crowd.age();
        disk.fill();
        let mut stories = crowd.refresh(&|| service.address(), Manner::ONCE, || ());
        let refused = stories.iter().flatten().map(|story| story.unavailable).sum::<u32>();
        crowd.consumed_nothing(&stories);
        disk.make_room();
        let later = crowd.refresh(&|| service.address(), Manner::default(), || ());
        stories.iter_mut().zip(later).for_each(|(stories, later)| stories.extend(later));
        crowd.judge(&stories);
        crowd.tally.count(refused > 0);
        crowd.are_let_in(service.address());
    }
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally.finish("disk full under the table of chains", 25);
}

/// Postgres cannot write its log and stops all work; it may even end. Whoever was acknowledged is safe.
#[test]
fn a_full_disk_under_all_of_postgres_loses_nothing_it_acknowledged() {
    let Some(disk) = SmallDisk::of("256m") else { return };
    let mut postgres = LocalPostgres::open(&disk.path().join("postgres")).unwrap();
    let url = postgres.url("postgres");
    let service = Service::on(&url);
    let mut crowd = Crowd::of(SESSIONS, &service, &url);
    let mut filler = Rows::at(&url);
    // What the log does not need goes, instead of being kept for later.
    for setting in ["min_wal_size", "max_wal_size"] {
        filler.execute(&format!("ALTER SYSTEM SET {setting} = '32MB'"));
    }
    filler.execute("SELECT pg_reload_conf()");
    for _ in 0..rounds(PROCESS) {
        filler.execute("CHECKPOINT");
        crowd.age();
        // Before anybody refreshes, because that is done sooner than a disk is full.
        disk.fill();
        let stories = crowd.refresh(&|| service.address(), Manner::default(), || {
            // Each time a further file of the log is needed, until there is none.
            for _ in 0..20 {
                if !filler.try_to("SELECT pg_switch_wal(), pg_logical_emit_message(false, 'fill', 'x')") {
                    break;
                }
            }
            thread::sleep(Duration::from_millis(100));
            disk.make_room();
            start_again(&mut postgres, &mut filler);
        });
        let felt = crowd.judge(&stories);
        crowd.tally.count(felt.troubles > 0);
        crowd.are_let_in(service.address());
    }
    crowd.retired_tokens_end_their_sessions(service.address());
    crowd.tally.finish("disk full under all of Postgres", 25);
}

/// It may be about to end, in a recovery that began before there was room.
fn start_again(postgres: &mut LocalPostgres, rows: &mut Rows) {
    let deadline = Instant::now() + PATIENCE;
    while postgres.start().is_err() || !rows.try_to("SELECT 1") {
        assert!(Instant::now() < deadline, "Postgres does not start again");
        thread::sleep(Duration::from_millis(20));
    }
}
