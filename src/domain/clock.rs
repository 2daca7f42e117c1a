//! The clock by which access tokens are judged.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chrono::{DateTime, Utc};

/// Seconds since the Unix epoch.
pub(crate) type UnixSeconds = i64;

/// Tells the time, by the database's clock where there is a database.
///
/// Tokens are issued by the database's clock. A node that issues them also judges by it: it keeps the distance between
/// the database's clock and its own monotonic one, so that neither a wrong host clock nor a step of it refuses tokens.
pub(crate) enum Clock {
    /// The host's clock: for services that only verify.
    System,
    /// The database's clock, as last heard of.
    Database {
        origin: Instant,
        /// Microseconds since the Unix epoch at `origin`.
        at_origin: AtomicI64,
    },
}

impl Clock {
    /// A clock that has just been told the database's time.
    pub(crate) fn database(now: DateTime<Utc>) -> Self {
        Self::Database { origin: Instant::now(), at_origin: AtomicI64::new(now.timestamp_micros()) }
    }

    /// Takes over the database's time. Does nothing to a system clock.
    pub(crate) fn set(&self, now: DateTime<Utc>) {
        if let Self::Database { origin, at_origin } = self {
            at_origin.store(now.timestamp_micros() - elapsed_micros(origin), Ordering::Relaxed);
        }
    }

    pub(crate) fn now(&self) -> UnixSeconds {
        self.micros().div_euclid(1_000_000)
    }

    /// The same to the microsecond.
    pub(crate) fn time(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.micros()).unwrap_or_default()
    }

    /// Microseconds since the Unix epoch.
    fn micros(&self) -> i64 {
        match self {
            Self::System => Utc::now().timestamp_micros(),
            Self::Database { origin, at_origin } => {
                at_origin.load(Ordering::Relaxed) + elapsed_micros(origin)
            }
        }
    }
}

fn elapsed_micros(origin: &Instant) -> i64 {
    i64::try_from(origin.elapsed().as_micros()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_believed_over_the_host() {
        let clock = Clock::database(DateTime::from_timestamp(1_000, 0).unwrap());
        assert!((1_000..1_010).contains(&clock.now()));
        clock.set(DateTime::from_timestamp(5_000, 0).unwrap());
        assert!((5_000..5_010).contains(&clock.now()));
    }
}
