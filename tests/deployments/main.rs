//! Postgres and the nodes as they are run: with a standby that takes over.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of tests is a test too")]
#![allow(dead_code, unused_imports, reason = "the harness can do more than these tests ask of it")]

mod failover;
mod past;
#[path = "../it/support/mod.rs"]
mod support;
