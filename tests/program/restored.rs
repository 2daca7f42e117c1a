//! A database that was restored from a backup, by the commands of docs/OPERATIONS.md: what lives again, and how it is ended.

use std::path::Path;
use std::process::Command;

use actix_authflow::testing::TestDatabase;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Reply, Request};
use crate::process::{BIND, Program, SECRET, command, directory, text};
use crate::served::cookie;
use crate::support::PASSWORD;

/// Every refresh rotates.
const NO_WINDOW: (&str, &str) = ("AUTHFLOW_REFRESH_GRACE", "0s");

/// A database, its backup, and the program on it.
struct World {
    directory: TempDir,
    database: TestDatabase,
}

impl World {
    fn new() -> World {
        World { directory: directory(), database: TestDatabase::empty() }
    }

    fn variables(&self) -> [(&str, &str); 4] {
        [("DATABASE_URL", self.database.url()), SECRET, BIND, NO_WINDOW]
    }

    fn serve(&self) -> Program {
        Program::serve(self.directory.path(), &self.variables())
    }

    /// Runs a subcommand that succeeds, and answers with what it printed.
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = command(self.directory.path(), arguments[0], self.variables());
        let output = command.args(&arguments[1..]).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout)
    }

    fn back_up(&self) {
        self.shell(r#"pg_dump "$DATABASE_URL" -n authflow -Fc -f authflow.dump"#);
    }

    fn restore(&self) {
        self.shell(r#"pg_restore --clean --if-exists --single-transaction -d "$DATABASE_URL" authflow.dump"#);
    }

    /// A line that stands in the document as well.
    fn shell(&self, line: &str) {
        let document = std::fs::read_to_string("docs/OPERATIONS.md").unwrap();
        assert!(document.contains(line), "{line}");
        let mut bash = Command::new("bash");
        bash.args(["-c", line]).current_dir(self.directory.path()).env("DATABASE_URL", self.database.url());
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

/// A browser with a session.
struct Client {
    email: String,
    jwt: String,
    cookie: String,
}

impl Client {
    fn sign_up(program: &Program, name: &str) -> Client {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "password": PASSWORD });
        let reply = program.connect().send(&Request::post("/auth/register", body)).expect(201);
        let mut client = Client { email, jwt: String::new(), cookie: String::new() };
        client.keep(&reply);
        client
    }

    fn keep(&mut self, reply: &Reply) {
        self.jwt = reply.json()["access_token"].as_str().unwrap().into();
        self.cookie = cookie(reply);
    }

    fn post(&self, program: &Program, path: &str) -> Reply {
        let request = Request::new("POST", path).bearer(&self.jwt).header("Cookie", &self.cookie);
        program.connect().send(&request)
    }

    /// Status, code and reason of a refresh. What a success brings is kept.
    fn refresh(&mut self, program: &Program) -> (u16, Value, Value) {
        let reply = self.post(program, "/auth/refresh");
        if reply.status == 200 {
            self.keep(&reply);
        }
        let json = reply.json();
        (reply.status, json["code"].clone(), json["reason"].clone())
    }

    /// Status of a guarded call.
    fn call(&self, program: &Program) -> u16 {
        program.connect().send(&Request::get("/api/me").bearer(&self.jwt)).status
    }

    fn log_in(&self, program: &Program) -> u16 {
        let body = json!({ "email": self.email, "password": PASSWORD });
        program.connect().send(&Request::post("/auth/login", body)).status
    }
}

fn stop(mut program: Program) {
    program.signal("TERM");
    assert!(program.wait().success(), "{}", program.log());
}

fn refused(code: &str, reason: &str) -> (u16, Value, Value) {
    (401, code.into(), reason.into())
}

/// One who goes on after the backup, one who rests, one who leaves, and one who comes only then.
fn history(world: &World) -> [Client; 4] {
    let program = world.serve();
    let [mut active, resting, leaving] =
        ["active", "resting", "leaving"].map(|name| Client::sign_up(&program, name));
    world.back_up();
    assert_eq!(active.refresh(&program).0, 200);
    leaving.post(&program, "/auth/logout").expect(204);
    let late = Client::sign_up(&program, "late");
    assert_eq!((late.call(&program), leaving.call(&program)), (200, 401));
    stop(program);
    [active, resting, leaving, late]
}

#[test]
fn a_restored_database_brings_back_what_had_ended() {
    let world = World::new();
    let [mut active, mut resting, mut leaving, mut late] = history(&world);
    world.restore();
    let program = world.serve();
    // A token that is newer than the database gives it away.
    assert_eq!(active.refresh(&program), refused("session_revoked", "database_restored"));
    // Nothing else does.
    assert_eq!((leaving.call(&program), leaving.refresh(&program).0), (200, 200), "after its logout");
    assert_eq!((resting.call(&program), resting.refresh(&program).0), (200, 200));
    // A session that the database has never heard of: its chain is over, and its JWT cannot be known for dead.
    assert_eq!(late.refresh(&program).1, "refresh_token_invalid");
    assert_eq!(late.call(&program), 200);
}

#[test]
fn after_the_end_of_every_session_and_of_the_key_nothing_of_before_works() {
    let world = World::new();
    let [mut active, mut resting, mut leaving, late] = history(&world);
    world.restore();
    assert_eq!(world.run(&["sessions", "revoke", "--all"]), "3 sessions ended\n");
    assert_eq!(world.run(&["sessions", "revoke", "--all"]), "0 sessions ended\n");
    let program = world.serve();
    for client in [&mut active, &mut resting, &mut leaving] {
        assert_eq!(
            client.refresh(&program),
            refused("session_revoked", "revoked_by_host"),
            "{}",
            client.email
        );
        assert_eq!(client.call(&program), 401, "{}", client.email);
    }
    assert_eq!(late.call(&program), 200, "which is why the key has to go as well");
    let keys = world.run(&["keys", "list"]);
    let kid = keys.lines().nth(1).and_then(|line| line.split(' ').next()).unwrap();
    world.run(&["keys", "compromise", kid]);
    for client in [&active, &resting, &leaving, &late] {
        assert_eq!((client.call(&program), client.post(&program, "/auth/refresh").status), (401, 401));
    }
    assert_eq!(resting.log_in(&program), 200);
}

#[test]
fn who_would_end_everything_has_to_say_so() {
    let directory: &Path = &std::env::temp_dir();
    let mut command =
        command(directory, "sessions", [("DATABASE_URL", "postgres://127.0.0.1:1/none"), SECRET]);
    let output = command.arg("revoke").output().unwrap();
    assert!(!output.status.success() && text(&output.stderr).contains("--all"), "{output:?}");
}
