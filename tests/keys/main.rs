//! Signing keys from start to end: made, announced, rotated, retired, given by hand, compromised; on several nodes that
//! speak HTTP and share a database. Time passes by moving the rows into the past.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests is a test too")]

mod compromise;
mod forged;
mod node;
mod origin;
mod program;
mod published;
mod rotation;
mod sealed;
