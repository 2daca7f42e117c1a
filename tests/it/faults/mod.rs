//! When the database, or the way to it, fails; and what the database is asked for at all.

mod cost;
mod hashing;
mod late;
mod lost_answers;
mod outage;
mod pooler;
mod round_trips;
