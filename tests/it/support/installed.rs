//! Programs of others, which the machine may have.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Child;

/// Where this program is. `None`, and a word about it, where it is not installed.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let program = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    if program.is_none() {
        left_out(&format!("{name} is not installed"));
    }
    program
}

/// Says that a test shows nothing here. Not by `eprintln!`, which is not shown for tests that pass.
pub(crate) fn left_out(why: &str) {
    let _ = writeln!(std::io::stderr(), "left out: {why}");
}

/// A process that is stopped with this value.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
