//! The parts of the program.

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod environment;
pub(crate) mod keys;
pub(crate) mod metrics;
pub(crate) mod page;
pub(crate) mod prune;
pub(crate) mod screen;
pub(crate) mod serve;
pub(crate) mod sessions;

/// Errors go to a person, as one line.
pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;
