//! Several things at once.

mod defaults;
mod races;
mod rounds;
mod storms;
