//! The crate as its users meet it: over HTTP, against a real Postgres.
#![cfg(unix)]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of tests is a test too")]

mod claims;
mod concurrency;
mod events;
mod faults;
mod histories;
mod refresh_jwt;
mod revocation;
mod rights;
mod rule;
mod sessions_cap;
mod sessions_list;
mod sessions_password;
mod sessions_prune;
mod support;
mod surface;
mod throttling;
mod workflow;
