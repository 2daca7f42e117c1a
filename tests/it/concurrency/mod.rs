//! Several things at once.

mod deadlocks;
mod defaults;
mod races;
mod rounds;
mod storms;
mod survivors;
mod together;

pub(crate) use storms::one_generation_for_all;
