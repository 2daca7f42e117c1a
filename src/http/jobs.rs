//! Where the jobs of the scope run: which connections and threads are for what.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::batches::{self, Batches};
use super::gate::{Gate, Limits, Threads};
use super::threads::OwnThreads;
use crate::meters;
use crate::service::{RefreshRequest, Rotated, Service};

/// How long a request may wait, its turn included, before its work in the database begins; after that it never does.
pub(crate) const DATABASE_DEADLINE: Duration = Duration::from_millis(2_500);
/// How long work that began in the last moment is waited for. Together below the 3 s after which there must be an answer.
const DATABASE_REMAINDER: Duration = Duration::from_millis(300);
/// How many jobs wait for a connection at most, of each kind.
const DATABASE_QUEUE: usize = 4_096;
/// So many rotations become one statement at most. Beyond this the cost of each hardly falls any more.
const TOGETHER: usize = 64;
/// For how long rotations may be under way together. Where a commit takes longer, or hangs, refreshes that have come meanwhile
/// take the other connections.
const ROTATION_PATIENCE: Duration = Duration::from_millis(10);

/// Requests that go together, each with what it came to.
type Rotations = Batches<Arc<RefreshRequest>, Option<Rotated>>;

/// The queues, each with a share of the connections, or of the cores. However many wait to log in, they take neither from
/// those who refresh.
pub(crate) struct Jobs {
    /// Rotations, for which one connection of the pool is left out of the shares of the others. `None` where each goes by
    /// itself.
    pub(crate) rotations: Option<Rotations>,
    /// What comes before a password is hashed, for everybody who tries one.
    pub(crate) attempts: Gate,
    /// All else that needs the database.
    pub(crate) database: Gate,
    /// Hashing.
    pub(crate) hashing: Gate,
}

impl Jobs {
    /// Starts the threads. `hashes` are computed at once, and others wait as long as `patience`.
    pub(crate) fn start(
        connections: u32,
        hashes: usize,
        patience: Duration,
        service: Arc<Service>,
    ) -> io::Result<Self> {
        let together = service.refreshes_together();
        let shared = usize::try_from(connections.saturating_sub(together.into())).unwrap_or(1);
        // More would not keep more cores busy, only the database. A few at least, for a database that is far away.
        let attempts = hashes.max(4).min(shared / 2).max(1);
        Ok(Self {
            rotations: together.then(|| rotations(service)).transpose()?,
            attempts: database("attempts", attempts),
            // Of very few connections there may be too little for all: then jobs wait in the pool.
            database: database("database", shared.saturating_sub(attempts).max(1)),
            hashing: hashing(hashes, patience)?,
        })
    }

    /// How the queues stand at this moment.
    pub(crate) fn levels(&self) -> Vec<meters::Queue> {
        let Self { rotations, attempts, database, hashing } = self;
        let gates = [attempts, database, hashing].map(Gate::level);
        rotations.iter().map(Rotations::level).chain(gates).collect()
    }
}

fn rotations(service: Arc<Service>) -> io::Result<Rotations> {
    let limits = batches::Limits {
        together: TOGETHER,
        queue: DATABASE_QUEUE,
        patience: ROTATION_PATIENCE,
        deadline: DATABASE_DEADLINE + DATABASE_REMAINDER,
    };
    Batches::start("rotations", limits, move |asked, since| {
        service.until(since + DATABASE_DEADLINE, |service| service.rotate_together(asked))
    })
}

/// Jobs wait in async code, where they cost nothing.
fn database(name: &'static str, jobs: usize) -> Gate {
    let deadline = DATABASE_DEADLINE + DATABASE_REMAINDER;
    let limits = Limits { jobs, queue: DATABASE_QUEUE, patience: DATABASE_DEADLINE, deadline };
    Gate::new(name, limits, Threads::Blocking)
}

/// On threads of their own; a queue longer than what two seconds of patience can serve would only waste it.
fn hashing(jobs: usize, patience: Duration) -> io::Result<Gate> {
    let limits = Limits { jobs, queue: jobs * 64, patience, deadline: patience + Duration::from_secs(3) };
    Ok(Gate::new("hashing", limits, Threads::Own(OwnThreads::start("authflow-hash", jobs)?)))
}
