//! The program `authflow`, started and stopped as people and service managers do.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of tests is a test too")]
#![allow(dead_code, unused_imports, reason = "the harness can do more than these tests ask of it")]

mod alerts;
mod demo;
#[path = "../it/surface/http.rs"]
mod http;
mod measured;
mod newcomer;
mod nginx;
mod page;
mod process;
mod proxied;
mod prune;
mod refused;
mod restored;
mod served;
#[path = "../it/support/mod.rs"]
mod support;
