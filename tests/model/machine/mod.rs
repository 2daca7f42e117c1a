//! The protocol as a state machine. The model checker takes every way through it (`tests/model`), and histories that a server has
//! lived through take theirs (`tests/it/histories`).

pub(crate) mod ends;
pub(crate) mod mutation;
pub(crate) mod promises;
pub(crate) mod refresh;
pub(crate) mod scenario;
pub(crate) mod state;
