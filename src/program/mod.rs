//! The parts of the program.

pub(crate) mod environment;
pub(crate) mod keys;
pub(crate) mod prune;
pub(crate) mod screen;
pub(crate) mod serve;

/// Prints for a person. Nobody may be reading (any more), which is no reason to stop.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Errors go to a person, as one line.
pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
