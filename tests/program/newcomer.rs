//! Somebody who has Postgres installed, no database, and no idea: the program makes one of its own and says what to try.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::http::Request;
use crate::process::{BIND, Program, command, directory, run, text};

/// The lines that the screen suggests, as they stand there.
fn lines_to_try(screen: &str) -> Vec<String> {
    let suggested = screen.split("Try it, in another terminal:").nth(1).unwrap();
    let suggested = suggested.split("Ctrl-C stops it.").next().unwrap();
    suggested.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Types the lines into a shell, and answers with what each of them printed.
fn type_in(directory: &Path, lines: &[String]) -> Vec<String> {
    let script = lines.iter().map(|line| format!("{line}\necho; echo ====\n")).collect::<String>();
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(directory).stdin(Stdio::null()).output();
    let output = output.unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    text(&output.stdout).split("====").map(|printed| printed.trim().to_owned()).collect()
}

fn json(printed: &str) -> Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{printed}: {error}"))
}

/// Processes that have the directory among their arguments.
fn processes_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let commands = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let name = directory.as_os_str().as_bytes();
    commands
        .filter(|command| command.windows(name.len()).any(|part| part == name))
        .map(|command| text(&command))
        .collect()
}

/// Ends the program in good order, and its Postgres with it: one whose owner is killed goes on writing for a moment, into
/// the directory that is being removed.
#[track_caller]
fn ends(program: &mut Program, signal: &str, directory: &Path) {
    program.signal(signal);
    assert!(program.wait().success(), "{}", program.log());
    assert_eq!(processes_in(directory), [""; 0], "something is left running");
}

#[test]
fn the_way_from_nothing_to_a_refreshed_token_is_three_lines() {
    let directory = directory();
    let mut program = Program::serve(directory.path(), &[BIND]);
    let lines = lines_to_try(&program.screen);
    assert_eq!(lines.len(), 3, "{}", program.screen);

    let printed = type_in(directory.path(), &lines);
    let me = json(&printed[1]);
    assert!(me["user_id"].is_string() && me["session_id"].is_string(), "{printed:?}");
    let refreshed = json(&printed[2]);
    assert_eq!(refreshed["session_id"], me["session_id"], "{printed:?}");
    assert_eq!(refreshed["user"]["id"], me["user_id"]);
    assert!(refreshed["access_token"].is_string());

    // The line that shows where to look.
    let psql =
        program.screen.lines().find_map(|line| line.trim().strip_prefix("look in").map(str::trim)).unwrap();
    let users = type_in(directory.path(), &[format!("{psql} -Atc 'SELECT count(*) FROM authflow.users'")]);
    assert_eq!(users[0], "1");

    // What is kept.
    let secret_file = directory.path().join(".authflow/secret");
    let secret = fs::read_to_string(&secret_file).unwrap();
    assert_eq!(fs::metadata(&secret_file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(secret.len() >= 32 && !program.screen.contains(&secret) && !program.log().contains(&secret));
    assert_eq!(fs::read_to_string(directory.path().join(".authflow/.gitignore")).unwrap(), "*\n");

    // A second program in the same directory is told off and disturbs nothing.
    let second = run(directory.path(), "serve", &[BIND]);
    assert!(!second.status.success() && text(&second.stderr).starts_with("authflow: "), "{second:?}");
    program.connect().send(&Request::get("/readyz")).expect(200);

    assert!(!processes_in(directory.path()).is_empty());
    ends(&mut program, "TERM", directory.path());

    // The next start finds the users, the sessions and the secret as they were.
    let mut again = Program::serve(directory.path(), &[BIND]);
    assert_eq!(fs::read_to_string(&secret_file).unwrap(), secret);
    let token = format!("TOKEN={}", refreshed["access_token"].as_str().unwrap());
    let refresh = lines[2].replace(&program.address.to_string(), &again.address.to_string());
    let printed = type_in(directory.path(), &[token, refresh]);
    assert_eq!(json(&printed[1])["session_id"], me["session_id"], "{printed:?}");
    let printed = type_in(directory.path(), &lines_to_try(&again.screen));
    assert_ne!(json(&printed[2])["user"]["id"], me["user_id"], "the lines suggest another user");
    ends(&mut again, "TERM", directory.path());
}

/// Not every environment is text, and nobody asked for the variables that are not ours.
#[test]
fn a_variable_of_somebody_elses_may_be_any_bytes() {
    let directory = directory();
    let variables =
        [(OsStr::new(BIND.0), OsStr::new(BIND.1)), (OsStr::new("LS_COLORS"), OsStr::from_bytes(b"\xff\xfe"))];
    let mut program = Program::start(directory.path(), command(directory.path(), "serve", variables));
    program.connect().send(&Request::get("/readyz")).expect(200);
    ends(&mut program, "INT", directory.path());
}

#[test]
fn a_private_database_can_be_migrated_before_it_is_served() {
    let directory = directory();
    let output = run(directory.path(), "migrate", &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).ends_with(" migrations applied\n"), "{output:?}");
    assert_eq!(text(&run(directory.path(), "migrate", &[]).stdout), "0 migrations applied\n");
    assert_eq!(processes_in(directory.path()), [""; 0]);
}

#[test]
fn only_what_serves_makes_a_database_and_the_rest_asks_for_one() {
    let directory = directory();
    let commands: [&[&str]; 5] = [
        &["sessions", "revoke", "--all"],
        &["prune"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["keys", "compromise", "a-key"],
    ];
    let output = |arguments: &[&str]| {
        let mut command = command(directory.path(), arguments[0], [("RUST_LOG", "error")]);
        command.args(&arguments[1..]).stdin(Stdio::null()).output().unwrap()
    };
    for arguments in commands {
        let output = output(arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}: {output:?}");
        let complaint = text(&output.stderr);
        assert!(complaint.starts_with("authflow: DATABASE_URL is not set"), "{complaint}");
        assert!(complaint.contains("(for example: DATABASE_URL="), "{complaint}");
        assert!(!directory.path().join(".authflow").exists(), "{arguments:?} made something");
    }

    assert!(run(directory.path(), "migrate", &[]).status.success());
    let ended = output(commands[0]);
    assert_eq!(text(&ended.stdout), "0 sessions ended\n", "of the newcomer's own database: {ended:?}");
    assert_eq!(processes_in(directory.path()), [""; 0]);
}
