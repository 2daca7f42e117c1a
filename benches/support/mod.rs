//! What several benchmarks need.
#![allow(dead_code, reason = "each benchmark uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing better to do")]

pub(crate) mod app;
pub(crate) mod arguments;
pub(crate) mod bare_jwt;
pub(crate) mod bare_rows;
pub(crate) mod database;
pub(crate) mod figures;
pub(crate) mod node;
mod origin;
