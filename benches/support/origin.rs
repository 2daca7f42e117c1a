//! Where raw figures come from, told in a file beside them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use chrono::Utc;

const HEADING: &str = "part,date,commit,cores,server_version";

/// Writes a line for this part in the place of its last one. Those of other parts stay: they may have another origin.
pub(crate) fn note(folder: &Path, part: &str, server_version: &str) {
    let file = folder.join("origin.csv");
    let known = fs::read_to_string(&file).unwrap_or_default();
    let others = known.lines().skip(1).filter(|line| line.split(',').next() != Some(part));
    let (date, cores) = (Utc::now().date_naive(), available_parallelism().map_or(1, usize::from));
    let own = format!("{part},{date},{},{cores},{server_version}", commit());
    let lines: Vec<&str> = [HEADING].into_iter().chain(others).chain([own.as_str()]).collect();
    fs::write(&file, lines.join("\n") + "\n").unwrap();
}

/// Which version of the code this is. One that is not committed is `dirty`; figures that lie beside it make it no
/// other.
fn commit() -> String {
    let git = |arguments: &[&str]| Command::new("git").args(arguments).output();
    let Some(head) = git(&["rev-parse", "--short", "HEAD"]).ok().filter(|head| head.status.success()) else {
        return "unknown".into();
    };
    let same = git(&["diff", "--quiet", "HEAD", "--", ".", ":!docs"]).is_ok_and(|diff| diff.status.success());
    format!("{}{}", String::from_utf8_lossy(&head.stdout).trim(), if same { "" } else { "-dirty" })
}
