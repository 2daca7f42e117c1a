//! Postgres and the nodes as they are run: with a standby that takes over, and with several nodes behind one address.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of tests is a test too")]
#![allow(dead_code, unused_imports, reason = "the harness can do more than these tests ask of it")]

mod failover;
#[path = "../it/surface/http.rs"]
mod http;
#[path = "../program/nginx.rs"]
mod nginx;
mod nodes;
mod past;
#[path = "../program/process.rs"]
mod process;
#[path = "../it/support/mod.rs"]
mod support;
