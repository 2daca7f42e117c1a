//! Faults, caused for real: the program is killed, stopped and cut off while clients refresh, again and again.
//!
//! `cargo test` does a tenth of the rounds, `scripts/faults` does all and prints what became of them (docs/FAULTS.md).
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of tests is a test too")]
#![allow(dead_code, unused_imports, reason = "the harness can do more than these tests ask of it")]

mod answers;
mod client;
mod clock;
mod crowd;
mod database;
mod disk;
mod exhausted;
#[path = "../it/surface/http.rs"]
mod http;
mod killed;
mod line;
mod message;
#[path = "../program/process.rs"]
mod process;
mod service;
mod severed;
mod stopped;
#[path = "../it/support/mod.rs"]
mod support;
mod tally;
