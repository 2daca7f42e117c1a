//! Behind nginx: the workflow, and what `authflow doctor` says of right and wrong configurations.

mod nginx;
mod workflow;

use std::process::Output;

use actix_authflow::testing::TestDatabase;

use self::nginx::{ADDRESS, Nginx, RECOMMENDED};
use crate::process::{BIND, Program, SECRET, command, directory, text};

/// The program, to be examined, on a database of its own.
struct Examined {
    program: Program,
    directory: tempfile::TempDir,
    _database: TestDatabase,
}

impl Examined {
    fn with(variables: &[(&str, &str)]) -> Examined {
        let (directory, database) = (directory(), TestDatabase::empty());
        let usual = [("DATABASE_URL", database.url()), SECRET, BIND, ("AUTHFLOW_DOCTOR", "1")];
        let program = Program::serve(directory.path(), &[&usual, variables].concat());
        Examined { program, directory, _database: database }
    }

    fn doctor(&self, nginx: &Nginx) -> Output {
        let mut doctor = command(self.directory.path(), "doctor", [("SSL_CERT_FILE", nginx.authority())]);
        doctor.args(["--url", &nginx.url()]).output().unwrap()
    }

    /// What it says, with what this is about first.
    #[track_caller]
    fn says(&self, changes: &[(&str, &str)], expected: &[&str]) {
        let Some(nginx) = Nginx::before(self.program.address, changes) else { return };
        let output = self.doctor(&nginx);
        let said = text(&output.stdout);
        assert!(!output.status.success(), "{said}");
        for expected in expected {
            assert!(said.contains(expected), "{expected:?} is not in:\n{said}{}", text(&output.stderr));
        }
    }
}

const TRUSTED: [(&str, &str); 1] = [("AUTHFLOW_TRUSTED_PROXIES", ADDRESS)];
const HOST: &str = "proxy_set_header Host $http_host;";
const FORWARDED_FOR: &str = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
/// A line that can be done without, in the place of others.
const CONNECTION: &str = "proxy_set_header Connection \"\";";

#[test]
fn the_manual_shows_the_file_that_these_tests_use() {
    let (_, shown) = RECOMMENDED.split_once('\n').unwrap();
    let manual = include_str!("../../../docs/PROXY.md");
    assert!(manual.contains(&format!("```nginx\n{shown}```\n")));
}

#[test]
fn nothing_is_found_where_the_manual_was_followed() {
    let examined = Examined::with(&TRUSTED);
    let Some(nginx) = Nginx::before(examined.program.address, &[]) else { return };
    let output = examined.doctor(&nginx);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("  ok ")).count(), 10, "{said}");
    assert!(!said.contains("FAULT") && !said.contains("hint"), "{said}");
}

#[test]
fn every_change_to_the_cookie_is_found() {
    let examined = Examined::with(&TRUSTED);
    for (line, expected) in [
        (
            "proxy_cookie_flags ~ nosecure;",
            "FAULT  The cookie on its way out: its attributes are changed: -Secure",
        ),
        ("proxy_cookie_flags ~ nohttponly;", "its attributes are changed: -HttpOnly"),
        ("proxy_cookie_flags ~ samesite=lax;", "-SameSite=Strict, +SameSite=Lax"),
        ("proxy_cookie_path / /auth/;", "its attributes are changed: -Path=/, +Path=/auth/"),
        ("proxy_hide_header Set-Cookie;", "it is taken out of the answers"),
        (
            "add_header Set-Cookie \"__Host-Http-authflow_probe=x; Path=/; Secure\";",
            "FAULT  The cookie on its way out: it arrives more than once",
        ),
        ("proxy_set_header Cookie \"\";", "FAULT  The cookie on its way back: it does not reach the service"),
        (
            "proxy_set_header Cookie \"$http_cookie; $http_cookie\";",
            "FAULT  The cookie on its way back: it reaches the service more than once",
        ),
    ] {
        examined.says(&[(CONNECTION, line)], &[expected, "nginx"]);
    }
}

#[test]
fn what_hides_who_is_calling_is_found() {
    let examined = Examined::with(&TRUSTED);
    examined.says(&[(HOST, "")], &["FAULT  The host: the service sees", "proxy_set_header Host $http_host"]);
    let anybody = "FAULT  The address of the client: anybody can choose it";
    examined.says(&[(FORWARDED_FOR, "")], &[anybody, "$proxy_add_x_forwarded_for"]);
    let all_one = "every client is taken for the proxy at 127.0.0.9";
    examined.says(&[(FORWARDED_FOR, "proxy_set_header X-Forwarded-For \"\";")], &[all_one]);
    examined.says(
        &[(CONNECTION, "proxy_set_header Authorization \"\";")],
        &["FAULT  The access token: Authorization does not reach the service"],
    );
}

#[test]
fn who_asks_from_a_trusted_address_is_told_so() {
    let examined = Examined::with(&[("AUTHFLOW_TRUSTED_PROXIES", "127.0.0.0/8")]);
    examined
        .says(&[], &["who comes from where AUTHFLOW_TRUSTED_PROXIES trusts", "ask from where clients are"]);
}

#[test]
fn a_proxy_that_is_not_trusted_is_found() {
    let examined = Examined::with(&[]);
    examined.says(&[], &["every client is taken for the proxy", "AUTHFLOW_TRUSTED_PROXIES=127.0.0.9."]);
    examined
        .says(&[(FORWARDED_FOR, "")], &["something is in between", "AUTHFLOW_TRUSTED_PROXIES=127.0.0.9."]);
}

#[test]
fn what_comes_between_answers_and_clients_is_found() {
    let examined = Examined::with(&TRUSTED);
    for (line, expected) in [
        (
            "proxy_cache answers; proxy_cache_valid 200 1m; proxy_ignore_headers Cache-Control Set-Cookie;",
            "FAULT  Caches: one answer came twice",
        ),
        ("proxy_hide_header Cache-Control;", "FAULT  Caches: Cache-Control arrives as \"\""),
        ("proxy_intercept_errors on; error_page 404 =404 /sorry;", "FAULT  Refusals: they are replaced"),
    ] {
        examined.says(&[(CONNECTION, line)], &[expected]);
    }
    examined.says(&[("16k", "1k")], &["FAULT  Long bodies: a body of 15 KiB is answered with status 413"]);
    let elsewhere = "return 301 https://elsewhere.example$request_uri;";
    examined.says(
        &[(CONNECTION, elsewhere)],
        &["FAULT  The service: the answer is a redirect to https://elsewhere.example/auth/doctor"],
    );
    examined
        .says(&[("/auth/ {", "/other/ {")], &["FAULT  The service: something else answers, with status 404"]);
}

#[test]
fn a_service_that_examines_nothing_says_how_to_let_it() {
    let examined = Examined::with(&[("AUTHFLOW_DOCTOR", "0")]);
    examined.says(&[], &["it answers, but does not examine requests", "AUTHFLOW_DOCTOR=1"]);
}
