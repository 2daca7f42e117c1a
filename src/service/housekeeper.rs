//! The background task that does the housekeeping.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::housekeeping::{Pause, Walk};
use super::upkeep::Upkeep;
use crate::domain::event::Actor;
use crate::meters::{self, Task};
use crate::store::StoreError;

/// What a pass leaves to others between its batches.
const REST: Duration = Duration::from_millis(20);

/// A pass every so often. Ends when this handle is dropped.
pub(crate) struct Housekeeper {
    _stop: Sender<()>,
}

impl Housekeeper {
    /// Starts the task. Its first pass comes after one `interval`: a start has enough to do.
    pub(crate) fn start(upkeep: Arc<Upkeep>, interval: Duration) -> Result<Self, StoreError> {
        let (stop, stopped) = channel();
        let keep_house = move || keep_house(&upkeep, interval, &stopped);
        let thread = std::thread::Builder::new().name("authflow-housekeeping".into()).spawn(keep_house);
        thread.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { _stop: stop })
    }
}

fn keep_house(upkeep: &Upkeep, interval: Duration, stopped: &Receiver<()>) {
    let goes_on = |after| stopped.recv_timeout(after) == Err(RecvTimeoutError::Timeout);
    let mut walk = Walk::default();
    while goes_on(interval) {
        // Where another node has the turn, it does what is to be done.
        let done =
            upkeep.prune(Actor::Service, &mut walk, |pause| pause == Pause::AfterBatch && goes_on(REST));
        if let Err(error) = done {
            meters::failed(Task::Housekeeping);
            tracing::warn!(%error, "housekeeping failed; trying again");
        }
    }
}
